with interviews as (
    select
        interviews.*,
        interviewers.interviewer_id,
        date_trunc('week', interviews.interview_at at time zone 'UTC')::date as week
    from {{ ref('interviews_enriched') }} as interviews
    cross join lateral (select distinct jsonb_array_elements_text(interviews.interviewer_ids))
        as interviewers (interviewer_id)
    where interviews.interview_at is not null
)

select
    interviews.integrated_account_id,
    interviews.tenant_id,
    interviews.provider,
    interviews.interviewer_id,
    {{ person_name('users') }} as interviewer,
    interviews.week,
    count(*) filter (where {{ takes_place('interviews.status') }}) as interviews,
    count(*) filter (where interviews.is_cancelled) as interviews_cancelled,
    sum(extract(epoch from interviews.end_at - interviews.start_at)::double precision / 3600)
        filter (where {{ takes_place('interviews.status') }}) as hours
from interviews
left join {{ ref('stg_truto_ats__users') }} as users
    on users.integrated_account_id = interviews.integrated_account_id
    and users.id = interviews.interviewer_id
group by
    interviews.integrated_account_id,
    interviews.tenant_id,
    interviews.provider,
    interviews.interviewer_id,
    {{ person_name('users') }},
    interviews.week
