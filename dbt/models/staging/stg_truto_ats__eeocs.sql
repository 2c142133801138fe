{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ config(enabled='eeocs' in var('truto_ats_optional_streams')) }}
{{ staged('eeocs', {
    'integrated_account_id': 'text',
    'id': 'text',
    'submitted_at': 'timestamptz',
    'race': 'text',
    'gender': 'text',
    'veteran_status': 'text',
    'disability_status': 'text',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}, ids={
    'candidate_id': 'candidate',
}) }}
