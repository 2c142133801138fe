"""Stream maps and flattening, as the SDK's mapper makes them, for records that fit their SCHEMA.

`singer_sdk.helpers._flattening.flatten_key` is private, but no public function tells how a column
is called once it is flattened; `tests/singer/test_maps.py` pins it.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import ConfigValidationError, MapExpressionError
from singer_sdk.helpers._flattening import flatten_key
from singer_sdk.mapper import PluginMapper, SameRecordTransform
from singer_sdk.singerlib import Catalog

from tap_truto_ats.api.errors import RunError

if TYPE_CHECKING:
    import logging
    from collections.abc import Collection, Mapping, Sequence

    from singer_sdk.mapper import StreamMap

MAPPING = ("stream_maps", "stream_map_config", "faker_config")


def mapper_for(
    config: Mapping[str, Any], catalog: Catalog, selected: Collection[str], logger: logging.Logger
) -> PluginMapper:
    """Make the maps of all streams; only the selected ones are mapped as the settings say.

    The SDK would map the others, too, and fail: they have no column that a map could need.

    Args:
        config: The settings.
        catalog: All streams.
        selected: The names of those that are selected.
        logger: Where the mapper logs.

    Raises:
        ConfigValidationError: Flattening gives two columns one name, or the package `faker` refuses
            its settings.
    """
    given = {name: copy(value) for name, value in config.items() if value is not None}
    bare = {name: value for name, value in given.items() if name not in MAPPING}
    others, mapper = PluginMapper(bare, logger), PluginMapper(given, logger)
    try:
        others.register_raw_streams_from_catalog(catalog)
        wanted = Catalog({name: entry for name, entry in catalog.items() if name in selected})
        mapper.register_raw_streams_from_catalog(wanted)
    except (ValueError, AttributeError) as error:
        is_flat = isinstance(error, ValueError)
        setting = "flattening_max_key_length" if is_flat else "faker_config"
        line = f"Setting '{setting}' " + ("is too small" if is_flat else "is refused by `faker`")
        summary = "The settings are not valid"
        raise ConfigValidationError(summary, errors=[f"{line}: {error}."], schema={}) from None
    mapper.stream_maps = others.stream_maps | mapper.stream_maps
    for stream_map in (one for maps in mapper.stream_maps.values() for one in maps):
        if keys := stream_map.transformed_key_properties:
            stream_map.transformed_key_properties = flat_names(stream_map, keys)
    return mapper


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


def mapped(stream_map: StreamMap, record: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Map a record, so that it has exactly the columns of its SCHEMA; None if it is left out.

    The SDK's flattening gives an object that is null one column of its own name.

    Args:
        stream_map: One of the stream's maps.
        record: The record.
        name: The stream's name.

    Raises:
        RunError: An expression of the user's fails.
    """
    failure = ""
    try:
        result = stream_map.transform(record)
    except MapExpressionError as error:
        failure = str(error)  # It quotes the expression, and nothing of the record.
    except Exception as error:  # noqa: BLE001 - the user's expression can raise anything
        failure = type(error).__name__
    if failure:
        # Raised out here, since the caught error's text may quote the record.
        message = f"The stream map of {name} fails on a record: {failure}."
        raise RunError(message)
    if result is None:
        return None
    return {column: result.get(column) for column in stream_map.transformed_schema["properties"]}
