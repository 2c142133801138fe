{#- A stage may belong to a job, or to several: then those jobs have it whose applications or
    interviews were seen in it. -#}
with applications as (
    select * from {{ ref('applications_enriched') }}
),

interviews as (
    select * from {{ ref('interviews_enriched') }}
    where {{ takes_place('status') }}
),

pairs as (
    select integrated_account_id, job_id, id as stage_id from {{ ref('known_stages') }}
    union
    select integrated_account_id, job_id, current_stage_id from applications
    union
    select integrated_account_id, job_id, stage_id from interviews
),

seen as (
    select integrated_account_id, application_id, stage_id, count(*) as interviews
    from interviews
    group by integrated_account_id, application_id, stage_id
),

counted as (
    select
        pairs.integrated_account_id,
        pairs.job_id,
        pairs.stage_id,
        stages.name as stage,
        stages."position" as stage_position,
        count(applications.id) as applications,
        count(applications.id) filter (
            where applications.furthest_stage_position >= stages."position"
            or applications.current_stage_id = pairs.stage_id
            or seen.stage_id is not null
        ) as applications_reached,
        count(applications.id) filter (
            where applications.current_stage_id = pairs.stage_id
            and applications.rejected_at is null
        ) as applications_now,
        coalesce(sum(seen.interviews), 0)::bigint as interviews
    from pairs
    left join {{ ref('known_stages') }} as stages
        on stages.integrated_account_id = pairs.integrated_account_id
        and stages.id = pairs.stage_id
    left join applications
        on applications.integrated_account_id = pairs.integrated_account_id
        and applications.job_id = pairs.job_id
    left join seen
        on seen.integrated_account_id = pairs.integrated_account_id
        and seen.application_id = applications.id
        and seen.stage_id = pairs.stage_id
    where pairs.job_id is not null and pairs.stage_id is not null
    group by 1, 2, 3, 4, 5
)

select
    counted.integrated_account_id,
    accounts.tenant_id,
    accounts.provider,
    counted.job_id,
    jobs.name as job,
    counted.stage_id,
    counted.stage,
    counted.stage_position,
    counted.applications,
    counted.applications_reached,
    counted.applications_now,
    counted.interviews,
    counted.applications_reached::double precision / nullif(counted.applications, 0)
        as reached_share
from counted
left join {{ ref('stg_truto_ats__jobs') }} as jobs
    on jobs.integrated_account_id = counted.integrated_account_id
    and jobs.id = counted.job_id
left join {{ ref('known_accounts') }} as accounts
    on accounts.integrated_account_id = counted.integrated_account_id
