"""An integrated account and the things in it, which are invented when they are first asked for.

An account knows when each thing came into being, and which were added, changed and deleted. What
the things of a resource hold is handed to it (`sandbox.invention` has that for all resources).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from itertools import product
from random import Random
from typing import TYPE_CHECKING

from sandbox.providers import SYSTEMS, Provider, identifier
from sandbox.resources import DATE, PARENTS, PLAIN, RESOURCES, convert, offer, parts_of
from sandbox.things import Thing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sandbox.resources import Kind, Offer, Row, Value

    Order = Callable[[Sequence[Thing]], Sequence[Thing]]

BEGIN = datetime(2025, 1, 1, 8, tzinfo=timezone.utc)
SPAN = timedelta(days=480)
END = BEGIN + SPAN
"""When the last things that an account begins with came into being, about."""

ENVIRONMENT = identifier("environment")
CUSTOMISED = (("x_region",), (), ("scorecard_url", "x_region"))
"""The custom fields that accounts have, in turns."""

PAGINGS = (None, "keyset", "offset")
BY_AGE = "by age"
ORDERS: Mapping[str, Order] = {
    BY_AGE: lambda things: things[::-1],
    "oldest change first": lambda things: sorted(things, key=_last_change),
    "newest change first": lambda things: sorted(things, key=_last_change, reverse=True),
}
"""The orders of pages by offset, made of things in order of age; by age, the newest comes first."""

HIDDEN = (
    "is_blocked",
    "resources",
    "is_listed",
    "paging",
    "order",
    "clock",
    "zoneless",
    "refuses",
    "refuses_with",
)
"""The properties of an account that Truto does not tell."""

CHANGEABLE = {*HIDDEN, "status", "last_error", "tenant_id", "category", "is_sandbox"}
"""The properties of an account that can change."""


@dataclass(frozen=True)
class Invention:
    """How the things of a resource are invented.

    `numbers` gives the numbers of the things that an account begins with, and `values` gives what
    one of them holds. They come into being one after another, evenly within a part of the span that
    all things share; or when `dated` says, which goes by the things that they belong to.
    """

    numbers: Callable[[Account], Iterable[int]]
    values: Callable[[Draft], Row]
    span: tuple[float, float] = (0, 1)
    dated: Callable[[Account, int], datetime] | None = None


@dataclass(frozen=True)
class Draft:
    """A thing about to be invented: the account's n-th of its kind, and when it came into being."""

    account: Account
    number: int
    created: datetime
    rng: Random

    def ref(self, kind: str, number: int) -> Row:
        """Refer to the n-th thing of a kind."""
        return {"id": self.account.provider.name_thing(kind, number)}

    def part(self, kind: str, number: int, *names: str) -> Row:
        """Return the id and some fields of the n-th thing of a kind of which there are few."""
        known = self.account.known
        if (kind, number) not in known:
            known[kind, number] = self.account.invent(kind, number)
        return {name: known[kind, number][name] for name in ("id", *names)}

    def after(self, days: float) -> datetime:
        """Return a moment that many days after this thing came into being."""
        return self.created + timedelta(days=days)


@dataclass
class Account:
    """An integrated account with its things, which are invented when first asked for.

    `counts` are the numbers of interviews, candidates and jobs that it begins with; those of all
    other things follow from them. `inventions` tells by resource how its things are invented.
    `known` keeps the values of things that many others repeat, such as users and tags.

    It is filed under a `category`, that of its provider unless told another, and begins with all
    `resources` of its provider, unless told which: others are not in its capabilities and answer
    404.

    An account that is not `is_listed` is served, but is not in the list of accounts. `paging` is
    that of the provider (None), by "keyset" or by "offset"; only the latter has an `order` of
    choice, one of `ORDERS`. The provider's clock is `clock` seconds ahead, and shows when things
    are added and changed. With `zoneless`, date-times are spelt in UTC without saying so. The
    provider refuses lists with a query parameter that `refuses` names, or one of these names with
    an operator in brackets, with the status `refuses_with`.
    """

    seed: int
    index: int
    id: str
    provider: Provider
    tenant_id: str
    counts: Mapping[str, int]
    inventions: Mapping[str, Invention]
    status: str = "active"
    category: str = ""
    resources: Sequence[str] = ()
    is_blocked: bool = False
    is_sandbox: bool = False
    last_error: Value = None
    is_listed: bool = True
    paging: str | None = None
    order: str = BY_AGE
    clock: float = 0
    zoneless: bool = False
    refuses: Sequence[str] = ()
    refuses_with: int = HTTPStatus.BAD_REQUEST
    created: datetime = field(init=False)
    updated: datetime = field(init=False)
    known: dict[tuple[str, int], Row] = field(default_factory=dict)
    _gone: set[tuple[str, str]] = field(default_factory=set)
    _things: dict[str, dict[str, Thing]] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)
    _steps: dict[str, timedelta] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Date the account by its place among the others, and offer what the provider does.

        Properties that make no sense are refused with `ValueError` or `TypeError`.
        """
        for name, value, choices in (
            ("paging", self.paging, PAGINGS),
            ("order", self.order, ORDERS),
        ):
            if value not in choices:
                message = f"{name} {value!r} is none of {', '.join(map(str, choices))}"
                raise ValueError(message)
        if self.keyset and self.order != BY_AGE:
            message = f"pages {self.order!r} need paging by offset"
            raise ValueError(message)
        if isinstance(self.refuses, str):
            message = "refuses is a list of names"
            raise TypeError(message)
        self._respell()
        self.created = BEGIN + timedelta(hours=self.index)
        self.updated = self.created + timedelta(days=3, milliseconds=120)
        self.category = self.category or self.provider.category
        self.resources = self.resources or [name for name in RESOURCES if self.gives(name).methods]

    @property
    def keyset(self) -> bool:
        """Whether a cursor stands for the last row seen, and not for the number of rows seen."""
        return self.provider.keyset if self.paging is None else self.paging == "keyset"

    def alter(self, changes: Mapping[str, Value]) -> None:
        """Change properties; refuses with `ValueError` or `TypeError` what makes no sense."""
        check_properties(changes)
        replace(self, **changes)  # A copy refuses what makes no sense before anything changes.
        for name, value in changes.items():
            setattr(self, name, value)
        self._respell()
        self.updated = _now()

    def now(self) -> datetime:
        """Return the moment that the provider's clock shows."""
        return _now() + timedelta(seconds=self.clock)

    def gives(self, resource: str) -> Offer:
        """Return what the provider gives of a resource; `KeyError` if there is no such resource."""
        return offer(resource, self.provider.name)

    def things(self, resource: str) -> dict[str, Thing]:
        """Return the things of a resource by id, oldest first."""
        if resource not in self._things:
            numbers = list(self.inventions[resource].numbers(self))
            self._last[resource] = max(numbers, default=0)
            drawn = (self._draw(resource, number) for number in numbers)
            self._things[resource] = {thing.key: thing for thing in drawn}
        return self._things[resource]

    def last(self, resource: str) -> int:
        """Return the highest number that a resource has had, at least 1."""
        return max(1, self._last.get(resource, 0), self.counts.get(resource, 0))

    def invent(self, resource: str, number: int, created: datetime | None = None) -> Row:
        """Invent the values of a resource's n-th thing, the same each time.

        With `created`, it came into being just then, and has not changed since.
        """
        rng = Random(f"{self.seed}/{self.id}/{resource}/{number}")
        jitter = timedelta(microseconds=rng.randrange(10**6) // 10 ** rng.randrange(6))
        born = created or self.born(resource, number) + jitter
        values = {
            "id": self.provider.name_thing(resource, number),
            **self.inventions[resource].values(Draft(self, number, born, rng)),
        }
        if "created_at" in RESOURCES[resource].shapes:
            moments = [one for one in values.values() if isinstance(one, datetime) and one < END]
            updated = created or max([born + timedelta(days=30 * rng.random()), *moments])
            values |= {"created_at": born, "updated_at": updated}
        return values

    def born(self, resource: str, number: int) -> datetime:
        """Return the moment, within a second, at which a resource's n-th thing came into being."""
        invention = self.inventions[resource]
        if invention.dated:
            return invention.dated(self, number)
        return BEGIN + SPAN * invention.span[0] + self.step(resource) * (number - 1)

    def step(self, resource: str) -> timedelta:
        """Return the time between two things of a resource that the account begins with."""
        if resource not in self._steps:
            invention = self.inventions[resource]
            begin, end = invention.span
            self._steps[resource] = SPAN * (end - begin) / max([1, *invention.numbers(self)])
        return self._steps[resource]

    def add(self, resource: str, fields: Mapping[str, Value]) -> Thing:
        """Add a thing that came into being just now, unless the fields say otherwise."""
        things = self.things(resource)
        self._last[resource] += 1
        thing = self._draw(resource, self._last[resource], self.now())
        thing.change(fields)
        if thing.key in things:
            message = f"{resource} has {thing.key}"
            raise ValueError(message)
        things[thing.key] = thing
        return thing

    def touch(self, resource: str, key: str, fields: Mapping[str, Value]) -> Thing:
        """Change a thing, just now unless the fields say otherwise.

        If they say when it is `touched`, its rows show no other time of change.
        """
        thing = self.things(resource)[key]
        if "updated_at" in thing.offer.resource.shapes:
            moment = {} if "touched" in fields else {"updated_at": self.now().isoformat()}
            fields = {**moment, **fields}
        thing.change(fields)
        return thing

    def delete(self, resource: str, key: str) -> None:
        """Delete a thing; what refers to it stays."""
        del self.things(resource)[key]
        self._gone.add((resource, key))

    def refuses_filter(self, names: Iterable[str]) -> bool:
        """Say whether the provider refuses a list for one of these query parameters."""
        return any(
            name == refused or name.startswith(f"{refused}[")
            for name in names
            for refused in self.refuses
        )

    def refuses_parents(self, given: Mapping[str, str]) -> bool:
        """Say whether a request with these required parameters is refused.

        It is if one of them names what has been deleted, or if what they name does not belong
        together. A single parameter that names what never existed is answered with an empty list.
        """
        gone = any((PARENTS[name], key) in self._gone for name, key in given.items())
        return gone or (len(given) > 1 and not self.exist(given))

    def exist(self, given: Mapping[str, str]) -> bool:
        """Say whether what required parameters name exists, and belongs together."""
        for parameter, key in given.items():
            parent = self.things(PARENTS[parameter]).get(key)
            if parent is None:
                return False
            asked = parent.offer.required
            if not all(parent.has(asked[name], given[name]) for name in asked.keys() & given):
                return False
        return True

    def truth(self, resource: str, *, whole: bool = False) -> list[Row]:
        """Return the rows of a resource that a correct tap delivers, from lists or `whole`."""
        if "list" not in self.gives(resource).methods:
            return []
        things = self.things(resource).values()
        return [self.truth_of(one, whole=whole) for one in things if self._is_within_reach(one)]

    def truth_of(self, thing: Thing, *, whole: bool = False) -> Row:
        """Return the row that a correct tap delivers of one of the account's things."""
        return {"integrated_account_id": self.id, **thing.truth(whole=whole)}

    def listing(self) -> Row:
        """Return the account as GET /integrated-account does, with times spelt in two ways."""
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

    def _respell(self) -> None:
        """Let date-times tell their zone or not, those in rows that were made before as well."""
        provider = SYSTEMS[self.provider.name]
        self.provider = provider.without_zones() if self.zoneless else provider
        for things in self._things.values():
            for thing in things.values():
                thing.respell(self.provider)

    def _is_within_reach(self, thing: Thing) -> bool:
        """Say whether required parameters that name existing things can lead to a thing."""
        required = thing.offer.required
        named = (map(str, parts_of(thing.values, path)) for path in required.values())
        choices = (dict(zip(required, keys, strict=True)) for keys in product(*named))
        return any(self.exist(given) for given in choices)

    def _draw(self, resource: str, number: int, created: datetime | None = None) -> Thing:
        def cut(kind: Kind, part: Value) -> Value:
            return self.provider.instant(part) if kind is DATE else part

        provides = self.gives(resource)
        shapes = provides.resource.shapes
        invented = self.invent(resource, number, created)
        values = {
            name: convert(shapes.get(name, PLAIN), value, cut) for name, value in invented.items()
        }
        return Thing(self.provider, provides, number, values, self._custom_fields(number))

    def _custom_fields(self, number: int) -> Row | None:
        values = {
            "x_region": ("EMEA", "APAC", None)[number % 3],
            "scorecard_url": f"https://scores.example.com/{number}?of=5&as=pdf",
        }
        return {name: values[name] for name in CUSTOMISED[self.index % len(CUSTOMISED)]} or None


def check_properties(names: Iterable[str]) -> None:
    """Refuse with `ValueError` what is no property of accounts that can change."""
    if unknown := set(names) - CHANGEABLE:
        message = f"no such property: {', '.join(sorted(unknown))}"
        raise ValueError(message)


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _last_change(thing: Thing) -> tuple[datetime, int]:
    """Tell when a thing changed last; one that does not know has not since it came into being."""
    return thing.changed or thing.values.get("created_at") or BEGIN, thing.number
