{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ staged('integrated_accounts', {
    'id': 'text',
    'tenant_id': 'text',
    'integration_name': 'text',
    'status': 'text',
    'is_sandbox': 'boolean',
    'last_error': 'text',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
}, account='id') }}
