{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ staged('applications', {
    'integrated_account_id': 'text',
    'id': 'text',
    'applied_at': 'timestamptz',
    'rejected_at': 'timestamptz',
    'source': 'jsonb',
    'credited_to': 'jsonb',
    'current_stage': 'jsonb',
    'reject_reason': 'text',
    'attachments': 'jsonb',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}, ids={
    'candidate_id': 'candidate',
    'job_id': 'job',
    'source_id': 'source',
    'credited_to_id': 'credited_to',
    'current_stage_id': 'current_stage',
}, lists={
    'attachment_ids': 'attachments',
}) }}
