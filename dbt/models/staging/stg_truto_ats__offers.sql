{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ config(enabled='offers' in var('truto_ats_optional_streams')) }}
{{ staged('offers', {
    'integrated_account_id': 'text',
    'id': 'text',
    'closed_at': 'timestamptz',
    'sent_at': 'timestamptz',
    'start_date': 'timestamptz',
    'status': 'text',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}, ids={
    'application_id': 'application',
    'candidate_id': 'candidate',
    'job_id': 'job',
    'creator_id': 'creator',
}) }}
