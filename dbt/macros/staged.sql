{#- Selects the current rows of a stream.

    columns  by name, the type that each is to have
    ids      by name, the object whose id it is
    lists    by name, the array of objects whose ids it holds
    account  the column that names the account; none for a stream whose rows all stay

A column that the target has not made is null; without a table there are no rows. Without that of
account_syncs, however, the schema is a wrong one, or nothing has been loaded. -#}
{% macro staged(stream, columns, ids={}, lists={}, account='integrated_account_id') -%}
{%- set table = source('truto_ats', stream) -%}
{%- set syncs = source('truto_ats', 'account_syncs') -%}
{%- if execute and not load_relation(syncs) -%}
{%- do exceptions.raise_compiler_error(
    syncs ~ ' does not exist: the tap has not loaded it there, or the schema is another one'
    ~ ' (truto_ats_schema, DBT_POSTGRES_SOURCE_SCHEMA)'
) -%}
{%- endif -%}
{%- set there = execute and load_relation(table) -%}
{%- set found = {} -%}
{%- for column in adapter.get_columns_in_relation(table) if there -%}
  {%- do found.update({column.name: column.data_type}) -%}
{%- endfor -%}
select
{%- for name, type in columns.items() %}
    {{ cast_column(name, type, found.get(name)) }} as {{ adapter.quote(name) }}{{ ',' if not loop.last or ids or lists }}
{%- endfor -%}
{%- for name, object in ids.items() %}
    {{ cast_column(object, 'jsonb', found.get(object)) }} ->> 'id' as {{ name }}{{ ',' if not loop.last or lists }}
{%- endfor -%}
{%- for name, array in lists.items() %}
    jsonb_path_query_array({{ cast_column(array, 'jsonb', found.get(array)) }}, '$[*].id ? (@ != null)') as {{ name }}{{ ',' if not loop.last }}
{%- endfor %}
{%- if not there %}
where false
{%- else %}
from {{ table }}
{%- if account %}
where not {{ gone(syncs.schema, table.identifier, stream, account) }}
{%- endif -%}
{%- endif -%}
{%- endmacro %}

{#- Casts a column from the type that the target has made, if any. Its times without zone are in UTC. -#}
{% macro cast_column(name, type, made) -%}
{%- set column = adapter.quote(name) -%}
{%- if not made -%}
null::{{ type }}
{%- elif type == 'jsonb' -%}
nullif(to_jsonb({{ column }}), 'null')
{%- elif type == 'timestamptz' and made == 'timestamp without time zone' -%}
{{ column }} at time zone 'UTC'
{%- else -%}
{{ column }}::{{ type }}
{%- endif -%}
{%- endmacro %}
