{#- The name of a person, or the parts that are known of it. -#}
{% macro person_name(person) -%}
coalesce({{ person }}.name, nullif(concat_ws(' ', {{ person }}.first_name, {{ person }}.last_name), ''))
{%- endmacro %}
