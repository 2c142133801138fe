{{ config(materialized='view') }}
{#- First by account and stream, with the last row of each; then by account. A stream that was
    never read completely counts as read at the beginning of time. A stream that runs have left out
    for a week is not selected any more. -#}
with syncs as (
    select
        *,
        row_number() over (
            partition by integrated_account_id, stream order by run_started_at desc
        ) = 1 as is_last,
        max(run_started_at) over (partition by integrated_account_id) as newest_run_at
    from {{ ref('stg_truto_ats__account_syncs') }}
),

streams as (
    select
        integrated_account_id,
        stream,
        max(run_started_at) as last_run_at,
        max(started_at) filter (where is_complete) as complete_up_to,
        max(started_at) filter (where mode = 'whole' and is_complete) as last_whole_read_at,
        max(status) filter (where is_last) as status,
        (
            array_agg(mode order by run_started_at desc)
                filter (where mode not in ('not active', 'not listed'))
        )[1] is distinct from 'not offered' as is_offered,
        max(error) filter (where is_last) as error
    from syncs
    group by integrated_account_id, stream
    having max(run_started_at) > max(newest_run_at) - interval '7 days'
)

select
    streams.integrated_account_id,
    accounts.tenant_id,
    accounts.provider,
    accounts.status,
    accounts.last_error,
    max(streams.last_run_at) as last_run_at,
    count(*) filter (where streams.status = 'succeeded') as streams_read,
    count(*) filter (where streams.status = 'failed') as streams_failed,
    count(*) filter (where streams.status = 'skipped') as streams_skipped,
    string_agg(streams.stream, ', ' order by streams.stream)
        filter (where streams.status = 'failed') as failed_streams,
    min(streams.error) filter (where streams.status = 'failed') as error,
    nullif(
        min(coalesce(streams.complete_up_to, '-infinity')) filter (where streams.is_offered),
        '-infinity'
    ) as complete_up_to,
    nullif(
        min(coalesce(streams.last_whole_read_at, '-infinity')) filter (where streams.is_offered),
        '-infinity'
    ) as last_whole_read_at
from streams
left join {{ ref('known_accounts') }} as accounts
    on accounts.integrated_account_id = streams.integrated_account_id
group by
    streams.integrated_account_id,
    accounts.tenant_id,
    accounts.provider,
    accounts.status,
    accounts.last_error
