{{ config(materialized='view') }}
{#- What the history of stages keeps: nothing about candidates, whom it would outlive. -#}
select integrated_account_id, id, job_id, current_stage_id, current_stage
from {{ ref('known_applications') }}
