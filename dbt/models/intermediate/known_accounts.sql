{{ config(materialized='view') }}
{#- Truto does not list an account that was removed, but its rows stay, and earlier runs knew it. -#}
with listed as (
    select
        id as integrated_account_id,
        tenant_id,
        integration_name as provider,
        status,
        last_error,
        null::timestamptz as run_started_at,
        true as is_listed
    from {{ ref('stg_truto_ats__integrated_accounts') }}
),

told as (
    select
        integrated_account_id,
        tenant_id,
        integration_name,
        null,
        null,
        run_started_at,
        false
    from {{ ref('stg_truto_ats__account_syncs') }}
    where integration_name is not null
)

select distinct on (integrated_account_id)
    integrated_account_id, tenant_id, provider, status, last_error, is_listed
from (select * from listed union all select * from told) as found
order by integrated_account_id, is_listed desc, run_started_at desc
