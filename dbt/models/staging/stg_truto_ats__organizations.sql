{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ config(enabled='organizations' in var('truto_ats_optional_streams')) }}
{{ staged('organizations', {
    'integrated_account_id': 'text',
    'id': 'text',
    'name': 'text',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}) }}
