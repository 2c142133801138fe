{#- Written by `make models`: change the tap's schemas or tests/models.py instead. -#}
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
{{ return(['integrated_accounts', 'interviews', 'applications', 'candidates', 'jobs', 'job_interview_stages', 'users', 'activities', 'attachments', 'departments', 'eeocs', 'job_form_fields', 'offers', 'offices', 'organizations', 'reject_reasons', 'scorecards', 'tags']) }}
{%- endmacro %}
