"""One thing of a resource, and the rows that a provider gives of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.providers import Provider, parse
from sandbox.resources import DATE, ID, convert, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sandbox.resources import Kind, Offer, Resource, Row, Shape, Value


@dataclass
class Thing:
    """One thing of a resource: `values` holds every field in the provider's types, shown or not.

    A row is made when it is first asked for. One that is `whole` is what a GET of that row gives.
    The provider knows a thing as changed when it was `touched`, if that is told, though its rows
    show another `updated_at` or none.
    """

    provider: Provider
    offer: Offer
    number: int
    values: Row
    custom: Row | None
    touched: datetime | None = None
    _rows: dict[bool, Row] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The thing's id as a string."""
        return str(self.values["id"])

    @property
    def changed(self) -> datetime | None:
        """When the thing changed last, as the provider knows it."""
        changed: datetime | None = self.touched or self.values.get("updated_at")
        return changed

    def change(self, fields: Mapping[str, Value]) -> None:
        """Change fields, given in canonical form; `ValueError` if there is no such field.

        When it was `touched` is forgotten with the next change.
        """
        shapes = self.offer.resource.shapes
        check_fields(fields, self.offer.resource)
        self.custom = fields.get("custom_fields", self.custom)
        self.values |= {
            name: convert(shapes[name], value, self._native)
            for name, value in fields.items()
            if name in shapes
        }
        self.touched = convert(DATE, fields.get("touched"), self._native)
        self._rows.clear()

    def respell(self, provider: Provider) -> None:
        """Let another provider spell the rows."""
        self.provider = provider
        self._rows.clear()

    def row(self, *, whole: bool = False) -> Row:
        """Return the row of the unified model, with the provider's own record as `remote_data`."""
        if whole not in self._rows:
            self._rows[whole] = self._row(self.offer.shown if whole else self.offer.listed)
        return self._rows[whole]

    def truth(self, *, whole: bool = False) -> Row:
        """Return the row that a correct tap delivers, without the account's id."""
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
        """Say whether what is at a path in its values reads as a query parameter does."""
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


def check_fields(names: Iterable[str], resource: Resource) -> None:
    """Refuse with `ValueError` what is no field of a resource."""
    if unknown := set(names) - resource.shapes.keys() - {"custom_fields", "touched"}:
        message = f"no such field: {', '.join(sorted(unknown))}"
        raise ValueError(message)


def _canonical(kind: Kind, value: Value) -> Value:
    if kind is DATE:
        return value.isoformat(timespec="microseconds")
    return str(value) if kind is ID else value


def _as_provided(part: tuple[str, Value]) -> tuple[str, Value]:
    """Name a field in camel case, as providers do, and shorten an object that holds only an id."""
    name, value = part
    first, *others = name.split("_")
    name = first + "".join(map(str.title, others))
    if isinstance(value, dict) and value.keys() == {"id"}:
        return f"{name}Id", value["id"]
    return name, value
