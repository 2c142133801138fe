{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ config(enabled='offices' in var('truto_ats_optional_streams')) }}
{{ staged('offices', {
    'integrated_account_id': 'text',
    'id': 'text',
    'name': 'text',
    'location': 'text',
    'is_remote': 'boolean',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}, ids={
    'parent_id': 'parent',
}) }}
