"""Stream maps and flattening, as the SDK's mapper makes them, for records that fit their SCHEMA.

These private names of singer-sdk are used, since no public one does the same;
`tests/singer/test_maps.py` pins each use.

| private name | why it is needed |
|---|---|
| `helpers._flattening.flatten_key` | tells what a column is called once it is flattened |
| `helpers._flattening.get_flattening_options` | flattens what has been mapped and fitted |
| `CustomStreamMap._eval` | knows the column of each value; its error quotes the expression |
"""

from __future__ import annotations

import fnmatch
import json
import logging
from collections import Counter
from copy import copy
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from singer_sdk.exceptions import ConfigValidationError, StreamMapConfigError
from singer_sdk.helpers._flattening import flatten_key, get_flattening_options
from singer_sdk.mapper import (
    CustomStreamMap,
    PluginMapper,
    RemoveRecordTransform,
    SameRecordTransform,
)
from singer_sdk.singerlib import Catalog

from tap_truto_ats.api.envelope import decode_object
from tap_truto_ats.api.errors import RunError
from tap_truto_ats.model.records import CUSTOM_FIELDS, REMOTE_DATA, Normaliser
from tap_truto_ats.settings.features import ELSE, NULL, OPTIONS, SOURCE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from singer_sdk import Stream
    from singer_sdk.helpers._flattening import FlatteningOptions
    from singer_sdk.mapper import StreamMap

MAPPING = ("stream_maps", "stream_map_config", "faker_config")

VALUE = "value"
"""What a value is called while it is fitted to its column, whatever that is called."""

_encode = json.JSONEncoder(default=msgspec.to_builtins).encode


def mapper_for(
    config: Mapping[str, Any],
    catalog: Catalog,
    streams: Mapping[str, Stream],
    logger: logging.Logger,
) -> PluginMapper:
    """Make the maps of all streams; only the selected ones are mapped as the settings say.

    The SDK would map the others, too, and fail: they have no column that a map could need.

    Raises:
        ConfigValidationError: A map is of no stream or column or has no effect, or two streams or
            two columns would have one name.
    """
    # It quotes filters, which may hold a secret.
    logging.getLogger("singer_sdk.mapper").setLevel(logging.WARNING)
    given = {name: copy(config[name]) for name in MAPPING if config.get(name) is not None}
    columns = {
        name: {REMOTE_DATA, *one.schema["properties"], *one.effective_schema.get("properties", ())}
        for name, one in streams.items()
    }
    definitions = _definitions(given.get("stream_maps", {}), columns)
    others, mapper = PluginMapper({}, logger), PluginMapper(given, logger)
    for name, stream in streams.items():
        if entry := catalog.get(name):
            try:
                (mapper if stream.selected else others).register_raw_streams_from_catalog(
                    Catalog({name: entry})
                )
            except StreamMapConfigError as error:
                _refuse(f"Setting 'stream_maps': {error}")
            except RecursionError:
                _refuse(f"The catalog's schema of {name} nests too deep.")
            except Exception:  # noqa: BLE001 - the alias is an expression, which can raise anything
                _refuse_alias()
    _refuse_one_name_for_two([one for maps in mapper.stream_maps.values() for one in maps])
    options = get_flattening_options(config)  # type: ignore[arg-type]
    for name, stream_maps in mapper.stream_maps.items():
        for stream_map, definition in zip(stream_maps, definitions[name], strict=True):
            _finish(stream_map, options, _replaced(definition, columns[name]))
    mapper.stream_maps = others.stream_maps | mapper.stream_maps
    return mapper


def _definitions(
    maps: Mapping[str, Any], columns: Mapping[str, Collection[str]]
) -> dict[str, list[dict[str, Any]]]:
    """Return what stream maps say of each stream: of itself, and then of each copy of it."""
    own: dict[str, dict[str, Any]] = {}
    copies: dict[str, list[dict[str, Any]]] = {name: [] for name in columns}
    for name, given in maps.items():
        if name == ELSE:
            continue
        definition = given if isinstance(given, dict) else {}
        found = fnmatch.filter(columns, definition.get(SOURCE, name))
        if not found:
            source, names = definition.get(SOURCE, name), ", ".join(columns)
            _refuse(f"Setting 'stream_maps' knows no stream '{source}': it takes {names}.")
        for column, expression in definition.items():
            is_left_out = expression in NULL and column not in OPTIONS
            if is_left_out and not any(column in columns[stream] for stream in found):
                _refuse(f"Setting 'stream_maps' leaves out '{column}' of {name}: there is none.")
        for stream in found:
            if SOURCE in definition:
                copies[stream].append(definition)
            elif stream in own and stream != name:
                _refuse(
                    f"Setting 'stream_maps' has two maps of {stream}, of which '{name}' alone would"
                    " count: put them together, or put the one with the stream's own name last."
                )
            else:
                own[stream] = definition
    return {name: [own.get(name, {}), *copies[name]] for name in columns}


def _replaced(definition: dict[str, Any], columns: Collection[str]) -> set[str]:
    """Return the columns that a map leaves out or makes anew."""
    kept = () if ELSE in definition else columns
    made = {column: column for column in kept} | definition
    return {column for column in columns if made.get(column) != column}


def _refuse(line: str) -> NoReturn:
    summary = "The settings are not valid"
    raise ConfigValidationError(summary, errors=[line], schema={}) from None


def _refuse_alias() -> NoReturn:
    _refuse("Setting 'stream_maps' takes a name, or an expression of one, for __alias__.")


def _refuse_one_name_for_two(stream_maps: Sequence[StreamMap]) -> None:
    names = [one.stream_alias for one in stream_maps if not isinstance(one, RemoveRecordTransform)]
    for name, count in Counter(names).items():
        if not name or not isinstance(name, str):
            _refuse_alias()
        if count > 1:
            _refuse(f"Setting 'stream_maps' calls {count} streams '{name}', which mixes up rows.")


def _finish(stream_map: StreamMap, options: FlatteningOptions, replaced: Collection[str]) -> None:
    """Have records fit their SCHEMA, flattened or not, and nothing replaced in `custom_fields`.

    A record gets exactly the columns of its SCHEMA: the SDK's flattening leaves an object that is
    null under its own name. Columns that the map leaves out or makes anew would stand in
    `custom_fields` as they came, where their values did not fit.
    """
    if isinstance(stream_map, CustomStreamMap):
        _fit_values(stream_map)
    stream_map.flattening_options = options
    name = stream_map.stream_alias
    try:
        schema = stream_map.flatten_schema(stream_map.transformed_schema)
    except ValueError as error:
        _refuse(
            f"Settings of flattening do not fit {name}: {error}. Give a greater"
            " 'flattening_max_key_length', or another 'flattening_separator'."
        )
    columns = schema["properties"]
    keys = flat_names(stream_map, stream_map.transformed_key_properties or ())
    if missing := [key for key in keys if key not in columns]:
        _refuse(f"Setting 'stream_maps' takes no object for the key {missing[0]} of {name}.")
    if "required" in schema:
        required = flat_names(stream_map, schema["required"])
        schema = schema | {"required": [column for column in required if column in columns]}
    stream_map.transformed_schema, stream_map.transformed_key_properties = schema, keys
    flatten = stream_map.flatten_record

    def flatten_and_fit(record: dict[str, Any]) -> dict[str, Any]:
        custom = record.get(CUSTOM_FIELDS)
        if replaced and isinstance(custom, dict):
            kept = {name: value for name, value in custom.items() if name not in replaced}
            record = record | {CUSTOM_FIELDS: kept or None}
        result = flatten(record)
        return {column: result.get(column) for column in columns}

    if not is_plain([stream_map]):
        stream_map.flatten_record = flatten_and_fit  # type: ignore[method-assign]


def _fit_values(stream_map: CustomStreamMap) -> None:
    """Have the values of expressions fit their columns; one that fails is named by its column.

    Its record and its text may be secret.
    """
    evaluate = stream_map._eval  # noqa: SLF001 - see the top
    keys = stream_map.transformed_key_properties or ()
    normalisers = {
        column: Normaliser({"properties": {VALUE: schema}}, lambda _: True)
        for column, schema in stream_map.transformed_schema["properties"].items()
    }

    def evaluate_and_fit(**given: Any) -> Any:  # noqa: ANN401
        column = given["property_name"]
        unfit: Counter[str] = Counter()
        try:
            value = evaluate(**given)
            if column is None:
                return value
            value = normalisers[column]({VALUE: _storable(value)}, unfit)[VALUE]
        except Exception as error:  # noqa: BLE001 - the user's expression can raise anything
            reason = type(error.__cause__ or error).__name__
        else:
            if not unfit and not (value is None and column in keys):
                return value
            reason = "its column does not take what comes out"
            if unfit:
                reason += ", unless str(…), int(…), float(…) or bool(…) is around the expression"
        if "fake." in given["expr"]:
            reason += " (`fake` is of the package `faker`)"
        message = (
            f"Setting 'stream_maps' fails on a record of {stream_map.stream_name}, for"
            f" {column or '__filter__'}: {reason}."
        )
        raise RunError(message)  # Out here, since the caught error's text may quote the record.

    stream_map._eval = evaluate_and_fit  # type: ignore[assignment,method-assign]  # noqa: SLF001


def _storable(value: Any) -> Any:  # noqa: ANN401
    """Return a value as JSON has it, without what databases refuse.

    Raises:
        TypeError: JSON has no such value.
    """
    if value is None or (type(value) is str and value.isascii() and value.isprintable()):
        return value
    return decode_object(_encode({VALUE: value}).encode()).rows[0][VALUE]


def flat_names(stream_map: StreamMap, names: Sequence[str]) -> list[str]:
    """Return what columns are called once they are flattened."""
    options = stream_map.flattening_options
    if options is None or not stream_map.flattening_enabled:
        return list(names)
    length = options.max_key_length
    return [flatten_key(name, [], options.separator, max_key_length=length) for name in names]


def flattened_levels(stream_maps: Sequence[StreamMap]) -> int:
    """Return how many levels of a stream's objects become columns."""
    options = stream_maps[0].flattening_options
    return options.max_level if options and stream_maps[0].flattening_enabled else 0


def is_plain(stream_maps: Sequence[StreamMap]) -> bool:
    """Return whether records go out as they are."""
    types = [type(one) for one in stream_maps]
    return types == [SameRecordTransform] and not stream_maps[0].flattening_enabled
