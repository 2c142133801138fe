{#- An interview without an application has the only one of its candidate for the job of its stage;
    or the candidate's only one, if the stage does not tell its job. -#}
with interviews as (
    select
        interviews.*,
        stages.name as stage,
        stages."position" as stage_position,
        stages.job_id as stage_job_id
    from {{ ref('stg_truto_ats__interviews') }} as interviews
    left join {{ ref('known_stages') }} as stages
        on stages.integrated_account_id = interviews.integrated_account_id
        and stages.id = interviews.job_interview_stage_id
),

inferred as (
    select interviews.integrated_account_id, interviews.id, min(applications.id) as application_id
    from interviews
    inner join {{ ref('known_applications') }} as applications
        on applications.integrated_account_id = interviews.integrated_account_id
        and applications.candidate_id = interviews.candidate_id
        and applications.job_id is not distinct from
            coalesce(interviews.stage_job_id, applications.job_id)
    where interviews.application_id is null
    group by interviews.integrated_account_id, interviews.id
    having count(*) = 1
),

people as (
    select
        interviews.integrated_account_id,
        interviews.id,
        jsonb_agg({{ person_name('users') }} order by listed.place)
            filter (where {{ person_name('users') }} is not null) as interviewers
    from interviews
    cross join lateral jsonb_array_elements_text(interviews.interviewer_ids)
        with ordinality as listed (user_id, place)
    inner join {{ ref('stg_truto_ats__users') }} as users
        on users.integrated_account_id = interviews.integrated_account_id
        and users.id = listed.user_id
    group by interviews.integrated_account_id, interviews.id
)

select
    interviews.integrated_account_id,
    interviews.id,
    accounts.tenant_id,
    accounts.provider,
    coalesce(interviews.application_id, inferred.application_id) as application_id,
    inferred.application_id is not null as is_application_inferred,
    applications.applied_at,
    coalesce(interviews.candidate_id, applications.candidate_id) as candidate_id,
    {{ person_name('candidates') }} as candidate,
    coalesce(applications.job_id, interviews.stage_job_id) as job_id,
    jobs.name as job,
    interviews.job_interview_stage_id as stage_id,
    interviews.stage,
    interviews.stage_position,
    interviews.interviewer_ids,
    people.interviewers,
    interviews.organizer_id,
    {{ person_name('organizers') }} as organizer,
    interviews.status,
    interviews.status = 'cancelled' as is_cancelled,
    interviews.start_at,
    interviews.end_at,
    coalesce(interviews.start_at, interviews.end_at, interviews.created_at) as interview_at,
    case
        when interviews.start_at is not null then 'start_at'
        when interviews.end_at is not null then 'end_at'
        when interviews.created_at is not null then 'created_at'
    end as interview_at_from,
    interviews.location,
    interviews.created_at,
    interviews.updated_at
from interviews
left join inferred
    on inferred.integrated_account_id = interviews.integrated_account_id
    and inferred.id = interviews.id
left join {{ ref('known_applications') }} as applications
    on applications.integrated_account_id = interviews.integrated_account_id
    and applications.id = coalesce(interviews.application_id, inferred.application_id)
left join {{ ref('stg_truto_ats__candidates') }} as candidates
    on candidates.integrated_account_id = interviews.integrated_account_id
    and candidates.id = coalesce(interviews.candidate_id, applications.candidate_id)
left join {{ ref('stg_truto_ats__jobs') }} as jobs
    on jobs.integrated_account_id = interviews.integrated_account_id
    and jobs.id = coalesce(applications.job_id, interviews.stage_job_id)
left join {{ ref('stg_truto_ats__users') }} as organizers
    on organizers.integrated_account_id = interviews.integrated_account_id
    and organizers.id = interviews.organizer_id
left join people
    on people.integrated_account_id = interviews.integrated_account_id
    and people.id = interviews.id
left join {{ ref('known_accounts') }} as accounts
    on accounts.integrated_account_id = interviews.integrated_account_id
