"""The resources of Truto's unified ATS API that the tap reads, as data.

What differs between providers stands in these tables and nowhere else. A resource's columns are in
`schemas/<name>.json`. Sources are Truto's reference pages, one for each resource.
"""

from __future__ import annotations

from tap_truto_ats.model.declaration import ALL, UNCHECKED, Filter, Requirement, declare


def _at(name: str) -> Filter:
    return Filter(name, is_date_time=True)


CREATED, UPDATED = _at("created_at"), _at("updated_at")
ANY = {
    name: (Filter(name, is_date_time=True, is_documented=False), ALL)
    for name in ("created_at", "updated_at")
}
"""The filters that every resource takes by Truto's page on querying; used where the reference page
of the resource's list, and with it further filters, is not known."""

JOB = Requirement("job_id", "jobs")
CANDIDATE = Requirement("candidate_id", "candidates")

RESOURCES = {
    resource.name: resource
    for resource in (
        declare(
            "interviews",
            "Scheduled interviews of candidates",
            is_default=True,
            providers="ashby ceipal fountain greenhouse pinpoint",
            fills={
                "id": ALL,
                "application": "ashby ceipal greenhouse pinpoint",
                "candidate": "ceipal fountain",
                "created_at": "ashby ceipal greenhouse pinpoint",
                "end_at": "ashby fountain greenhouse pinpoint",
                "interviewers": "ashby ceipal fountain greenhouse",
                "job_interview_stage": "ashby ceipal fountain pinpoint",
                "location": "ashby ceipal fountain greenhouse",
                "organizer": "ceipal greenhouse",
                "start_at": "ashby greenhouse pinpoint",
                "status": "ashby fountain greenhouse pinpoint",
                "updated_at": "ceipal greenhouse pinpoint",
            },
            filters={
                "application_id": (Filter("application.id"), "ashby greenhouse"),
                # Unchecked: by the page's words, Fountain may want an application's id here.
                "candidate_id": (UNCHECKED, "fountain"),
                "created_at": (CREATED, "ashby ceipal greenhouse pinpoint"),
                "end_at": (_at("end_at"), "ashby fountain greenhouse pinpoint"),
                "job_interview_stage_id": (Filter("job_interview_stage.id"), "ashby"),
                "start_at": (_at("start_at"), "ashby greenhouse pinpoint"),
                "updated": (UPDATED, "greenhouse"),
            },
            requires={(CANDIDATE,): "fountain"},
            schedule={"start_at": "ashby", "end_at": "fountain"},
        ),
        declare(
            "applications",
            "Applications of candidates for jobs",
            is_default=True,
            providers="ashby greenhouse jobscore loxo pinpoint teamtailor zohorecruit",
            filters={
                "created_at": (CREATED, ALL),
                "updated_at": (UPDATED, ALL),
                "candidate_id": (Filter("candidate.id"), "jobscore"),
                # Unchecked: an application at Greenhouse can be for several jobs, a row names one.
                "job_id": (UNCHECKED, "greenhouse"),
                "jobs[id]": (UNCHECKED, "loxo"),
            },
            requires={
                (CANDIDATE,): "jobscore",
                (Requirement("jobs[id]", "jobs"),): "loxo",
            },
        ),
        # The page has the filters `name`, `tags`, `title` and `company` as well, but does not name
        # their providers. At `emails[email]`, it names as many providers as list candidates.
        declare(
            "candidates",
            "People who applied or were sourced",
            is_default=True,
            providers=(
                "applicantstack ashby bamboohr breezy cats ceipal fountain greenhouse homerun"
                " hrcloud jazzhr jobscore jobvite keka lever loxo recruitee recruiterflow sagehr"
                " smartrecruiters talentlyft teamtailor workable zohorecruit"
            ),
            inferred="pinpoint",
            partial=(
                "applicantstack bamboohr breezy cats homerun jazzhr loxo recruitee sagehr"
                " smartrecruiters talentlyft workable"
            ),
            filters={
                "created_at": (
                    CREATED,
                    "greenhouse hrcloud jobscore lever teamtailor workable zohorecruit",
                ),
                "updated_at": (
                    UPDATED,
                    (
                        "greenhouse hrcloud jobvite lever smartrecruiters teamtailor workable"
                        " zohorecruit"
                    ),
                ),
                "emails[email]": (UNCHECKED, ALL),
                "job_id": (
                    UNCHECKED,
                    "bamboohr breezy greenhouse homerun lever sagehr smartrecruiters workable",
                ),
                "job[id]": (UNCHECKED, "fountain workable"),
                "organization_id": (UNCHECKED, "breezy"),
            },
            requires={(JOB,): "breezy sagehr"},
        ),
        # Most of these providers are named on the page for a single job only.
        declare(
            "jobs",
            "Jobs, or requisitions",
            is_default=True,
            providers=(
                "applicantstack ashby bamboohr breezy cats ceipal fountain greenhouse homerun"
                " jazzhr jobscore jobsoid jobvite lever loxo pinpoint recruitee recruiterflow"
                " sagehr smartrecruiters talentlyft teamtailor workable zohorecruit"
            ),
            partial="applicantstack ashby bamboohr cats",
            filters=ANY,
        ),
        declare(
            "job_interview_stages",
            "Stages of the jobs' pipelines",
            is_default=True,
            providers="ashby bamboohr cats jobscore",
            inferred=(
                "fountain greenhouse homerun jobvite lever loxo recruiterflow teamtailor workable"
                " zohorecruit"
            ),
            filters=ANY,
        ),
        declare(
            "users",
            "Users of the applicant tracking system: recruiters, interviewers",
            is_default=True,
            providers=(
                "ashby fountain greenhouse lever loxo pinpoint recruiterflow talentlyft workable"
            ),
            inferred="recruitee teamtailor",
            filters={
                "access_role": (UNCHECKED, "workable"),
                "emails": (UNCHECKED, "workable"),
                "name": (UNCHECKED, "workable"),
            },
        ),
        declare(
            "activities",
            "Notes on candidates, and e-mails",
            providers="ashby breezy fountain greenhouse workable",
            inferred="lever recruitee",
            filters={
                "activity_type": (Filter("activity_type"), ALL),
                # Unchecked: Fountain is asked by a candidate's id, whatever actor a row names.
                "actor[id]": (UNCHECKED, ALL),
                "candidate[id]": (Filter("candidate.id"), ALL),
                "candidate_id": (Filter("candidate.id"), "ashby breezy greenhouse"),
                "created_at": (CREATED, "ashby fountain greenhouse workable"),
                "job_id": (UNCHECKED, "breezy"),
                "organization_id": (UNCHECKED, "breezy"),
            },
            requires={
                (CANDIDATE,): "ashby greenhouse",
                (JOB, CANDIDATE): "breezy",
                (Requirement("actor[id]", "candidates"),): "fountain",
            },
        ),
        # By the page, Fountain wants an application's id as `candidate_id`, but it lists no
        # applications; so its candidates' ids are sent.
        declare(
            "attachments",
            "Files of candidates and applications",
            providers="ashby breezy fountain greenhouse jobscore lever loxo zohorecruit",
            filters={
                "application_id": (Filter("application.id"), "greenhouse zohorecruit"),
                "candidate_id": (UNCHECKED, ALL),
                "expires_in": (UNCHECKED, "fountain"),
                "job_id": (Filter("job.id"), "breezy"),
                "organization_id": (UNCHECKED, "breezy"),
            },
            requires={
                (CANDIDATE,): "ashby fountain jobscore lever loxo",
                (JOB, CANDIDATE): "breezy",
            },
        ),
        declare(
            "departments",
            "Departments",
            providers="ashby greenhouse jobscore recruitee",
            inferred="pinpoint workable",
            filters={"created_at": (CREATED, "jobscore"), "updated_at": (UPDATED, "jobscore")},
        ),
        declare(
            "eeocs",
            "Candidates' answers on equal employment: race, gender, veteran, disability",
            providers="greenhouse",
            consent="include_eeocs",
            filters=ANY,
        ),
        declare(
            "job_form_fields",
            "Fields of the jobs' application forms",
            replication_key=None,
            providers="ashby breezy greenhouse lever",
            filters={
                "job_id": (Filter("job.id"), ALL),
                "organization_id": (UNCHECKED, "breezy"),
            },
            requires={(JOB,): ALL},
        ),
        declare(
            "offers",
            "Job offers",
            providers="ashby greenhouse",
            filters={
                "application_id": (Filter("application.id"), ALL),
                "closed_at": (_at("closed_at"), ALL),
                "created_at": (CREATED, ALL),
                "sent_at": (_at("sent_at"), ALL),
                "start_date": (_at("start_date"), ALL),
                "updated_at": (UPDATED, "greenhouse"),
            },
        ),
        declare(
            "offices",
            "Offices",
            providers="ashby greenhouse jobvite keka pinpoint",
            filters={"country": (UNCHECKED, "jobvite"), "name": (UNCHECKED, ALL)},
        ),
        declare(
            "organizations",
            "Organizations that jobs belong to",
            replication_key=None,
            providers="breezy jobvite loxo",
            filters={},
        ),
        declare(
            "reject_reasons",
            "Reasons for rejecting an application",
            providers="ashby",
            inferred="greenhouse",
            filters=ANY,
        ),
        declare(
            "scorecards",
            "Interviewers' feedback",
            providers="ashby breezy greenhouse",
            filters={
                "application_id": (Filter("application.id"), "greenhouse"),
                "candidate_id": (Filter("candidate.id"), "breezy"),
                "job_id": (UNCHECKED, "breezy"),
                "organization_id": (UNCHECKED, "breezy"),
            },
            requires={(JOB, CANDIDATE): "breezy"},
        ),
        declare(
            "tags",
            "Tags of candidates",
            providers="ashby jobscore",
            inferred="greenhouse lever recruitee zohorecruit",
            filters=ANY,
        ),
    )
}
"""By name: first those that are selected by default, then the others."""

ACCOUNTS = "integrated_accounts"
"""The stream that is no resource of the unified API."""

PROVIDERS = frozenset().union(*(resource.offers for resource in RESOURCES.values()))
"""The applicant tracking systems, as `provider_key` writes their names."""

PARAMETERS = frozenset().union(*(resource.filters for resource in RESOURCES.values()))
"""Every filter of any resource: a provider may require one that the resource's page lacks."""
