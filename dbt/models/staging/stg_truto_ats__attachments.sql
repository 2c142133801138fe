{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ config(enabled='attachments' in var('truto_ats_optional_streams')) }}
{{ staged('attachments', {
    'integrated_account_id': 'text',
    'id': 'text',
    'file_name': 'text',
    'file_url': 'text',
    'attachment_type': 'text',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}, ids={
    'candidate_id': 'candidate',
    'application_id': 'application',
    'job_id': 'job',
}) }}
