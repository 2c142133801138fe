select
    provider,
    count(distinct integrated_account_id) as accounts,
    count(*) as interviews,
    count(status) as interviews_with_status,
    count(*) filter (where is_cancelled) as interviews_cancelled,
    count(*) filter (where is_cancelled)::double precision / nullif(count(status), 0)
        as cancelled_share
from {{ ref('interviews_enriched') }}
group by provider
