"""What the company behind an account has few of, and other things repeat: people, places, words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.accounts import Invention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from random import Random

    from sandbox.accounts import Account, Draft
    from sandbox.resources import Row

USERS = 8
DEPARTMENTS = ("Engineering", "Platform", "Verkauf & Zürich")
OFFICES = ("Köln", "東京", "Remote")
TAGS = ("urgent", "second look", "ünïcode")
REASONS = ("Position filled", "No reply", "Withdrew")
ORGANIZATIONS = ("Sample Works", "Sample Works Nord")
FIRST_NAMES = ("Testa", "Samplo", "Mocka", "Fakir", "Dummy", "Placeholda")
LAST_NAMES = ("McFixture", "van Invented", "Lorem-Ipsum", "O'Example", "Søndbox")

EARLY = (0, 0.1)
"""When users and jobs came into being: before what refers to them."""


def person(rng: Random, email: str, kind: str) -> Row:
    """Invent a person's names and address."""
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return {
        "first_name": first,
        "last_name": last,
        "name": f"{first} {last}",
        "emails": [{"email": email, "type": kind}],
    }


def draw_user(it: Draft) -> int:
    """Choose the number of a user."""
    return it.rng.randint(1, USERS)


def _user(it: Draft) -> Row:
    names = person(it.rng, f"user-{it.number}@example.com", "work")
    return names | {
        "emails": [{**one, "is_primary": True} for one in names["emails"]],
        "disabled": it.number == USERS,
        "access_role": it.rng.choice(("admin", "reviewer", "simple")),
    }


def _department(it: Draft) -> Row:
    has_parent = it.number == 2  # noqa: PLR2004 - the second belongs to the first
    return {
        "name": _nth(DEPARTMENTS, it.number),
        "parent": it.ref("departments", 1) | {"name": DEPARTMENTS[0]} if has_parent else None,
        "status": it.rng.choice(("active", "inactive")),
    }


def _office(it: Draft) -> Row:
    return {
        "name": _nth(OFFICES, it.number),
        "parent": None if it.number == 1 else it.ref("offices", 1),
        "location": f"{it.number} Sample Street",
        "is_remote": it.number == len(OFFICES),
        "country": it.rng.choice(("DE", "JP")),
    }


def _named(names: tuple[str, ...]) -> Invention:
    return Invention(_first(len(names)), lambda it: {"name": _nth(names, it.number)})


def _nth(names: tuple[str, ...], number: int) -> str:
    return names[(number - 1) % len(names)]


def _first(count: int) -> Callable[[Account], Iterable[int]]:
    return lambda _: range(1, count + 1)


COMPANY: Mapping[str, Invention] = {
    "users": Invention(_first(USERS), _user, EARLY),
    "departments": Invention(_first(len(DEPARTMENTS)), _department),
    "offices": Invention(_first(len(OFFICES)), _office),
    "reject_reasons": _named(REASONS),
    "tags": _named(TAGS),
    "organizations": _named(ORGANIZATIONS),
}
"""How these things are invented."""
