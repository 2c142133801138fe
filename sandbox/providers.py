"""What sets the providers apart: how they write ids and date-times, and how they page."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING

from sandbox.resources import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KINDS = (*RESOURCES, "sources", "options")
"""All that has ids: the resources, and two kinds of things that only occur inside of rows."""

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


@lru_cache(maxsize=2**14)
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


ATS, HRIS, CRM = "ats", "hris", "crm"


@dataclass(frozen=True)
class Provider:
    """One applicant tracking system, or another system that customers connect.

    `spell` writes an instant the provider's way, `name_thing` makes the id of its n-th thing of
    a kind, `read_id` gives an id the provider's type. With `keyset`, a cursor stands for the last
    row seen, and new rows come last. Without, it stands for the number of rows seen, and new rows
    come first, so that each moves all others by one place. `category` is the one that Truto files
    its accounts under.
    """

    name: str
    label: str
    spell: Callable[[datetime], str]
    name_thing: Callable[[str, int], str | int]
    read_id: Callable[[str], str | int]
    cursor: Cursor
    keyset: bool
    category: str = ATS

    def instant(self, moment: datetime) -> datetime:
        """Cut a moment down to the precision of the provider's spelling."""
        return parse(self.spell(moment))

    def without_zones(self) -> Provider:
        """Return the same provider, but for date-times that do not tell their zone."""
        return replace(self, spell=lambda it: self.instant(it).replace(tzinfo=None).isoformat())


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


def _seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _uuids(name: str) -> Callable[[str, int], str]:
    return lambda kind, n: identifier(name, kind, n)


def _numbers(first: int, apart: int) -> Callable[[str, int], int]:
    return lambda kind, n: first + apart * KINDS.index(kind) + n


def _digits(first: int, apart: int) -> Callable[[str, int], str]:
    return lambda kind, n: str(first + apart * KINDS.index(kind) + n)


def _coded(kind: str, n: int) -> str:
    return base64.b64encode(f"{kind}{n:05}".encode()).decode()


def _hexadecimal(name: str) -> Callable[[str, int], str]:
    return lambda kind, n: identifier(name, kind, n).replace("-", "")[:24]


_PAGES = Cursor("page={}")
_LINK = Cursor("https://customer.ats.example/api/list?page%5Boffset%5D={}&q=50%25+off")
_TOKEN = Cursor("\xfb\xef\xbe\xff\xff\xffafter:{}:", base64=True)

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        Provider(
            name="ashby",
            label="Ashby",
            spell=_milliseconds,
            name_thing=_uuids("ashby"),
            read_id=str,
            cursor=Cursor("\xfb\xef\xbe\xff\xff\xffashby:{}:", base64=True),
            keyset=True,
        ),
        Provider(
            name="ceipal",
            label="CEIPAL",
            spell=_zoneless,
            name_thing=_coded,
            read_id=str,
            cursor=Cursor("https://api.ceipal.example/v1/list/?paging=a+b%20c&offset={}"),
            keyset=False,
        ),
        Provider(
            name="fountain",
            label="Fountain",
            spell=_minutes,
            name_thing=_uuids("fountain"),
            read_id=str,
            cursor=Cursor("cursor={}&token=x/y+z%3D%3D;q=ä?"),
            keyset=False,
        ),
        Provider(
            name="greenhouse",
            label="Greenhouse",
            spell=_fraction_as_needed,
            name_thing=_numbers(4_000_000_000, 1_000_000),
            read_id=int,
            cursor=Cursor(
                "https://harvest.greenhouse.example/v3/list?q=a+b%20c%2Fd%26e&after={}&sig=%2BtU%3D",
            ),
            keyset=True,
        ),
        Provider(
            name="pinpoint",
            label="Pinpoint",
            spell=_an_hour_east,
            name_thing=_digits(100_000, 10_000),
            read_id=str,
            cursor=Cursor(
                "https://customer.pinpoint.example/api/v1/list?page%5Boffset%5D={}&q=50%25+off",
            ),
            keyset=False,
        ),
        Provider(
            "applicantstack",
            "ApplicantStack",
            _zoneless,
            _digits(10_000_000, 100_000),
            str,
            _PAGES,
            keyset=False,
        ),
        Provider(
            "bamboohr",
            "BambooHR",
            _an_hour_east,
            _numbers(1, 100_000),
            int,
            _LINK,
            keyset=False,
            category=HRIS,
        ),
        Provider(
            "breezy", "Breezy", _milliseconds, _hexadecimal("breezy"), str, _TOKEN, keyset=True
        ),
        Provider(
            "cats", "CATS", _an_hour_east, _numbers(400_000, 100_000), int, _PAGES, keyset=False
        ),
        Provider("homerun", "Homerun", _seconds, _hexadecimal("homerun"), str, _LINK, keyset=False),
        Provider(
            "hrcloud",
            "HR Cloud",
            _seconds,
            _uuids("hrcloud"),
            str,
            _TOKEN,
            keyset=True,
            category=HRIS,
        ),
        Provider("jazzhr", "JazzHR", _seconds, _uuids("jazzhr"), str, _PAGES, keyset=False),
        Provider("jobscore", "JobScore", _seconds, _uuids("jobscore"), str, _LINK, keyset=False),
        Provider("jobsoid", "Jobsoid", _minutes, _digits(500, 100_000), str, _TOKEN, keyset=True),
        Provider(
            "jobvite", "Jobvite", _seconds, _hexadecimal("jobvite"), str, _PAGES, keyset=False
        ),
        Provider(
            "keka", "Keka", _zoneless, _uuids("keka"), str, _LINK, keyset=False, category=HRIS
        ),
        Provider("lever", "Lever", _milliseconds, _uuids("lever"), str, _TOKEN, keyset=True),
        Provider(
            "loxo",
            "Loxo",
            _fraction_as_needed,
            _numbers(70_000_000, 100_000),
            int,
            _PAGES,
            keyset=False,
        ),
        Provider(
            "recruitee", "Recruitee", _seconds, _numbers(90_000, 100_000), int, _LINK, keyset=False
        ),
        Provider(
            "recruiterflow",
            "Recruiterflow",
            _seconds,
            _numbers(1, 100_000),
            int,
            _TOKEN,
            keyset=True,
        ),
        Provider("sagehr", "Sage HR", _minutes, _numbers(1, 100_000), int, _PAGES, keyset=False),
        Provider(
            "smartrecruiters",
            "SmartRecruiters",
            _milliseconds,
            _uuids("smartrecruiters"),
            str,
            _LINK,
            keyset=False,
        ),
        Provider(
            "talentlyft", "TalentLyft", _seconds, _numbers(3_000, 100_000), int, _TOKEN, keyset=True
        ),
        Provider(
            "teamtailor",
            "Teamtailor",
            _fraction_as_needed,
            _digits(2_000_000, 100_000),
            str,
            _PAGES,
            keyset=False,
        ),
        Provider(
            "workable", "Workable", _seconds, _hexadecimal("workable"), str, _LINK, keyset=False
        ),
        Provider(
            "zohorecruit",
            "Zoho Recruit",
            _an_hour_east,
            _digits(660_000_000_000_000_000, 100_000),
            str,
            _TOKEN,
            keyset=True,
        ),
    )
}
"""Those that give something of the ATS model."""

OTHERS: Mapping[str, Provider] = {
    name: Provider(
        name, label, _seconds, _uuids(name), str, _PAGES, keyset=False, category=category
    )
    for name, label, category in (
        ("hubspot", "HubSpot", CRM),
        ("salesforce", "Salesforce", CRM),
        ("hibob", "HiBob", HRIS),
    )
}
"""Some that give nothing of it."""

SYSTEMS = {**PROVIDERS, **OTHERS}
"""All that an account can be of."""
