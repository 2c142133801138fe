"""Rows of Truto become records: they are normalised once, by a stream's schema and selection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from tap_truto_ats.model.instants import normalise_instant

if TYPE_CHECKING:
    from collections import Counter

CUSTOM_FIELDS = "custom_fields"
REMOTE_DATA = "remote_data"

Unreadable: TypeAlias = "Counter[str]"
"""By field: how many values could not be read and became null."""

Conversion: TypeAlias = Callable[[Any, Unreadable], Any]

Columns: TypeAlias = list[tuple[str, type | None, Conversion]]
"""For each property: its name, the type whose values are kept as they are, and the conversion of
other values."""


class UnfitError(Exception):
    """A value has a form that its column cannot hold."""


def dig(value: object, *keys: str) -> Any:  # noqa: ANN401
    """Follow keys into nested objects; None where one is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def usable_key(row: object) -> str | int | float | None:
    """Return a row's id; None for what is no row, or has no id that can be a key."""
    key = row.get("id") if isinstance(row, dict) else None
    return None if isinstance(key, (dict, list)) or key == "" else key


def kinds(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the types of a JSON Schema, whose `type` is one name or a list of names."""
    given = schema.get("type", ())
    return (given,) if isinstance(given, str) else tuple(given)


class Normaliser:
    """Turns rows into records that hold every selected column and fit the schema.

    Ids and other strings become strings, date-times UTC with microseconds and `+00:00`. Properties
    that the schema does not know (a customer's own mapping), and values whose form a column cannot
    hold, are kept in `custom_fields`.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        is_selected: Callable[[tuple[str, ...]], bool],
        known: frozenset[str] = frozenset(),
    ) -> None:
        """Work out each selected column's conversion.

        Args:
            schema: The stream's JSON Schema.
            is_selected: Returns whether the catalog selects a breadcrumb (`("properties", "id")`).
            known: Properties that are not custom fields, even where the schema lacks them.
        """
        columns = _columns(schema, (), is_selected)
        self._columns = [column for column in columns if column[0] != CUSTOM_FIELDS]
        self._keep_custom_fields = len(self._columns) < len(columns)
        self._known = (known | schema.get("properties", {}).keys()) - {CUSTOM_FIELDS}

    def __call__(self, row: Mapping[str, Any], unreadable: Unreadable) -> dict[str, Any]:
        """Turn one row into a record, counting the values that could not be read."""
        record: dict[str, Any] = {}
        custom: dict[str, Any] = {}
        if not row.keys() <= self._known:
            custom = {name: value for name, value in row.items() if name not in self._known}
        for name, kept, convert in self._columns:
            value = row.get(name)
            if value is None or type(value) is kept:
                record[name] = value
                continue
            try:
                record[name] = convert(value, unreadable)
            except UnfitError:
                record[name] = None
                custom[name] = value
                if not self._keep_custom_fields:
                    unreadable[name] += 1
        if self._keep_custom_fields:
            record[CUSTOM_FIELDS] = custom or None
        return record


def _columns(
    schema: Mapping[str, Any],
    breadcrumb: tuple[str, ...],
    is_selected: Callable[[tuple[str, ...]], bool],
) -> Columns:
    """Work out the conversions of an object's selected properties."""
    return [
        (name, *_conversion(definition, (*breadcrumb, "properties", name), is_selected))
        for name, definition in schema.get("properties", {}).items()
        if is_selected((*breadcrumb, "properties", name))
    ]


def _conversion(
    schema: Mapping[str, Any],
    breadcrumb: tuple[str, ...],
    is_selected: Callable[[tuple[str, ...]], bool],
) -> tuple[type | None, Conversion]:
    kind = next((kind for kind in kinds(schema) if kind != "null"), "")
    if schema.get("format") == "date-time":
        return None, _to_date_time(".".join(breadcrumb[1::2]))
    if kind == "array" and "items" in schema:
        return None, _to_array(*_conversion(schema["items"], breadcrumb, is_selected))
    if kind == "object" and "properties" in schema:
        columns = _columns(schema, breadcrumb, is_selected)
        deselected = frozenset(schema["properties"]) - {name for name, *_ in columns}
        return None, _to_object(columns, deselected)
    return _SCALARS.get(kind, (None, _as_is))


def _as_is(value: Any, _: Unreadable) -> Any:  # noqa: ANN401
    return value


def _to_string(value: Any, _: Unreadable) -> str:  # noqa: ANN401
    return msgspec.json.encode(value).decode()


def _to_date_time(name: str) -> Conversion:
    def convert(value: Any, unreadable: Unreadable) -> str | None:  # noqa: ANN401
        text = normalise_instant(value)
        if text is None:
            unreadable[name] += 1
        return text

    return convert


def _to_array(kept: type | None, convert_item: Conversion) -> Conversion:
    def convert(value: Any, unreadable: Unreadable) -> list[Any]:  # noqa: ANN401
        if type(value) is not list:
            raise UnfitError
        return [
            item if item is None or type(item) is kept else convert_item(item, unreadable)
            for item in value
        ]

    return convert


def _to_object(columns: Columns, deselected: frozenset[str]) -> Conversion:
    """Convert an object's known properties; a copy is made only where something changes."""

    def convert(value: Any, unreadable: Unreadable) -> dict[str, Any]:  # noqa: ANN401
        if type(value) is not dict:
            raise UnfitError
        result: dict[str, Any] = value
        if deselected:
            result = {name: inner for name, inner in value.items() if name not in deselected}
        for name, kept, convert_inner in columns:
            inner = value.get(name)
            if type(inner) is not kept:
                if result is value:
                    result = dict(value)
                result[name] = None if inner is None else convert_inner(inner, unreadable)
        return result

    return convert


def _unfit(_value: Any, _: Unreadable) -> Any:  # noqa: ANN401
    raise UnfitError


def _to_number(value: Any, _: Unreadable) -> Any:  # noqa: ANN401
    if type(value) is not float:
        raise UnfitError
    return value


_SCALARS: dict[str, tuple[type | None, Conversion]] = {
    "string": (str, _to_string),
    "boolean": (bool, _unfit),
    "integer": (int, _unfit),
    "number": (int, _to_number),
    "object": (dict, _unfit),
    "array": (list, _unfit),
}
"""By JSON Schema type: the type whose values are kept, and the conversion of other values."""
