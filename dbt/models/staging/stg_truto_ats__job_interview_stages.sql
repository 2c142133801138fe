{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ staged('job_interview_stages', {
    'integrated_account_id': 'text',
    'id': 'text',
    'name': 'text',
    'status': 'text',
    'position': 'bigint',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}, ids={
    'job_id': 'job',
}) }}
