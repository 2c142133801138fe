{#- Some providers do not list applications, but their candidates hold them. Of an account that lists
    them, a candidate that was read earlier may still hold one that is gone. -#}
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

listing as (
    select integrated_account_id from listed
    union
    select integrated_account_id
    from {{ ref('stg_truto_ats__account_syncs') }}
    where stream = 'applications' and mode = 'whole' and is_complete and records = 0
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
    cross join lateral jsonb_path_query(candidates.applications, '$[*] ? (@.id != null)')
        as held (application)
    where not exists (
        select 1
        from listing
        where listing.integrated_account_id = candidates.integrated_account_id
    )
)

select distinct on (integrated_account_id, id) *
from (select * from listed union all select * from held) as found
order by integrated_account_id, id, is_listed desc, candidate_id
