{#- Some providers do not list applications, but their candidates hold them. -#}
with listed as (
    select
        integrated_account_id,
        id,
        candidate_id,
        job_id,
        coalesce(applied_at, created_at) as applied_at,
        rejected_at,
        reject_reason,
        source ->> 'name' as source,
        current_stage_id,
        current_stage ->> 'name' as current_stage,
        true as is_listed
    from {{ ref('stg_truto_ats__applications') }}
),

held as (
    select
        candidates.integrated_account_id,
        held.application ->> 'id',
        candidates.id,
        held.application -> 'job' ->> 'id',
        coalesce(held.application ->> 'applied_at', held.application ->> 'created_at')::timestamptz,
        (held.application ->> 'rejected_at')::timestamptz,
        held.application ->> 'reject_reason',
        held.application -> 'source' ->> 'name',
        held.application -> 'current_stage' ->> 'id',
        held.application -> 'current_stage' ->> 'name',
        false
    from {{ ref('stg_truto_ats__candidates') }} as candidates
    cross join lateral jsonb_array_elements(candidates.applications) as held (application)
    where held.application ->> 'id' is not null
)

select distinct on (integrated_account_id, id) *
from (select * from listed union all select * from held) as found
order by integrated_account_id, id, is_listed desc, candidate_id
