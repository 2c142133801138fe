{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ config(enabled='departments' in var('truto_ats_optional_streams')) }}
{{ staged('departments', {
    'integrated_account_id': 'text',
    'id': 'text',
    'name': 'text',
    'parent': 'jsonb',
    'status': 'text',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}, ids={
    'parent_id': 'parent',
}) }}
