{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{% macro gone(schema, table, stream, account) -%}
EXISTS (
  SELECT 1
  FROM (
    SELECT syncs.integrated_account_id AS account, MAX(syncs.started_at) AS began
    FROM "{{ schema }}".account_syncs AS syncs
    LEFT JOIN (
      SELECT {{ account }} AS account, MAX(_sdc_extracted_at) AS latest
      FROM "{{ schema }}".{{ table }}
      GROUP BY {{ account }}
    ) AS loaded ON loaded.account = syncs.integrated_account_id
    WHERE syncs.stream = '{{ stream }}' AND syncs.mode = 'whole' AND syncs.is_complete
      AND (syncs.records = 0 OR syncs.started_at <= loaded.latest)
    GROUP BY syncs.integrated_account_id
  ) AS whole_reads
  WHERE whole_reads.account = {{ table }}.{{ account }}
    AND whole_reads.began > {{ table }}._sdc_extracted_at
)
{%- endmacro %}

{% macro create_purges(schema) -%}
CREATE TABLE IF NOT EXISTS "{{ schema }}".purges (
  purged_at TIMESTAMP,
  stream VARCHAR(255),
  integrated_account_id VARCHAR(255),
  rows_purged BIGINT
);
{%- endmacro %}

{% macro purge_stream(schema, table, stream, account) -%}
BEGIN TRANSACTION;
INSERT INTO "{{ schema }}".purges (purged_at, stream, integrated_account_id, rows_purged)
SELECT CURRENT_TIMESTAMP, '{{ stream }}', {{ account }}, COUNT(*)
FROM "{{ schema }}".{{ table }}
WHERE {{ gone(schema, table, stream, account) }}
GROUP BY {{ account }};
DELETE FROM "{{ schema }}".{{ table }}
WHERE {{ gone(schema, table, stream, account) }};
COMMIT;
{%- endmacro %}

{% macro purged_streams() -%}
{{ return({
    'integrated_accounts': 'id',
    'interviews': 'integrated_account_id',
    'applications': 'integrated_account_id',
    'candidates': 'integrated_account_id',
    'jobs': 'integrated_account_id',
    'job_interview_stages': 'integrated_account_id',
    'users': 'integrated_account_id',
    'activities': 'integrated_account_id',
    'attachments': 'integrated_account_id',
    'departments': 'integrated_account_id',
    'eeocs': 'integrated_account_id',
    'job_form_fields': 'integrated_account_id',
    'offers': 'integrated_account_id',
    'offices': 'integrated_account_id',
    'organizations': 'integrated_account_id',
    'reject_reasons': 'integrated_account_id',
    'scorecards': 'integrated_account_id',
    'tags': 'integrated_account_id',
}) }}
{%- endmacro %}
