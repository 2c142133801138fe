-- Interviews with the names behind their ids, as views beside the tables that MeltanoLabs'
-- target-postgres has loaded. They need applications, candidates, interviews, jobs,
-- job_interview_stages, users and integrated_accounts, which the tap selects by default.
-- Ids are unique within an account only, so every join is by integrated_account_id and id.

-- Applications. Where a provider does not list them, its candidates may hold them.
CREATE OR REPLACE VIEW truto_ats.known_applications AS
SELECT DISTINCT ON (integrated_account_id, id)
    integrated_account_id,
    id,
    candidate_id,
    job_id,
    current_stage
FROM (
    SELECT
        integrated_account_id,
        id,
        candidate ->> 'id' AS candidate_id,
        job ->> 'id' AS job_id,
        current_stage,
        1 AS choice
    FROM truto_ats.applications
    UNION ALL
    SELECT
        candidates.integrated_account_id,
        application ->> 'id',
        candidates.id,
        application -> 'job' ->> 'id',
        application -> 'current_stage',
        2
    FROM truto_ats.candidates
    CROSS JOIN unnest(candidates.applications) AS application
    WHERE application ->> 'id' IS NOT NULL
) AS found
ORDER BY integrated_account_id, id, choice, candidate_id;

-- Stages. Where a provider does not list them, the applications that are in one tell its name.
CREATE OR REPLACE VIEW truto_ats.known_stages AS
SELECT DISTINCT ON (integrated_account_id, id)
    integrated_account_id,
    id,
    name,
    job_id,
    "position"
FROM (
    SELECT
        integrated_account_id,
        id,
        name,
        job ->> 'id' AS job_id,
        "position",
        1 AS choice
    FROM truto_ats.job_interview_stages
    UNION ALL
    SELECT
        integrated_account_id,
        current_stage ->> 'id',
        current_stage ->> 'name',
        current_stage -> 'job' ->> 'id',
        NULL,
        2
    FROM truto_ats.known_applications
    WHERE current_stage ->> 'id' IS NOT NULL
) AS found
ORDER BY integrated_account_id, id, choice, name, job_id;

-- One row for each interview. An interview without a candidate has that of its application; its
-- job is that of its application, or of its stage. What a provider does not tell is null.
CREATE OR REPLACE VIEW truto_ats.interview_details AS
SELECT
    interviews.integrated_account_id,
    interviews.id,
    accounts.tenant_id,
    accounts.integration_name AS provider,
    jobs.id AS job_id,
    jobs.name AS job,
    interviews.job_interview_stage ->> 'id' AS stage_id,
    stages.name AS stage,
    stages."position" AS stage_position,
    coalesce(interviews.candidate ->> 'id', applications.candidate_id) AS candidate_id,
    coalesce(
        candidates.name,
        nullif(concat_ws(' ', candidates.first_name, candidates.last_name), '')
    ) AS candidate,
    people.interviewer_ids,
    people.interviewers,
    coalesce(
        organizers.name,
        nullif(concat_ws(' ', organizers.first_name, organizers.last_name), '')
    ) AS organizer,
    interviews.status,
    interviews.start_at,
    interviews.end_at,
    interviews.location,
    interviews.created_at,
    interviews.updated_at
FROM truto_ats.interviews
LEFT JOIN truto_ats.integrated_accounts AS accounts
    ON accounts.id = interviews.integrated_account_id
LEFT JOIN truto_ats.known_applications AS applications
    ON applications.integrated_account_id = interviews.integrated_account_id
    AND applications.id = interviews.application ->> 'id'
LEFT JOIN truto_ats.known_stages AS stages
    ON stages.integrated_account_id = interviews.integrated_account_id
    AND stages.id = interviews.job_interview_stage ->> 'id'
LEFT JOIN truto_ats.jobs
    ON jobs.integrated_account_id = interviews.integrated_account_id
    AND jobs.id = coalesce(applications.job_id, stages.job_id)
LEFT JOIN truto_ats.candidates
    ON candidates.integrated_account_id = interviews.integrated_account_id
    AND candidates.id = coalesce(interviews.candidate ->> 'id', applications.candidate_id)
LEFT JOIN truto_ats.users AS organizers
    ON organizers.integrated_account_id = interviews.integrated_account_id
    AND organizers.id = interviews.organizer ->> 'id'
CROSS JOIN LATERAL (
    SELECT
        array_agg(interviewer ->> 'id' ORDER BY place) AS interviewer_ids,
        array_agg(
            coalesce(users.name, nullif(concat_ws(' ', users.first_name, users.last_name), ''))
            ORDER BY place
        ) FILTER (WHERE users.id IS NOT NULL) AS interviewers
    FROM unnest(interviews.interviewers) WITH ORDINALITY AS listed (interviewer, place)
    LEFT JOIN truto_ats.users
        ON users.integrated_account_id = interviews.integrated_account_id
        AND users.id = interviewer ->> 'id'
    WHERE interviewer ->> 'id' IS NOT NULL
) AS people;

-- For each tenant: how many interviews a job has in a stage, with whom, and by whom.
CREATE OR REPLACE VIEW truto_ats.interviews_by_job_and_stage AS
SELECT
    details.tenant_id,
    details.provider,
    details.job_id,
    details.job,
    details.stage_id,
    details.stage,
    count(DISTINCT (details.integrated_account_id, details.id)) AS interviews,
    min(details.start_at) AS first_start_at,
    max(details.start_at) AS last_start_at,
    array_agg(DISTINCT details.candidate)
        FILTER (WHERE details.candidate IS NOT NULL) AS candidates,
    array_agg(DISTINCT interviewer) FILTER (WHERE interviewer IS NOT NULL) AS interviewers
FROM truto_ats.interview_details AS details
LEFT JOIN LATERAL unnest(details.interviewers) AS interviewer ON true
GROUP BY
    details.integrated_account_id,
    details.tenant_id,
    details.provider,
    details.job_id,
    details.job,
    details.stage_id,
    details.stage,
    details.stage_position
ORDER BY
    details.tenant_id,
    details.provider,
    details.job,
    details.job_id,
    details.stage_position,
    details.stage;
