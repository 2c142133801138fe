"""The accounts, candidates and interviews of the sandbox: invented, and the same for a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

from sandbox.providers import (
    DATES,
    FIELDS,
    PROVIDERS,
    REFERENCES,
    Provider,
    identifier,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Value = Any  # what a row holds
    Row = dict[str, Value]

BEGIN = datetime(2025, 1, 1, 8, tzinfo=timezone.utc)
SPAN = timedelta(days=480)
ENVIRONMENT = identifier("environment")
RESOURCES = ("applications", "candidates", "interviews", "jobs", "job_interview_stages", "users")
CUSTOMISED = (("x_region",), (), ("scorecard_url", "x_region"))
STATUSES = (
    *["scheduled"] * 6,
    *["completed"] * 6,
    *["cancelled"] * 2,
    "awaiting_feedback",
    "draft",
)
PLACES = (
    "Room Ångström, 4th floor",
    'Zimmer "Köln" / links, dann\nrechts',
    "https://meet.example.com/room-7?pwd=a%2Bb&lang=de",
    "電話",
    None,
)
FIRST_NAMES = ("Testa", "Samplo", "Mocka", "Fakir", "Dummy", "Placeholda")
LAST_NAMES = ("McFixture", "van Invented", "Lorem-Ipsum", "O'Example", "Søndbox")


@dataclass
class Interview:
    """One interview: `values` holds every field in the provider's types, whether shown or not."""

    provider: Provider
    number: int
    values: Row
    row: Row = field(init=False)
    raw: Row = field(init=False)

    def __post_init__(self) -> None:
        """Write both forms of the row."""
        self.render()

    @property
    def key(self) -> str:
        """The interview's id as a string."""
        return str(self.values["id"])

    def change(self, fields: Mapping[str, Any]) -> None:
        """Take over fields in canonical form; refuses with `ValueError` what it does not know."""
        if unknown := fields.keys() - FIELDS.keys() - {"custom_fields"}:
            message = f"no such field: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        self.values |= {name: native(self.provider, name, value) for name, value in fields.items()}
        self.render()

    def render(self) -> None:
        """Write the unified row and the provider's own record."""
        self.raw = {}
        for key, source in self.provider.native.items():
            *outer, last = key.split(".")
            inner = self.raw
            for part in outer:
                inner = inner.setdefault(part, {})
            value = self._spelt(part_of(self.values, source))
            inner[last] = [one["id"] for one in value] if source == "interviewers" else value
        shown = {name: self._spelt(self.values.get(name)) for name in FIELDS}
        shown = {name: value for name, value in shown.items() if name in self.provider.fills}
        self.row = {**shown, **(self.values["custom_fields"] or {}), "remote_data": self.raw}

    def canonical(self) -> Row:
        """Return the row as a faultless tap would deliver it, but for the account's id."""
        truth: Row = dict.fromkeys(FIELDS)
        for name in self.provider.fills:
            value = self.values.get(name)
            if isinstance(value, datetime):
                truth[name] = value.isoformat(timespec="microseconds")
            elif name == "interviewers" and value is not None:
                truth[name] = [{**one, "id": str(one["id"])} for one in value]
            elif name in REFERENCES and value is not None:
                truth[name] = {**value, "id": str(value["id"])}
            else:
                truth[name] = value
        return truth | {
            "id": self.key,
            "remote_data": self.raw,
            "custom_fields": self.values["custom_fields"],
        }

    def _spelt(self, value: Value) -> Value:
        return self.provider.spell(value) if isinstance(value, datetime) else value


@dataclass(frozen=True)
class Candidate:
    """One candidate: `row` is what Truto shows, `raw` the provider's own record."""

    number: int
    row: Row
    raw: Row


@dataclass
class Account:
    """An integrated account with its interviews, which are drawn when first asked for."""

    seed: int
    index: int
    id: str
    provider: Provider
    tenant_id: str
    status: str = "active"
    category: str = "ats"
    interview_count: int = 200
    candidate_count: int = 12
    resources: tuple[str, ...] = RESOURCES
    is_blocked: bool = False
    is_sandbox: bool = False
    last_error: Value = None
    created: datetime = field(init=False)
    updated: datetime = field(init=False)
    drawn: int = field(init=False)

    def __post_init__(self) -> None:
        """Date the account by its place among the others."""
        self.drawn = self.interview_count
        self.created = BEGIN + timedelta(hours=self.index)
        self.updated = self.created + timedelta(days=3, milliseconds=120)

    @cached_property
    def interviews(self) -> dict[str, Interview]:
        """The interviews by id, oldest first."""
        step = SPAN / max(1, self.interview_count)
        drawn = (self.draw(n, BEGIN + step * n) for n in range(1, self.interview_count + 1))
        return {interview.key: interview for interview in drawn}

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The candidates, oldest first."""
        return [self._candidate(n) for n in range(1, self.candidate_count + 1)]

    def draw(self, number: int, created: datetime, updated: datetime | None = None) -> Interview:
        """Invent the account's n-th interview."""
        rng = Random(f"{self.seed}/{self.id}/{number}")
        name, instant = self.provider.name_thing, self.provider.instant
        candidate = rng.randint(1, max(1, self.candidate_count))
        status = rng.choice(STATUSES)
        created += timedelta(microseconds=rng.randrange(10**6) // 10 ** rng.randrange(6))
        updated = updated or created + timedelta(days=30 * rng.random())
        start = created.replace(minute=rng.choice((0, 30)), second=0, microsecond=0)
        start += timedelta(days=rng.randint(1, 30))
        planned = status != "draft"
        organizer = rng.choice((1, 1, 2, 3, None))
        users = rng.sample(range(1, 9), rng.choice((0, 1, 1, 2, 3)))
        return Interview(
            self.provider,
            number,
            {
                "id": name("interview", number),
                "type": "interviews",
                "email": f"candidate-{candidate}@example.com",
                "application": {"id": name("application", 100 + candidate)},
                "candidate": {"id": name("candidate", candidate)},
                "created_at": instant(created),
                "updated_at": instant(updated),
                "start_at": instant(start) if planned else None,
                "end_at": instant(start + timedelta(minutes=45)) if planned else None,
                "interviewers": [{"id": name("user", user)} for user in users],
                "job_interview_stage": {"id": name("stage", rng.randint(1, 5))},
                "location": rng.choice(PLACES),
                "organizer": {"id": name("user", organizer)} if organizer else None,
                "status": status,
                "custom_fields": self._custom_fields(number, rng),
            },
        )

    def add(self, fields: Mapping[str, Any]) -> Interview:
        """Add an interview that came into being just now, unless the fields say otherwise."""
        moment = now()
        interview = self.draw(self.drawn + 1, moment, moment)
        interview.change({"created_at": moment.isoformat(), **fields})
        if interview.key in self.interviews:
            message = f"interview {interview.key} exists"
            raise ValueError(message)
        self.interviews[interview.key] = interview
        self.drawn += 1
        return interview

    def listing(self) -> Row:
        """Return the account as GET /integrated-account gives it, both spellings of time in it."""
        return {
            "id": self.id,
            "tenant_id": self.tenant_id,
            "environment_id": ENVIRONMENT,
            "environment_integration_id": identifier(ENVIRONMENT, self.provider.name),
            "status": self.status,
            "is_sandbox": self.is_sandbox,
            "authentication_method": "api_key",
            "region": "eu",
            "context": {},
            "integration": self.integration(),
            "last_error": self.last_error,
            "unified_model_override": None,
            "created_at": self.created.strftime("%Y-%m-%d %H:%M:%S"),
            "updated_at": f"{self.updated:%Y-%m-%dT%H:%M:%S}."
            f"{self.updated.microsecond // 1000:03}Z",
        }

    def integration(self) -> Row:
        """Return the `integration` part of the account."""
        name = self.provider.name
        return {
            "id": identifier("integration", name),
            "name": name,
            "category": self.category,
        }

    def canonical(self) -> list[Row]:
        """Return the truth about the account's interviews."""
        return [self.canonical_row(interview) for interview in self.interviews.values()]

    def canonical_row(self, interview: Interview) -> Row:
        """Return the truth about one of the account's interviews."""
        return {"integrated_account_id": self.id, **interview.canonical()}

    def _custom_fields(self, number: int, rng: Random) -> Row | None:
        values = {
            "x_region": rng.choice(("EMEA", "APAC", None)),
            "scorecard_url": f"https://scores.example.com/{number}?of=5&as=pdf",
        }
        return {name: values[name] for name in CUSTOMISED[self.index % len(CUSTOMISED)]} or None

    def _candidate(self, number: int) -> Candidate:
        rng = Random(f"{self.seed}/{self.id}/candidate/{number}")
        key = self.provider.name_thing("candidate", number)
        first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
        email = f"candidate-{number}@example.com"
        moment = self.provider.spell(BEGIN + timedelta(hours=number))
        raw = {"id": key, "name": f"{first} {last}", "email": email}
        row = {
            "id": key,
            "first_name": first,
            "last_name": last,
            "name": f"{first} {last}",
            "emails": [{"email": email, "type": "personal"}],
            "created_at": moment,
            "updated_at": moment,
            "remote_data": raw,
        }
        return Candidate(number, row, raw)


@dataclass(frozen=True)
class Options:
    """What a world is made from; `accounts`, when given, lists the accounts one by one."""

    seed: int = 1
    accounts_per_provider: int = 1
    interviews: int = 200
    candidates: int = 12
    rate_limits: bool = True
    accounts: tuple[Mapping[str, Any], ...] | None = None


def build(options: Options) -> dict[str, Account]:
    """Make the accounts by id; refuses with `ValueError` or `TypeError` what it does not know."""
    wanted: Iterable[Mapping[str, Any]] = options.accounts or ()
    if options.accounts is None:
        wanted = [{"provider": p} for p in PROVIDERS for _ in range(options.accounts_per_provider)]
    accounts = [_account(options, index, **spec) for index, spec in enumerate(wanted)]
    return {account.id: account for account in accounts}


def _account(options: Options, index: int, *, provider: str, **spec: Any) -> Account:
    if provider not in PROVIDERS:
        message = f"provider {provider!r} is none of {', '.join(PROVIDERS)}"
        raise ValueError(message)
    counts = {
        "interview_count": spec.pop("interviews", options.interviews),
        "candidate_count": spec.pop("candidates", options.candidates),
    }
    given = {
        "id": identifier(options.seed, provider, index),
        "tenant_id": f"customer-{index + 1:04}",
        **spec,
    }
    return Account(options.seed, index, provider=PROVIDERS[provider], **counts, **given)


def native(provider: Provider, name: str, value: Value) -> Value:
    """Turn a canonical value into the provider's type."""
    if value is None:
        return None
    if name == "id":
        return provider.read_id(value)
    if name in DATES:
        return provider.instant(parse(value))
    if name in REFERENCES:
        return {**value, "id": provider.read_id(value["id"])}
    if name == "interviewers":
        return [{**one, "id": provider.read_id(one["id"])} for one in value]
    return value


def part_of(values: Mapping[str, Any], path: str) -> Value:
    """Follow a dotted path into a row; None where it ends early."""
    value: Value = values
    for name in path.split("."):
        value = value.get(name) if value else None
    return value


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(timezone.utc)
