{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ config(enabled='job_form_fields' in var('truto_ats_optional_streams')) }}
{{ staged('job_form_fields', {
    'integrated_account_id': 'text',
    'id': 'text',
    'name': 'text',
    'label': 'text',
    'index': 'bigint',
    'is_required': 'boolean',
    'answer_visibility': 'text',
    'description': 'text',
    'type': 'text',
    'options': 'jsonb',
    'group_id': 'text',
    'group_name': 'text',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}, ids={
    'job_id': 'job',
}, lists={
    'option_ids': 'options',
}) }}
