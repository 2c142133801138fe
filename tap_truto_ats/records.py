"""Rows of Truto turned into records: normalised once, by a stream's schema and selection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from tap_truto_ats.instants import format_instant, parse_instant

if TYPE_CHECKING:
    from collections import Counter

CUSTOM_FIELDS = "custom_fields"

Unreadable: TypeAlias = "Counter[str]"
"""How many values of a field could not be read and became null."""

Conversion: TypeAlias = Callable[[Any, Unreadable], Any]


class UnfitError(Exception):
    """A value whose form its column cannot hold."""


def dig(value: object, *keys: str) -> Any:  # noqa: ANN401
    """Follow keys into nested objects; None where there is no such thing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def kinds(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Tell the types of a JSON Schema, which may hold one or a list of them."""
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
            is_selected: Whether the catalog selects a breadcrumb (`("properties", "id")`).
            known: Names of properties that are no custom fields, though the schema lacks them.
        """
        columns = _properties(schema, (), is_selected)
        self._keep_custom_fields = columns.pop(CUSTOM_FIELDS, None) is not None
        self._columns = columns
        self._known = (known | schema.get("properties", {}).keys()) - {CUSTOM_FIELDS}

    def __call__(self, row: Mapping[str, Any], unreadable: Unreadable) -> dict[str, Any]:
        """Turn one row into a record, counting the values that could not be read."""
        record: dict[str, Any] = {}
        custom = {name: value for name, value in row.items() if name not in self._known}
        for name, convert in self._columns.items():
            value = row.get(name)
            try:
                record[name] = None if value is None else convert(value, unreadable)
            except UnfitError:
                record[name] = None
                custom[name] = value
                if not self._keep_custom_fields:
                    unreadable[name] += 1
        if self._keep_custom_fields:
            record[CUSTOM_FIELDS] = custom or None
        return record


def _properties(
    schema: Mapping[str, Any],
    breadcrumb: tuple[str, ...],
    is_selected: Callable[[tuple[str, ...]], bool],
) -> dict[str, Conversion]:
    """Work out the conversions of an object's selected properties."""
    return {
        name: _conversion(definition, (*breadcrumb, "properties", name), is_selected)
        for name, definition in schema.get("properties", {}).items()
        if is_selected((*breadcrumb, "properties", name))
    }


def _conversion(
    schema: Mapping[str, Any],
    breadcrumb: tuple[str, ...],
    is_selected: Callable[[tuple[str, ...]], bool],
) -> Conversion:
    kind = next((kind for kind in kinds(schema) if kind != "null"), "")
    if schema.get("format") == "date-time":
        return _to_date_time(".".join(breadcrumb[1::2]))
    if kind == "array" and "items" in schema:
        return _to_array(_conversion(schema["items"], breadcrumb, is_selected))
    if kind == "object" and "properties" in schema:
        known = frozenset(schema["properties"])
        return _to_object(_properties(schema, breadcrumb, is_selected), known)
    return _SCALARS.get(kind, _as_is)


def _as_is(value: Any, _: Unreadable) -> Any:  # noqa: ANN401
    return value


def _to_string(value: Any, _: Unreadable) -> str:  # noqa: ANN401
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _to_date_time(name: str) -> Conversion:
    def convert(value: Any, unreadable: Unreadable) -> str | None:  # noqa: ANN401
        instant = parse_instant(value)
        if instant is None:
            unreadable[name] += 1
            return None
        return format_instant(instant)

    return convert


def _to_array(convert_item: Conversion) -> Conversion:
    def convert(value: Any, unreadable: Unreadable) -> list[Any]:  # noqa: ANN401
        if not isinstance(value, list):
            raise UnfitError
        return [None if item is None else convert_item(item, unreadable) for item in value]

    return convert


def _to_object(properties: Mapping[str, Conversion], known: frozenset[str]) -> Conversion:
    def convert(value: Any, unreadable: Unreadable) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(value, dict):
            raise UnfitError
        result = {name: inner for name, inner in value.items() if name not in known}
        for name, convert_inner in properties.items():
            inner = value.get(name)
            result[name] = None if inner is None else convert_inner(inner, unreadable)
        return result

    return convert


def _only(*kinds: type) -> Conversion:
    def convert(value: Any, _: Unreadable) -> Any:  # noqa: ANN401
        if type(value) not in kinds:
            raise UnfitError
        return value

    return convert


_SCALARS: dict[str, Conversion] = {
    "string": _to_string,
    "boolean": _only(bool),
    "integer": _only(int),
    "number": _only(int, float),
    "object": _only(dict),
    "array": _only(list),
}
