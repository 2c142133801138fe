"""The accounts of the sandbox and the things in them: invented, and the same for a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any

from sandbox.invention import INVENTED, Draft
from sandbox.providers import PROVIDERS, Provider, identifier, parse
from sandbox.resources import DATE, ID, PARENTS, PLAIN, RESOURCES, convert, offer, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sandbox.resources import Kind, Offer, Row, Shape, Value

BEGIN = datetime(2025, 1, 1, 8, tzinfo=timezone.utc)
SPAN = timedelta(days=480)
ENVIRONMENT = identifier("environment")
CUSTOMISED = (("x_region",), (), ("scorecard_url", "x_region"))
INTERVIEWING = ("ashby", "ceipal", "fountain", "greenhouse", "pinpoint")
ALL = "all"


@dataclass
class Thing:
    """One thing of a resource: `values` holds every field in the provider's types, shown or not.

    Rows are written when first asked for; one that is `whole` is what a single GET gives.
    """

    provider: Provider
    offer: Offer
    number: int
    values: Row
    custom: Row | None
    _rows: dict[bool, Row] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The thing's id as a string."""
        return str(self.values["id"])

    def change(self, fields: Mapping[str, Value]) -> None:
        """Take over fields in canonical form; refuses with `ValueError` what it does not know."""
        shapes = self.offer.resource.shapes
        if unknown := fields.keys() - shapes.keys() - {"custom_fields"}:
            message = f"no such field: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        self.custom = fields.get("custom_fields", self.custom)
        self.values |= {
            name: convert(shapes[name], value, self._native)
            for name, value in fields.items()
            if name in shapes
        }
        self._rows.clear()

    def row(self, *, whole: bool = False) -> Row:
        """Return the unified row, the provider's own record in it."""
        if whole not in self._rows:
            self._rows[whole] = self._row(self.offer.shown if whole else self.offer.listed)
        return self._rows[whole]

    def truth(self, *, whole: bool = False) -> Row:
        """Return the row as a faultless tap would deliver it, but for the account's id."""
        resource, row = self.offer.resource, self.row(whole=whole)
        known: Row = {
            name: convert(shape, self.values.get(name), _canonical) if name in row else None
            for name, shape in resource.fields.items()
        }
        custom = {name: row[name] for name in resource.guessed if name in row}
        return known | {
            "remote_data": row["remote_data"],
            "custom_fields": {**custom, **(self.custom or {})} or None,
        }

    def has(self, path: str, value: str) -> bool:
        """Say whether a part of it is an id or a word, written as in a query."""
        return value in map(str, parts_of(self.values, path))

    def _row(self, names: frozenset[str]) -> Row:
        shapes = self.offer.resource.shapes
        values = {
            name: self._spelt(shapes.get(name), value)
            for name, value in self.values.items()
            if name in names or name not in shapes
        }
        raw = dict(map(_as_provided, values.items()))
        shown = {name: values.get(name) for name in shapes if name in names}
        return {**shown, **(self.custom or {}), "remote_data": raw}

    def _spelt(self, shape: Shape | None, value: Value) -> Value:
        def leaf(kind: Kind, part: Value) -> Value:
            return self.provider.spell(part) if kind is DATE else part

        return convert(shape, value, leaf) if shape else value

    def _native(self, kind: Kind, value: Value) -> Value:
        if kind is DATE:
            return self.provider.instant(parse(value))
        return self.provider.read_id(value) if kind is ID else value


@dataclass
class Account:
    """An integrated account with its things, which are drawn when first asked for.

    `counts` are the interviews, candidates and jobs that it begins with; the others follow.
    `known` are those values of few things that many others repeat.
    """

    seed: int
    index: int
    id: str
    provider: Provider
    tenant_id: str
    counts: Mapping[str, int]
    status: str = "active"
    category: str = "ats"
    resources: Sequence[str] = ()
    is_blocked: bool = False
    is_sandbox: bool = False
    last_error: Value = None
    created: datetime = field(init=False)
    updated: datetime = field(init=False)
    known: dict[tuple[str, int], Row] = field(default_factory=dict)
    _gone: set[tuple[str, str]] = field(default_factory=set)
    _things: dict[str, dict[str, Thing]] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)
    _steps: dict[str, timedelta] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Date the account by its place among the others, and offer what the provider does."""
        self.created = BEGIN + timedelta(hours=self.index)
        self.updated = self.created + timedelta(days=3, milliseconds=120)
        self.resources = self.resources or [name for name in RESOURCES if self.gives(name).methods]

    def gives(self, resource: str) -> Offer:
        """Return what the provider gives of a resource; `KeyError` if there is no such resource."""
        return offer(resource, self.provider.name)

    def things(self, resource: str) -> dict[str, Thing]:
        """Return the things of a resource by id, oldest first."""
        if resource not in self._things:
            numbers = list(INVENTED[resource][0](self))
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
        born = created or BEGIN + self._step(resource) * number + jitter
        values = {
            "id": self.provider.name_thing(resource, number),
            **INVENTED[resource][1](Draft(self, number, born, rng)),
        }
        if "created_at" in RESOURCES[resource].shapes:
            updated = created or born + timedelta(days=30 * rng.random())
            values |= {"created_at": born, "updated_at": updated}
        return values

    def add(self, resource: str, fields: Mapping[str, Value]) -> Thing:
        """Add a thing that came into being just now, unless the fields say otherwise."""
        things = self.things(resource)
        self._last[resource] += 1
        thing = self._draw(resource, self._last[resource], now())
        thing.change(fields)
        if thing.key in things:
            message = f"{resource} has {thing.key}"
            raise ValueError(message)
        things[thing.key] = thing
        return thing

    def touch(self, resource: str, key: str, fields: Mapping[str, Value]) -> Thing:
        """Change a thing, just now unless the fields say otherwise."""
        thing = self.things(resource)[key]
        if "updated_at" in thing.offer.resource.shapes:
            fields = {"updated_at": now().isoformat(), **fields}
        thing.change(fields)
        return thing

    def delete(self, resource: str, key: str) -> None:
        """Delete a thing; what refers to it stays."""
        del self.things(resource)[key]
        self._gone.add((resource, key))

    def refuses(self, given: Mapping[str, str]) -> bool:
        """Say whether what required parameters name is gone, or does not belong together.

        There is nothing, and no refusal, for a single one that has never been.
        """
        gone = any((PARENTS[name], key) in self._gone for name, key in given.items())
        return gone or (len(given) > 1 and not self.exist(given))

    def exist(self, given: Mapping[str, str]) -> bool:
        """Say whether what required parameters name is there, and belongs together."""
        for parameter, key in given.items():
            parent = self.things(PARENTS[parameter]).get(key)
            if parent is None:
                return False
            asked = parent.offer.required
            if not all(parent.has(asked[name], given[name]) for name in asked.keys() & given):
                return False
        return True

    def truth(self, resource: str, *, whole: bool = False) -> list[Row]:
        """Return the truth about the things that can be listed, by rows of the lists or `whole`."""
        if "list" not in self.gives(resource).methods:
            return []
        things = self.things(resource).values()
        return [self.truth_of(one, whole=whole) for one in things if self._is_within_reach(one)]

    def truth_of(self, thing: Thing, *, whole: bool = False) -> Row:
        """Return the truth about one of the account's things."""
        return {"integrated_account_id": self.id, **thing.truth(whole=whole)}

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

    def _is_within_reach(self, thing: Thing) -> bool:
        """Say whether a list gives it to those who name what is there."""
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

    def _step(self, resource: str) -> timedelta:
        """Return the time between two things of a resource in the world as it begins."""
        if resource not in self._steps:
            self._steps[resource] = SPAN / max([1, *INVENTED[resource][0](self)])
        return self._steps[resource]

    def _custom_fields(self, number: int) -> Row | None:
        values = {
            "x_region": ("EMEA", "APAC", None)[number % 3],
            "scorecard_url": f"https://scores.example.com/{number}?of=5&as=pdf",
        }
        return {name: values[name] for name in CUSTOMISED[self.index % len(CUSTOMISED)]} or None


@dataclass(frozen=True)
class Options:
    """What a world is made from.

    `providers` (or `ALL`) have accounts, unless `accounts` lists the accounts one by one.
    """

    seed: int = 1
    accounts_per_provider: int = 1
    interviews: int = 200
    candidates: int = 12
    jobs: int = 4
    providers: Sequence[str] = INTERVIEWING
    rate_limits: bool = True
    accounts: tuple[Mapping[str, Any], ...] | None = None


def build(options: Options) -> dict[str, Account]:
    """Make the accounts by id; refuses with `ValueError` or `TypeError` what it does not know."""
    wanted: Iterable[Mapping[str, Any]] = options.accounts or ()
    if options.accounts is None:
        providers = PROVIDERS if ALL in options.providers else options.providers
        wanted = [{"provider": p} for p in providers for _ in range(options.accounts_per_provider)]
    accounts = [_account(options, index, **spec) for index, spec in enumerate(wanted)]
    return {account.id: account for account in accounts}


def _account(options: Options, index: int, *, provider: str, **spec: Any) -> Account:
    if provider not in PROVIDERS:
        message = f"provider {provider!r} is none of {', '.join(PROVIDERS)}"
        raise ValueError(message)
    counts = {
        name: spec.pop(name, getattr(options, name))
        for name in ("interviews", "candidates", "jobs")
    }
    given = {
        "id": identifier(options.seed, provider, index),
        "tenant_id": f"customer-{index + 1:04}",
        **spec,
    }
    return Account(options.seed, index, provider=PROVIDERS[provider], counts=counts, **given)


def _canonical(kind: Kind, value: Value) -> Value:
    if kind is DATE:
        return value.isoformat(timespec="microseconds")
    return str(value) if kind is ID else value


def _as_provided(part: tuple[str, Value]) -> tuple[str, Value]:
    """Name a field as providers do, and make an id of what holds no more."""
    name, value = part
    first, *others = name.split("_")
    name = first + "".join(map(str.title, others))
    if isinstance(value, dict) and value.keys() == {"id"}:
        return f"{name}Id", value["id"]
    return name, value


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(timezone.utc)
