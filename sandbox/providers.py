"""What sets the five providers apart, read off the reference page of the interviews list."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ALL = "ashby ceipal fountain greenhouse pinpoint"

FIELDS: Mapping[str, str] = {
    "id": _ALL,
    "application": "ashby ceipal greenhouse pinpoint",
    "candidate": "ceipal fountain",
    "created_at": "ashby ceipal greenhouse pinpoint",
    "end_at": "ashby fountain greenhouse pinpoint",
    "interviewers": "ashby ceipal fountain greenhouse",
    "job_interview_stage": "ashby ceipal fountain pinpoint",
    "location": "ashby ceipal fountain greenhouse",
    "organizer": "ceipal greenhouse",
    "remote_data": _ALL,
    "start_at": "ashby greenhouse pinpoint",
    "status": "ashby fountain greenhouse pinpoint",
    "updated_at": "ceipal greenhouse pinpoint",
}
"""The fields of an interview and the providers that fill them."""

FILTERS: Mapping[str, str] = {
    "application_id": "ashby greenhouse",
    "created_at": "ashby ceipal greenhouse pinpoint",
    "job_interview_stage_id": "ashby",
    "candidate_id": "fountain",
    "updated": "greenhouse",
    "start_at": "ashby greenhouse pinpoint",
    "end_at": "ashby fountain greenhouse pinpoint",
}
"""The query parameters of the interviews list and the providers that honour them."""

REQUIRED: Mapping[str, str] = {"candidate_id": "fountain"}
"""The query parameters without which a provider refuses."""

TARGETS: Mapping[str, str] = {
    "application_id": "application.id",
    "created_at": "created_at",
    "job_interview_stage_id": "job_interview_stage.id",
    "candidate_id": "candidate.id",
    "updated": "updated_at",
    "start_at": "start_at",
    "end_at": "end_at",
}
"""The part of an interview that a filter looks at."""

DATES = frozenset({"created_at", "updated_at", "start_at", "end_at"})
REFERENCES = frozenset({"application", "candidate", "job_interview_stage", "organizer"})
KINDS = ("interview", "application", "candidate", "stage", "user")

_NAMESPACE = uuid.UUID("5eed0000-0000-4000-8000-000000000000")
_DATE_TIME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<minute>\d\d:\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?:(?P<utc>Z)|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d))?)?",
)


def parse(text: str) -> datetime:
    """Read an ISO 8601 date-time in any spelling used here; zoneless means UTC."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        message = f"not an ISO 8601 date-time: {text!r}"
        raise ValueError(message)
    part = found.groupdict("")
    fraction = part["fraction"][:6].ljust(6, "0")
    offset = timedelta(hours=int(part["hours"] or 0), minutes=int(part["minutes"] or 0))
    local = datetime.fromisoformat(
        f"{part['date']}T{part['minute'] or '00:00'}:{part['second'] or '00'}.{fraction}+00:00",
    )
    return local + offset if part["sign"] == "-" else local - offset


def identifier(*parts: object) -> str:
    """Return the UUID that belongs to the parts, always the same."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts))))


@dataclass(frozen=True)
class Cursor:
    """How a place in a list is written as an opaque cursor and read back.

    The template holds characters that must be percent-encoded exactly once, so a client that
    encodes twice or not at all sends something that does not match it.
    """

    template: str
    base64: bool = False

    def write(self, position: str) -> str:
        """Return the cursor of a position (a number in decimal digits)."""
        text = self.template.format(position)
        return base64.b64encode(text.encode("latin-1")).decode() if self.base64 else text

    def read(self, cursor: str) -> str:
        """Return the position of a cursor; `ValueError` if it is not as it was handed out."""
        text = cursor
        if self.base64:
            try:
                text = base64.b64decode(cursor.encode(), validate=True).decode("latin-1")
            except binascii.Error as error:
                raise ValueError(cursor) from error
        before, after = self.template.split("{}")
        position = text[len(before) : len(text) - len(after)]
        if text != f"{before}{position}{after}" or not re.fullmatch("[0-9]+", position):
            raise ValueError(cursor)
        return position


@dataclass(frozen=True)
class Provider:
    """One applicant tracking system.

    `spell` writes an instant the provider's way, `name_thing` makes the id of its n-th thing of
    a kind, `read_id` gives an id the provider's type. `keyset` says whether a cursor stands for
    the last row seen (new rows follow) or for a number of rows (the newest row comes first, so
    a change moves all others). `native` maps the keys of its raw record to an interview's parts.
    """

    name: str
    label: str
    spell: Callable[[datetime], str]
    name_thing: Callable[[str, int], str | int]
    read_id: Callable[[str], str | int]
    cursor: Cursor
    keyset: bool
    native: Mapping[str, str]

    @property
    def fills(self) -> frozenset[str]:
        """The fields that its unified rows have."""
        return frozenset(field for field, names in FIELDS.items() if self.name in names.split())

    @property
    def filters(self) -> frozenset[str]:
        """The filters it honours."""
        return frozenset(name for name, names in FILTERS.items() if self.name in names.split())

    @property
    def required(self) -> tuple[str, ...]:
        """The query parameters it insists on."""
        return tuple(name for name, names in REQUIRED.items() if self.name in names.split())

    def instant(self, moment: datetime) -> datetime:
        """Cut a moment down to what the provider's spelling can say."""
        return parse(self.spell(moment))


def _milliseconds(moment: datetime) -> str:
    return f"{moment.strftime('%Y-%m-%dT%H:%M:%S')}.{moment.microsecond // 1000:03}Z"


def _zoneless(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _minutes(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def _fraction_as_needed(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "+0000"


def _an_hour_east(moment: datetime) -> str:
    return moment.astimezone(timezone(timedelta(hours=1))).isoformat(timespec="seconds")


def _number(kind: str, n: int) -> int:
    return 4_000_000_000 + 1_000_000 * KINDS.index(kind) + n


PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        Provider(
            name="ashby",
            label="Ashby",
            spell=_milliseconds,
            name_thing=lambda kind, n: identifier("ashby", kind, n),
            read_id=str,
            cursor=Cursor("\xfb\xef\xbe\xff\xff\xffashby:{}:", base64=True),
            keyset=True,
            native={
                "id": "id",
                "status": "status",
                "applicationId": "application.id",
                "interviewStageId": "job_interview_stage.id",
                "candidate.primaryEmail": "email",
                "event.startTime": "start_at",
                "event.endTime": "end_at",
                "event.location": "location",
                "event.interviewers": "interviewers",
                "createdAt": "created_at",
            },
        ),
        Provider(
            name="ceipal",
            label="CEIPAL",
            spell=_zoneless,
            name_thing=lambda kind, n: base64.b64encode(f"{kind}{n:05}".encode()).decode(),
            read_id=str,
            cursor=Cursor("https://api.ceipal.example/v1/list/?paging=a+b%20c&offset={}"),
            keyset=False,
            native={
                "id": "id",
                "job_seeker.id": "candidate.id",
                "job_seeker.email": "email",
                "submission_id": "application.id",
                "interview_round": "job_interview_stage.id",
                "interview_from": "start_at",
                "interview_to": "end_at",
                "interview_status": "status",
                "interviewer_ids": "interviewers",
                "organizer_id": "organizer.id",
                "location": "location",
                "created": "created_at",
                "modified": "updated_at",
            },
        ),
        Provider(
            name="fountain",
            label="Fountain",
            spell=_minutes,
            name_thing=lambda kind, n: identifier("fountain", kind, n),
            read_id=str,
            cursor=Cursor("cursor={}&token=x/y+z%3D%3D;q=ä?"),
            keyset=False,
            native={
                "id": "id",
                "applicant.id": "candidate.id",
                "applicant.email": "email",
                "stage_id": "job_interview_stage.id",
                "slot.end_time": "end_at",
                "slot.location": "location",
                "slot.recruiters": "interviewers",
                "booking_state": "status",
            },
        ),
        Provider(
            name="greenhouse",
            label="Greenhouse",
            spell=_fraction_as_needed,
            name_thing=_number,
            read_id=int,
            cursor=Cursor(
                "https://harvest.greenhouse.example/v3/list?q=a+b%20c%2Fd%26e&after={}&sig=%2BtU%3D",
            ),
            keyset=True,
            native={
                "id": "id",
                "application_id": "application.id",
                "candidate_email": "email",
                "start.date_time": "start_at",
                "end.date_time": "end_at",
                "location": "location",
                "status": "status",
                "interviewers": "interviewers",
                "organizer.id": "organizer.id",
                "created_at": "created_at",
                "updated_at": "updated_at",
            },
        ),
        Provider(
            name="pinpoint",
            label="Pinpoint",
            spell=_an_hour_east,
            name_thing=lambda kind, n: str(100_000 + 10_000 * KINDS.index(kind) + n),
            read_id=str,
            cursor=Cursor(
                "https://customer.pinpoint.example/api/v1/list?page%5Boffset%5D={}&q=50%25+off",
            ),
            keyset=False,
            native={
                "id": "id",
                "type": "type",
                "attributes.start_at": "start_at",
                "attributes.end_at": "end_at",
                "attributes.state": "status",
                "attributes.candidate_email": "email",
                "attributes.created_at": "created_at",
                "attributes.updated_at": "updated_at",
                "relationships.application": "application.id",
                "relationships.stage": "job_interview_stage.id",
            },
        ),
    )
}
