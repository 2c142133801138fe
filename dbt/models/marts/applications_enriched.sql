with held as (
    select
        integrated_account_id,
        application_id,
        count(*) as interviews,
        max(stage_position) as stage_position,
        min(interview_at) as first_interview_at,
        (array_agg(interview_at_from order by interview_at))[1] as first_interview_at_from
    from {{ ref('interviews_enriched') }}
    where {{ takes_place('status') }}
    group by integrated_account_id, application_id
)

select
    applications.integrated_account_id,
    applications.id,
    accounts.tenant_id,
    accounts.provider,
    applications.candidate_id,
    {{ person_name('candidates') }} as candidate,
    applications.job_id,
    jobs.name as job,
    jobs.status as job_status,
    applications.applied_at,
    applications.source,
    applications.current_stage_id,
    coalesce(stages.name, applications.current_stage) as current_stage,
    stages."position" as current_stage_position,
    greatest(stages."position", held.stage_position) as furthest_stage_position,
    applications.rejected_at,
    applications.reject_reason,
    coalesce(held.interviews, 0) as interviews,
    held.first_interview_at,
    held.first_interview_at_from,
    extract(epoch from held.first_interview_at - applications.applied_at)::double precision / 86400
        as days_to_first_interview
from {{ ref('known_applications') }} as applications
left join {{ ref('known_stages') }} as stages
    on stages.integrated_account_id = applications.integrated_account_id
    and stages.id = applications.current_stage_id
left join {{ ref('stg_truto_ats__candidates') }} as candidates
    on candidates.integrated_account_id = applications.integrated_account_id
    and candidates.id = applications.candidate_id
left join {{ ref('stg_truto_ats__jobs') }} as jobs
    on jobs.integrated_account_id = applications.integrated_account_id
    and jobs.id = applications.job_id
left join held
    on held.integrated_account_id = applications.integrated_account_id
    and held.application_id = applications.id
left join {{ ref('known_accounts') }} as accounts
    on accounts.integrated_account_id = applications.integrated_account_id
