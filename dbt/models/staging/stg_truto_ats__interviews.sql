{#- Written by `make models`: change the tap's schemas or documentation/models.py instead. -#}
{{ staged('interviews', {
    'integrated_account_id': 'text',
    'id': 'text',
    'created_at': 'timestamptz',
    'end_at': 'timestamptz',
    'interviewers': 'jsonb',
    'location': 'text',
    'start_at': 'timestamptz',
    'status': 'text',
    'updated_at': 'timestamptz',
    'remote_data': 'jsonb',
    'custom_fields': 'jsonb',
}, ids={
    'application_id': 'application',
    'candidate_id': 'candidate',
    'job_interview_stage_id': 'job_interview_stage',
    'organizer_id': 'organizer',
}, lists={
    'interviewer_ids': 'interviewers',
}) }}
