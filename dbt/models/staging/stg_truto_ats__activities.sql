{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ config(enabled='activities' in var('truto_ats_optional_streams')) }}
{{ staged('activities', {
    'integrated_account_id': 'text',
    'id': 'text',
    'actor': 'jsonb',
    'activity_type': 'text',
    'from': 'jsonb',
    'to': 'jsonb',
    'cc': 'jsonb',
    'subject': 'text',
    'body': 'text',
    'visibility': 'text',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}, ids={
    'candidate_id': 'candidate',
    'actor_id': 'actor',
}) }}
