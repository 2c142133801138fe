{#- Some providers do not list stages, but the applications that are in one tell its name. Its job
    is known if all of them are for the same one. -#}
with listed as (
    select integrated_account_id, id, name, job_id, "position", true as is_listed
    from {{ ref('stg_truto_ats__job_interview_stages') }}
),

told as (
    select
        integrated_account_id,
        current_stage_id,
        min(current_stage),
        case when min(job_id) = max(job_id) then min(job_id) end,
        null::bigint,
        false
    from {{ ref('known_applications') }}
    where current_stage_id is not null
    group by integrated_account_id, current_stage_id
)

select distinct on (integrated_account_id, id) *
from (select * from listed union all select * from told) as found
order by integrated_account_id, id, is_listed desc
