select
    integrated_account_id,
    tenant_id,
    provider,
    job_id,
    job,
    count(*) as applications,
    count(first_interview_at) as applications_interviewed,
    percentile_cont(0.5) within group (order by days_to_first_interview) as median_days,
    avg(days_to_first_interview) as average_days,
    max(days_to_first_interview) as longest_days,
    coalesce(bool_or(first_interview_at_from <> 'start_at'), false) as is_estimated
from {{ ref('applications_enriched') }}
group by integrated_account_id, tenant_id, provider, job_id, job
