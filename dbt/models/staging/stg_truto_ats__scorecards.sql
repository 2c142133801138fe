{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ config(enabled='scorecards' in var('truto_ats_optional_streams')) }}
{{ staged('scorecards', {
    'integrated_account_id': 'text',
    'id': 'text',
    'submitted_at': 'timestamptz',
    'overall_recommendation': 'text',
    'form_values': 'jsonb',
    'created_at': 'timestamptz',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}, ids={
    'application_id': 'application',
    'candidate_id': 'candidate',
    'interview_id': 'interview',
    'interviewer_id': 'interviewer',
}) }}
