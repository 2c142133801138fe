{#- Some providers do not list stages, but the applications that are in one tell its name. -#}
with listed as (
    select integrated_account_id, id, name, job_id, "position", true as is_listed
    from {{ ref('stg_truto_ats__job_interview_stages') }}
),

told as (
    select integrated_account_id, current_stage_id, current_stage, job_id, null::bigint, false
    from {{ ref('known_applications') }}
    where current_stage_id is not null
)

select distinct on (integrated_account_id, id) *
from (select * from listed union all select * from told) as found
order by integrated_account_id, id, is_listed desc, name, job_id
