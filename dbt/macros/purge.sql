{#- Deletes the rows that are gone, and counts them in the table purges: dbt run-operation purge -#}
{% macro purge() %}
{%- set schema = source('truto_ats', 'account_syncs').schema -%}
{%- do run_query(create_purges(schema)) -%}
{%- for stream in purged_streams() + var('truto_ats_optional_streams') -%}
  {%- set table = source('truto_ats', stream) -%}
  {%- if load_relation(table) -%}
    {%- set account = 'id' if stream == 'integrated_accounts' else 'integrated_account_id' -%}
    {%- do run_query(purge_stream(schema, table.identifier, stream, account)) -%}
  {%- endif -%}
{%- endfor -%}
{% endmacro %}
