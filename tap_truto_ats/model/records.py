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

Misfits: TypeAlias = list[str]
"""The fields of a row whose values their columns cannot hold: `start_at`, `interviewers.id`."""

Conversion: TypeAlias = Callable[[Any, Misfits], Any]
"""Turns a value that is not null into what a column holds, or into None if that cannot be. What
does not fit within the value is noted among the misfits."""

Columns: TypeAlias = list[tuple[str, type | None, Conversion]]
"""For each property: its name, the type whose values are kept as they are, and the conversion of
other values."""

MOST_KEY_BYTES = 2_000
"""The longest id: Postgres refuses an index entry of more than a third of a page, 2,704 bytes with
the account's id (its documentation, "B-Tree Indexes")."""

_TOO_LONG_NUMBER = 10**MOST_KEY_BYTES

SQL_INTEGERS = range(-(2**63), 2**63)
"""What a column of integers holds: 64 bits at Postgres, BigQuery and most others."""

EXACT_FLOATS = range(-(2**53), 2**53 + 1)
"""The whole numbers that a double-precision number holds without gaps."""

_encode = msgspec.json.Encoder().encode


def dig(value: object, *keys: str) -> Any:  # noqa: ANN401
    """Follow keys into nested objects; None where one is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def usable_key(row: object) -> str | int | float | None:
    """Return a row's id; None for what is no row, or has no id that can be a key."""
    key = row.get("id") if isinstance(row, dict) else None
    if isinstance(key, str):
        is_usable = 0 < len(key) <= MOST_KEY_BYTES and len(key.encode()) <= MOST_KEY_BYTES
    elif isinstance(key, int):
        is_usable = abs(key) < _TOO_LONG_NUMBER
    else:
        is_usable = not isinstance(key, (dict, list))
    return key if is_usable else None


def kinds(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the types of a JSON Schema, whose `type` is one name or a list of names."""
    given = schema.get("type", ())
    return (given,) if isinstance(given, str) else tuple(given)


class Normaliser:
    """Turns rows into records that hold every selected column and fit the schema.

    Ids and other strings become strings, date-times UTC with microseconds and `+00:00`, whole
    numbers integers. Lists of declared items hold no nulls, which BigQuery's repeated columns
    refuse. What no column holds is kept in `custom_fields`: properties that the schema does not
    know (a customer's own mapping), and, as it came, each property of which a part did not fit.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        is_selected: Callable[[tuple[str, ...]], bool],
        known: frozenset[str] = frozenset(),
        *,
        flattened_levels: int = 0,
    ) -> None:
        """Work out each selected column's conversion.

        Properties that are known are no custom fields, even where the schema lacks them. In the
        levels of objects that become columns, nothing has a place that is not declared.
        """
        self._is_selected = is_selected
        columns = self._columns_of(schema, (), flattened_levels)
        self._columns = [column for column in columns if column[0] != CUSTOM_FIELDS]
        self._blank: dict[str, Any] = dict.fromkeys(name for name, *_ in columns)
        self.keeps_misfits = len(self._columns) < len(columns)
        """Whether `custom_fields` is there to keep them."""
        self._known = (known | schema.get("properties", {}).keys()) - {CUSTOM_FIELDS}

    def __call__(self, row: Mapping[str, Any], unfit: Counter[str]) -> dict[str, Any]:
        """Turn one row into a record, counting by field the values that did not fit."""
        record = self._blank.copy()
        custom: dict[str, Any] = {}
        misfits: Misfits = []
        if not row.keys() <= self._known:
            custom = {name: value for name, value in row.items() if name not in self._known}
        for name, kept, convert in self._columns:
            value = row.get(name)
            if type(value) is kept:
                record[name] = value
            elif value is not None:
                record[name] = converted = convert(value, misfits)
                if converted is None:
                    misfits.append(name)
        if misfits:
            unfit.update(misfits)
            for name in dict.fromkeys(field.partition(".")[0] for field in misfits):
                custom[name] = self._selected_part(row[name], ("properties", name))
        if self.keeps_misfits:
            record[CUSTOM_FIELDS] = custom or None
        return record

    def _columns_of(
        self, schema: Mapping[str, Any], breadcrumb: tuple[str, ...], flattened_levels: int
    ) -> Columns:
        """Work out the conversions of an object's selected properties."""
        return [
            (
                name,
                *self._conversion(definition, (*breadcrumb, "properties", name), flattened_levels),
            )
            for name, definition in schema.get("properties", {}).items()
            if self._is_selected((*breadcrumb, "properties", name))
        ]

    def _conversion(
        self, schema: Mapping[str, Any], breadcrumb: tuple[str, ...], flattened_levels: int
    ) -> tuple[type | None, Conversion]:
        kind = next((kind for kind in kinds(schema) if kind != "null"), "")
        name = ".".join(breadcrumb[1::2])
        if schema.get("format") == "date-time":
            return None, _to_instant
        if kind == "array" and "items" in schema:
            return None, _to_array(name, *self._conversion(schema["items"], breadcrumb, 0))
        if kind == "object" and "properties" in schema:
            columns = self._columns_of(schema, breadcrumb, flattened_levels - 1)
            declared = frozenset(schema["properties"])
            deselected = declared - {key for key, *_ in columns}
            convert = _to_object(name, columns, deselected)
            if flattened_levels > 0:
                return None, _noting_undeclared(name, declared, convert)
            return None, convert
        return _SCALARS.get(kind, (None, _as_is))

    def _selected_part(self, value: Any, breadcrumb: tuple[str, ...]) -> Any:  # noqa: ANN401
        """Return a value without what the catalog deselects in it."""
        if isinstance(value, list):
            return [self._selected_part(item, breadcrumb) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: self._selected_part(inner, at)
            for name, inner in value.items()
            if self._is_selected(at := (*breadcrumb, "properties", name))
        }


def _to_array(name: str, kept: type | None, convert_item: Conversion) -> Conversion:
    def convert(value: Any, misfits: Misfits) -> list[Any] | None:  # noqa: ANN401
        if type(value) is not list:
            return None
        result = []
        for item in value:
            if type(item) is kept:
                result.append(item)
            elif item is not None:
                converted = convert_item(item, misfits)
                if converted is None:
                    misfits.append(name)
                else:
                    result.append(converted)
        return result

    return convert


def _to_object(name: str, columns: Columns, deselected: frozenset[str]) -> Conversion:
    """Convert an object's selected properties; a copy is made only where something changes."""

    def convert(value: Any, misfits: Misfits) -> dict[str, Any] | None:  # noqa: ANN401
        if type(value) is not dict:
            return None
        result: dict[str, Any] = value
        if deselected:
            result = {key: inner for key, inner in value.items() if key not in deselected}
        for key, kept, convert_inner in columns:
            inner = value.get(key)
            if type(inner) is not kept:
                if result is value:
                    result = dict(value)
                if inner is not None:
                    inner = convert_inner(inner, misfits)
                    if inner is None:
                        misfits.append(f"{name}.{key}")
                result[key] = inner
        return result

    return convert


def _noting_undeclared(name: str, declared: frozenset[str], convert: Conversion) -> Conversion:
    """Convert objects that become columns: what is not declared has no place there."""

    def convert_and_note(value: Any, misfits: Misfits) -> Any:  # noqa: ANN401
        if type(value) is dict and not value.keys() <= declared:
            misfits.append(name)
        return convert(value, misfits)

    return convert_and_note


def _as_is(value: Any, _: Misfits) -> Any:  # noqa: ANN401
    return value


def _to_instant(value: Any, _: Misfits) -> str | None:  # noqa: ANN401
    return normalise_instant(value)


def _to_string(value: Any, _: Misfits) -> str:  # noqa: ANN401
    return str(value) if type(value) is int else _encode(value).decode()


def _to_integer(value: Any, _: Misfits) -> int | None:  # noqa: ANN401
    if type(value) is float and value.is_integer():
        value = int(value)
        return value if value in EXACT_FLOATS else None
    return value if type(value) is int and value in SQL_INTEGERS else None


def _to_number(value: Any, _: Misfits) -> int | None:  # noqa: ANN401
    return value if type(value) is int and value in EXACT_FLOATS else None


def _unfit(_value: Any, _: Misfits) -> None:  # noqa: ANN401
    return None


_SCALARS: dict[str, tuple[type | None, Conversion]] = {
    "string": (str, _to_string),
    "boolean": (bool, _unfit),
    "integer": (None, _to_integer),
    "number": (float, _to_number),
    "object": (dict, _unfit),
    "array": (list, _unfit),
}
"""By JSON Schema type: the type whose values are kept, and the conversion of other values."""
