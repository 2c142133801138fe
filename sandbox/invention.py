"""What the things of each resource hold: invented values, always the same for a seed.

Things refer to one another. All of the n-th thing of a kind follows from its number, so that it can
be invented without the others: a job has `STAGES` stages and `QUESTIONS` form fields, a candidate
has one application or (every third) two, for two jobs if there are as many.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sandbox.accounts import END, Invention
from sandbox.company import (
    COMPANY,
    DEPARTMENTS,
    EARLY,
    OFFICES,
    REASONS,
    TAGS,
    USERS,
    draw_user,
    person,
)
from sandbox.hiring import (
    DECISION,
    NOTICE,
    STAGES,
    applicant,
    applications_of,
    interviewed,
    job_applied_for,
    offered,
    rejected_at,
    stage_at,
    status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from sandbox.accounts import Account, Draft
    from sandbox.resources import Row

    Numbers = Callable[[Account], Iterable[int]]
    When = Callable[[Account, int], datetime]

QUESTIONS = (("cv", "file"), ("why_us", "textarea"), ("start", "dropdown"))
JOB_NAMES = ("Sample Engineer", "Test Nurse (m/f/d)", "Chef de démo", "Fixture Fitter")
SOURCES = ("Job board", "Referral")
PLACES = (
    "Room Ångström, 4th floor",
    'Zimmer "Köln" / links, dann\nrechts',
    "https://meet.example.com/room-7?pwd=a%2Bb&lang=de",
    "電話",
    None,
)


def _refer_to(it: Draft, application: int) -> Row:
    """Refer to an application, its candidate and its job."""
    return {
        "application": it.ref("applications", application),
        "candidate": it.ref("candidates", applicant(it.account, application)),
        "job": it.ref("jobs", job_applied_for(it.account, application)),
    }


def _interview(it: Draft) -> Row:
    rng = it.rng
    application = interviewed(it.account, rng, it.created)
    start = it.created.replace(minute=rng.choice((0, 30)), second=0, microsecond=0)
    start += timedelta(days=rng.randint(1, NOTICE.days))
    word = status(rng, start)
    planned = word != "draft"
    organizer = rng.choice((1, 1, 2, 3, None))
    users = rng.sample(range(1, USERS + 1), rng.choice((0, 1, 1, 2, 3)))
    stage = stage_at(it.account, application, start)
    return _refer_to(it, application) | {
        "email": f"candidate-{applicant(it.account, application)}@example.com",
        "start_at": start if planned else None,
        "end_at": start + timedelta(minutes=45) if planned else None,
        "interviewers": [it.ref("users", user) for user in users],
        "job_interview_stage": it.ref("job_interview_stages", stage),
        "location": rng.choice(PLACES),
        "organizer": it.ref("users", organizer) if organizer else None,
        "status": word,
    }


def _application(it: Draft) -> Row:
    rng = it.rng
    stage = stage_at(it.account, it.number, END)
    source = rng.randrange(len(SOURCES))
    rejected = rejected_at(it.account, it.number, rng)
    references = _refer_to(it, it.number)
    return {
        "candidate": references["candidate"],
        "job": references["job"],
        "applied_at": it.created,
        "rejected_at": rejected,
        "source": it.ref("sources", source + 1) | {"name": SOURCES[source]},
        "credited_to": it.part("users", draw_user(it), "first_name", "last_name", "emails"),
        "current_stage": it.part(
            "job_interview_stages", stage, "name", "job", "created_at", "updated_at"
        ),
        "reject_reason": rng.choice(REASONS) if rejected else None,
        "attachments": [it.account.invent("attachments", it.number)],
    }


def _candidate(it: Draft) -> Row:
    rng = it.rng
    tag = rng.randint(1, len(TAGS))
    applications = applications_of(it.number)
    return person(rng, f"candidate-{it.number}@example.com", "personal") | {
        "company": rng.choice(("Example & Sons", None)),
        "title": rng.choice(("Tester", "Ingénieure", None)),
        "last_interaction_at": it.after(12),
        "is_private": rng.choice(("true", "false", None)),
        "can_email": rng.choice((True, False)),
        "locations": [rng.choice(OFFICES)],
        "phones": [{"number": f"+49 30 23125 {it.number:03}", "extension": None, "type": "mobile"}],
        "urls": [{"url": f"https://people.example.com/{it.number}?a=b&c=d", "type": "portfolio"}],
        "tags": [it.part("tags", tag, "name")],
        "applications": [it.account.invent("applications", one) for one in applications],
        "attachments": [it.account.invent("attachments", one) for one in applications],
    }


def _job(it: Draft) -> Row:
    rng = it.rng
    office = rng.randint(1, len(OFFICES))
    url = f"https://jobs.example.com/{it.number}?src=a%20b"
    return {
        "name": JOB_NAMES[(it.number - 1) % len(JOB_NAMES)],
        "description": "<p>Invented &amp; never filled.</p>",
        "code": f"J-{it.number:03}",
        "requisition_id": f"R{it.number}",
        "status": rng.choice(("open", "open", "closed")),
        "locations": [OFFICES[office - 1]],
        "job_posting_urls": [{"url": url, "type": "external"}],
        "confidential": rng.choice((True, False)),
        "departments": [it.part("departments", rng.randint(1, len(DEPARTMENTS)), "name")],
        "teams": [{"name": "Team A"}],
        "offices": [it.part("offices", office, "name")],
        "hiring_managers": [it.part("users", draw_user(it), "name")],
        "recruiters": [it.part("users", draw_user(it), "name")],
        "tags": [rng.choice(TAGS)],
        "is_remote": office == len(OFFICES),
        "job_type": rng.choice(("full_time", "part_time")),
    }


def _stage(it: Draft) -> Row:
    job, position = divmod(it.number - 1, len(STAGES))
    return {
        "name": STAGES[position],
        "status": "active",
        "job": it.ref("jobs", job % it.account.last("jobs") + 1),
        "position": position + 1,
    }


def _interview_scored(scorecard: int) -> int:
    """Return the number of the interview that a scorecard is of."""
    return 2 * scorecard - 1


def _scorecard(it: Draft) -> Row:
    interview = it.account.invent("interviews", _interview_scored(it.number))
    interviewers = interview["interviewers"] or [it.ref("users", 1)]
    choice = it.rng.choice(("strong_yes", "yes", "no", None))
    verdict = choice if interview["status"] == "completed" else None
    answer = {"name": "skill", "label": "Skill?", "description": None, "value": verdict}
    return {
        "application": interview["application"],
        "candidate": interview["candidate"],
        "job": interview["job"],
        "interview": {"id": interview["id"]},
        "interviewer": interviewers[0],
        "submitted_at": it.after(2) if verdict else None,
        "overall_recommendation": verdict,
        "form_values": [answer],
    }


def _offer(it: Draft) -> Row:
    status = it.rng.choice(("draft", "sent", "signed", "denied"))
    return _refer_to(it, offered(it.number)) | {
        "creator": it.ref("users", draw_user(it)),
        "closed_at": it.after(9) if status in {"signed", "denied"} else None,
        "sent_at": None if status == "draft" else it.after(2),
        "start_date": it.after(60).replace(hour=0, minute=0, second=0, microsecond=0),
        "status": status,
    }


def _activity(it: Draft) -> Row:
    """Invent a note on a candidate by a user, or an e-mail of the candidate's."""
    candidate = (it.number - 1) // 2 % it.account.last("candidates") + 1
    is_note = it.number % 2
    references = _refer_to(it, it.rng.choice(applications_of(candidate)))
    author = it.ref("users", draw_user(it)) if is_note else references["candidate"]
    address = {"email": f"candidate-{candidate}@example.com", "name": None}
    return {
        "candidate": references["candidate"],
        "job": references["job"],
        "actor": author | {"type": "user" if is_note else "candidate"},
        "activity_type": "note" if is_note else "email",
        "from": [] if is_note else [address],
        "to": [] if is_note else [{"email": "user-1@example.com", "name": "The team"}],
        "cc": [],
        "subject": None if is_note else "Re: Grüße",
        "body": it.rng.choice(("Invented note", "Line one\nline two")),
        "visibility": it.rng.choice(("private", "public", "admin_only")),
    }


def _attachment(it: Draft) -> Row:
    name = f"cv {it.number}.pdf"
    return _refer_to(it, it.number) | {
        "file_name": name,
        "file_url": f"https://files.example.com/{it.number}?sig=a%2Bb&name={name}",
        "attachment_type": it.rng.choice(("resume", "cover_letter", "other")),
    }


def _eeoc(it: Draft) -> Row:
    declined = "Decline to answer"
    return {
        "candidate": it.ref("candidates", (it.number - 1) % it.account.last("candidates") + 1),
        "submitted_at": it.created,
        "race": declined,
        "gender": it.rng.choice(("x", declined)),
        "veteran_status": declined,
        "disability_status": declined,
    }


def _form_field(it: Draft) -> Row:
    job, index = divmod(it.number - 1, len(QUESTIONS))
    name, kind = QUESTIONS[index]
    options = [
        it.ref("options", n) | {"label": label, "value": label.lower()}
        for n, label in enumerate(("Now", "Later"), 1)
    ]
    return {
        "name": name,
        "job": it.ref("jobs", job % it.account.last("jobs") + 1),
        "label": name.replace("_", " ").title(),
        "index": index,
        "is_required": it.rng.choice((True, False)),
        "answer_visibility": it.rng.choice(("private", "public")),
        "description": it.rng.choice(("As you like", None)),
        "type": kind,
        "options": options if kind == "dropdown" else [],
        "group_id": "group-1",
        "group_name": "About you",
    }


DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)

HIRING, INTERVIEWING = (EARLY[1], 1), (0.15, 1)
"""When things came into being: jobs before applications for them, and those before interviews."""


def _by(kind: str, number: Callable[[int], int], gap: timedelta) -> When:
    """Date each thing by the one that it belongs to, of which `number` tells the number."""
    return lambda account, own: account.born(kind, number(own)) + gap


def _per(kind: str, times: int = 1, share: int = 1) -> Numbers:
    """Number so many for each thing of a kind, or one for each `share` of them."""
    return lambda account: range(1, account.counts[kind] * times // share + 1)


def _applications(account: Account) -> Iterable[int]:
    candidates = range(1, account.counts["candidates"] + 1)
    return [one for candidate in candidates for one in applications_of(candidate)]


INVENTED: Mapping[str, Invention] = {
    **COMPANY,
    "interviews": Invention(_per("interviews"), _interview, INTERVIEWING),
    "applications": Invention(_applications, _application, HIRING),
    "candidates": Invention(
        _per("candidates"),
        _candidate,
        dated=_by("applications", lambda n: applications_of(n)[0], -MINUTE),
    ),
    "jobs": Invention(_per("jobs"), _job, EARLY),
    "job_interview_stages": Invention(_per("jobs", len(STAGES)), _stage, EARLY),
    "scorecards": Invention(
        _per("interviews", share=2),
        _scorecard,
        dated=_by("interviews", _interview_scored, NOTICE + DAY),
    ),
    "offers": Invention(
        _per("candidates", share=4), _offer, dated=_by("applications", offered, DECISION)
    ),
    "activities": Invention(
        _per("candidates", 2), _activity, dated=_by("candidates", lambda n: (n + 1) // 2, DAY)
    ),
    "attachments": Invention(_applications, _attachment, dated=_by("applications", int, DAY)),
    "eeocs": Invention(_per("candidates"), _eeoc, dated=_by("candidates", int, DAY)),
    "job_form_fields": Invention(_per("jobs", len(QUESTIONS)), _form_field),
}
"""How the things of each resource are invented."""
