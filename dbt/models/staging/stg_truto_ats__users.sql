{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ staged('users', {
    'integrated_account_id': 'text',
    'id': 'text',
    'first_name': 'text',
    'last_name': 'text',
    'name': 'text',
    'emails': 'jsonb',
    'disabled': 'boolean',
    'access_role': 'text',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}) }}
