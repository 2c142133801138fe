{{ config(materialized='view') }}
select
    history.integrated_account_id,
    history.id as application_id,
    history.job_id,
    history.current_stage_id as stage_id,
    coalesce(stages.name, history.current_stage) as stage,
    stages."position" as stage_position,
    history.dbt_valid_from at time zone 'UTC' as seen_from,
    history.dbt_valid_to at time zone 'UTC' as seen_until,
    history.dbt_valid_to is null as is_current,
    row_number() over (
        partition by history.integrated_account_id, history.id order by history.dbt_valid_from
    ) as stage_number
from {{ ref('application_stages') }} as history
left join {{ ref('known_stages') }} as stages
    on stages.integrated_account_id = history.integrated_account_id
    and stages.id = history.current_stage_id
where history.current_stage_id is not null
