"""Stream maps and flattening, as the SDK's mapper makes them, for records that fit their SCHEMA.

These private names of singer-sdk are used, since no public one does the same;
`tests/singer/test_maps.py` pins each use.

| private name | why it is needed |
|---|---|
| `helpers._flattening.flatten_key` | tells what a column is called once it is flattened |
| `CustomStreamMap._eval` | knows which column fails; its error quotes the expression |
"""

from __future__ import annotations

import fnmatch
from copy import copy
from typing import TYPE_CHECKING, Any, NoReturn

from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._flattening import flatten_key
from singer_sdk.mapper import CustomStreamMap, PluginMapper, SameRecordTransform
from singer_sdk.singerlib import Catalog

from tap_truto_ats.api.errors import RunError

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Mapping, Sequence

    from singer_sdk.mapper import StreamMap

MAPPING = ("stream_maps", "stream_map_config", "faker_config")


def mapper_for(
    config: Mapping[str, Any],
    catalog: Catalog,
    selection: Mapping[str, bool],
    logger: logging.Logger,
) -> PluginMapper:
    """Make the maps of all streams; only the selected ones are mapped as the settings say.

    The SDK would map the others, too, and fail: they have no column that a map could need.

    Args:
        config: The settings.
        catalog: What is known of the streams.
        selection: By each stream's name: whether it is selected.
        logger: Where the mapper logs.

    Raises:
        ConfigValidationError: A map is of no stream, or flattening gives two columns one name.
    """
    given = {name: copy(value) for name, value in config.items() if value is not None}
    for source in _sources(given.get("stream_maps", {})):
        if not fnmatch.filter(selection, source):
            names = ", ".join(selection)
            _refuse(f"Setting 'stream_maps' knows no stream '{source}': it takes {names}.")
    bare = {name: value for name, value in given.items() if name not in MAPPING}
    others, mapper = PluginMapper(bare, logger), PluginMapper(given, logger)
    for name, is_selected in selection.items():
        if entry := catalog.get(name):
            try:
                (mapper if is_selected else others).register_raw_streams_from_catalog(
                    Catalog({name: entry})
                )
            except ValueError as error:
                _refuse(
                    f"Settings of flattening do not fit {name}: {error}. Give a greater"
                    " 'flattening_max_key_length', or another 'flattening_separator'."
                )
    for stream_map in (one for maps in mapper.stream_maps.values() for one in maps):
        if isinstance(stream_map, CustomStreamMap):
            _name_columns(stream_map)
        if stream_map.flattening_enabled:
            _rename(stream_map)
    mapper.stream_maps = others.stream_maps | mapper.stream_maps
    return mapper


def _sources(maps: Mapping[str, Any]) -> Iterator[str]:
    """Yield the streams, or the patterns of streams, that stream maps are about."""
    for name, definition in maps.items():
        if name != "__else__":
            yield definition.get("__source__", name) if isinstance(definition, dict) else name


def _refuse(line: str) -> NoReturn:
    summary = "The settings are not valid"
    raise ConfigValidationError(summary, errors=[line], schema={}) from None


def _name_columns(stream_map: CustomStreamMap) -> None:
    """Have an expression that fails named by its column; its record and its text may be secret."""
    evaluate = stream_map._eval  # noqa: SLF001 - see the top

    def evaluate_or_name(**given: Any) -> Any:  # noqa: ANN401
        try:
            return evaluate(**given)
        except Exception as error:  # noqa: BLE001 - the user's expression can raise anything
            reason = type(error.__cause__ or error).__name__
        if "fake." in given["expr"]:
            reason += " (`fake` is of the package `faker`)"
        message = (
            f"Setting 'stream_maps' fails on a record of {stream_map.stream_name}, for"
            f" {given['property_name'] or '__filter__'}: {reason}."
        )
        raise RunError(message)  # Out here, since the caught error's text may quote the record.

    stream_map._eval = evaluate_or_name  # type: ignore[assignment,method-assign]  # noqa: SLF001


def _rename(stream_map: StreamMap) -> None:
    """Have keys, and what is required, called as the flattened columns are."""
    schema, keys = stream_map.transformed_schema, stream_map.transformed_key_properties
    if keys:
        stream_map.transformed_key_properties = flat_names(stream_map, keys)
    if "required" in schema:
        names = flat_names(stream_map, schema["required"])
        schema["required"] = [name for name in names if name in schema["properties"]]


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


def mapped(stream_map: StreamMap, record: dict[str, Any]) -> dict[str, Any] | None:
    """Map a record, so that it has exactly the columns of its SCHEMA; None if it is left out.

    The SDK's flattening gives an object that is null one column of its own name.

    Raises:
        RunError: An expression of the user's fails.
    """
    result = stream_map.transform(record)
    if result is None:
        return None
    return {column: result.get(column) for column in stream_map.transformed_schema["properties"]}
