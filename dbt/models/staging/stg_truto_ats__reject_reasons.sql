{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ config(enabled='reject_reasons' in var('truto_ats_optional_streams')) }}
{{ staged('reject_reasons', {
    'integrated_account_id': 'text',
    'id': 'text',
    'name': 'text',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}) }}
