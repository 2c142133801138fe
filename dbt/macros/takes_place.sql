{#- Whether an interview has taken place or is planned. Some providers do not tell its status. -#}
{% macro takes_place(status) -%}
coalesce({{ status }}, '') not in ('cancelled', 'draft')
{%- endmacro %}
