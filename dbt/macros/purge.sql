{#- Deletes the rows that are gone, and counts them in the table purges: dbt run-operation purge -#}
{% macro purge() %}
{%- set syncs = source('truto_ats', 'account_syncs') -%}
{%- do run_query(create_purges(syncs.schema)) -%}
{%- for stream, account in purged_streams().items() -%}
  {%- if adapter.get_relation(syncs.database, syncs.schema, stream) -%}
    {%- do run_query(purge_stream(syncs.schema, stream, stream, account)) -%}
  {%- endif -%}
{%- endfor -%}
{% endmacro %}
