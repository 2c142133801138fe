{#- Each id names a row of another model, where the account has any rows there. -#}
{% test belongs_to(model, column_name, to) %}
select children.integrated_account_id, children.{{ column_name }}
from {{ model }} as children
where children.{{ column_name }} is not null
  and children.integrated_account_id in (select integrated_account_id from {{ to }})
  and not exists (
    select 1
    from {{ to }} as parents
    where parents.integrated_account_id = children.integrated_account_id
      and parents.id = children.{{ column_name }}
  )
{% endtest %}
