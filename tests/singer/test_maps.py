"""What singer-sdk's mapper does with unselected streams, nulls and keys, and what the tap mends.

Each test of the SDK says what would have to be looked at again in `tap_truto_ats/singer/maps.py`.
"""

from __future__ import annotations

import inspect
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import validate
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError, StreamMapConfigError
from singer_sdk.helpers._flattening import flatten_key
from singer_sdk.mapper import CustomStreamMap, PluginMapper
from singer_sdk.singerlib import Catalog

from tap_truto_ats.api.errors import RunError
from tap_truto_ats.singer import maps as module
from tap_truto_ats.singer.maps import flat_names, flattened_levels, is_plain, mapper_for
from tests.singer.pins import listed, signature

TEXT = {"type": ["string", "null"]}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["integrated_account_id", "id"],
    "properties": {
        "integrated_account_id": {"type": ["string"]},
        "id": {"type": ["string"]},
        "candidate": {"type": ["object", "null"], "properties": {"id": TEXT}},
        "start_at": {"type": ["string", "null"], "format": "date-time"},
        "custom_fields": {"type": ["object", "null"]},
    },
}
ADDED: dict[str, Any] = {"properties": {"shade": TEXT}}
"""What a catalog may have beside the columns of the stream, and lack of them."""
SELECTION = {"interviews": True, "jobs": False}
FLAT = {"flattening_enabled": True, "flattening_max_depth": 1}
SHORT = FLAT | {"flattening_max_key_length": 15}
SECRET = "hush-4242"
UNFIT = (
    "its column does not take what comes out, unless str(…), int(…), float(…) or bool(…) is around"
    " the expression"
)


def catalog() -> Catalog:
    return Catalog.from_dict(
        {
            "streams": [
                {
                    "tap_stream_id": name,
                    "schema": SCHEMA,
                    "key_properties": ["integrated_account_id", "id"],
                    "metadata": [{"breadcrumb": [], "metadata": {"selected": selected}}],
                }
                for name, selected in SELECTION.items()
            ]
        }
    )


def streams() -> dict[str, Any]:
    return {
        name: SimpleNamespace(schema=SCHEMA, effective_schema=ADDED, selected=selected)
        for name, selected in SELECTION.items()
    }


def of_the_tap(**config: Any) -> PluginMapper:
    return mapper_for(config, catalog(), streams(), logging.getLogger())


def of_the_sdk(**config: Any) -> PluginMapper:
    mapper = PluginMapper(config, logging.getLogger())
    mapper.register_raw_streams_from_catalog(catalog())
    return mapper


def row(candidate: Any = None) -> dict[str, Any]:
    return {"integrated_account_id": "a", "id": "1", "candidate": candidate}


def test_the_private_names_are_those_that_the_module_lists() -> None:
    assert "flatten_key" in (module.__doc__ or "")
    assert "get_flattening_options" in (module.__doc__ or "")
    assert listed(module) == {"_eval"}
    assert signature(CustomStreamMap, "_eval") == "(self, expr, expr_parsed, record, property_name)"
    assert list(inspect.signature(flatten_key).parameters) == [
        *("key_name", "parent_keys", "separator", "max_key_length")
    ]


class TestSelection:
    """The SDK maps what is not selected, too, which has no columns."""

    MAPS = ({"*": {"x": "id"}}, {"jobs": {"x": "id"}})

    @pytest.mark.parametrize("maps", MAPS, ids=["all", "an unselected one"])
    def test_the_sdk_fails(self, maps: dict[str, Any]) -> None:
        with pytest.raises(StreamMapConfigError, match="was not detected in schema"):
            of_the_sdk(stream_maps=maps)

    @pytest.mark.parametrize("maps", MAPS, ids=["all", "an unselected one"])
    def test_the_tap_maps_what_is_selected(self, maps: dict[str, Any]) -> None:
        found = of_the_tap(stream_maps=maps).stream_maps
        assert found.keys() == SELECTION.keys()
        (interviews,), (jobs,) = found["interviews"], found["jobs"]
        assert ("x" in interviews.transformed_schema["properties"]) is ("*" in maps)
        assert jobs.transformed_schema["properties"] == {}

    def test_the_settings_stay_as_they_were(self) -> None:
        maps = {"__else__": None, "interviews": {"x": "id"}}
        of_the_tap(stream_maps=maps)
        assert maps == {"__else__": None, "interviews": {"x": "id"}}

    @pytest.mark.parametrize(
        "maps",
        [{"positions": {"x": "id"}}, {"copy": {"__source__": "positions"}}, {"p*": None}],
        ids=["a name", "a source", "a pattern"],
    )
    def test_a_map_of_no_stream_is_refused(self, maps: dict[str, Any]) -> None:
        with pytest.raises(ConfigValidationError) as caught:
            of_the_tap(stream_maps=maps)
        (line,) = caught.value.errors
        assert line.startswith("Setting 'stream_maps' knows no stream 'p")
        assert line.endswith("it takes interviews, jobs.")

    @pytest.mark.parametrize("column", ["candidate", "shade", "remote_data"])
    def test_what_the_stream_or_its_catalog_has_may_be_left_out(self, column: str) -> None:
        (one,) = of_the_tap(stream_maps={"i*": {column: None}}).stream_maps["interviews"]
        assert column not in one.transformed_schema["properties"]

    def test_an_unselected_stream_under_a_selected_ones_name_takes_nothing_from_it(self) -> None:
        given = catalog()
        given["jobs"].stream = "interviews"
        (one,) = mapper_for({}, given, streams(), logging.getLogger()).stream_maps["interviews"]
        assert one.transformed_schema == SCHEMA


class TestFlattening:
    """The SDK's records and keys are not those of its schema."""

    def test_the_sdk_leaves_the_name_of_an_object_that_is_null(self) -> None:
        (one,) = of_the_sdk(**FLAT).stream_maps["interviews"]
        assert one.transform(row()) == row()
        assert "candidate" not in one.transformed_schema["properties"]

    def test_the_sdk_leaves_the_names_of_keys_as_they_were(self) -> None:
        (one,) = of_the_sdk(**SHORT).stream_maps["interviews"]
        assert list(one.transformed_schema["properties"])[:3] == ["iai", "id", "candidate__id"]
        assert one.transformed_key_properties == SCHEMA["required"]
        assert one.transformed_schema["required"] == SCHEMA["required"]

    @pytest.mark.parametrize(
        ("candidate", "expected"),
        [(None, None), ({}, None), ({"id": None}, None), ({"id": "c", "x": 1}, "c")],
    )
    @pytest.mark.parametrize("maps", [{}, {"interviews": {"y": "id"}}], ids=["plain", "mapped"])
    def test_a_record_has_the_columns_of_its_schema(
        self, candidate: Any, expected: str | None, maps: dict[str, Any]
    ) -> None:
        (one,) = of_the_tap(**FLAT, stream_maps=maps).stream_maps["interviews"]
        record = one.transform(row(candidate))
        assert record is not None
        assert list(record) == list(one.transformed_schema["properties"])
        assert record["candidate__id"] == expected

    @pytest.mark.parametrize("maps", [{}, {"interviews": {"y": "id"}}], ids=["plain", "mapped"])
    def test_keys_are_called_as_their_columns(self, maps: dict[str, Any]) -> None:
        (one,) = of_the_tap(**SHORT, stream_maps=maps).stream_maps["interviews"]
        assert one.transformed_key_properties == ["iai", "id"]
        assert one.transformed_schema["required"] == ["iai", "id"]
        assert flat_names(one, ["integrated_account_id", "updated_at"]) == ["iai", "updated_at"]
        assert (one.transform(row()) or {})["iai"] == "a"

    def test_keys_of_the_users_own_are_called_as_their_columns(self) -> None:
        maps = {
            "interviews": {"integrated_account": "id", "__key_properties__": ["integrated_account"]}
        }
        (one,) = of_the_tap(**SHORT, stream_maps=maps).stream_maps["interviews"]
        assert one.transformed_key_properties == ["ia"]

    @pytest.mark.parametrize(
        "settings",
        [
            FLAT | {"stream_maps": {"interviews": {"candidate__id": "id"}}},
            SHORT | {"stream_maps": {"interviews": {"integrated_accounts_i": "id"}}},
        ],
        ids=["as a map's", "when shortened"],
    )
    def test_two_columns_of_one_name_are_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ConfigValidationError) as caught:
            of_the_tap(**settings)
        (line,) = caught.value.errors
        assert line.startswith("Settings of flattening do not fit interviews: Duplicate column")
        assert "'flattening_max_key_length'" in line

    @pytest.mark.parametrize(
        ("settings", "levels", "plain"),
        [
            ({}, 0, True),
            (FLAT, 1, False),
            (FLAT | {"flattening_max_depth": 0}, 0, True),
            (FLAT | {"flattening_enabled": False}, 0, True),
            ({"stream_maps": {"interviews": {"x": "id"}}}, 0, False),
            ({"stream_maps": {"interviews": None}}, 0, False),
            ({"stream_maps": {"copy": {"__source__": "interviews"}}}, 0, False),
        ],
        ids=str,
    )
    def test_what_is_plain_and_how_deep_it_is_flattened(
        self, settings: dict[str, Any], levels: int, *, plain: bool
    ) -> None:
        found = of_the_tap(**settings).stream_maps["interviews"]
        assert (flattened_levels(found), is_plain(found)) == (levels, plain)


class TestValues:
    """The SDK declares a text for what it cannot tell, and lets anything out under it."""

    def test_the_sdk_does_not_fit_values_to_columns(self) -> None:
        (one,) = of_the_sdk(
            stream_maps={"interviews": {"x": "id == '1'"}, "jobs": None}
        ).stream_maps["interviews"]
        assert one.transformed_schema["properties"]["x"] == TEXT
        assert (one.transform(row()) or {})["x"] is True

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("id == '1'", "true"),
            ("[id, 2]", '["1",2]'),
            ("candidate", {"id": "c"}),
            ("_['candidate']", '{"id":"c"}'),
            ("{1, }", "[1]"),
            ("10 ** 30", str(10**30)),
            ("int('3')", 3),
            ("float('1.5')", 1.5),
            ("bool('')", False),
            ("datetime.date(2026, 1, 2)", "2026-01-02"),
            ("datetime.datetime(2026, 1, 2)", "2026-01-02T00:00:00.000000+00:00"),
            (r"'a\x00b\ud800'", "a\ufffdb\ufffd"),
            (r"{'a\x00': 1}", '{"a\ufffd":1}'),
            ("None", None),
        ],
    )
    @pytest.mark.parametrize("settings", [{}, FLAT], ids=["nested", "flat"])
    def test_the_tap_does(self, expression: str, expected: Any, settings: dict[str, Any]) -> None:
        maps = {"interviews": {"x": expression}}
        (one,) = of_the_tap(stream_maps=maps, **settings).stream_maps["interviews"]
        record = one.transform(row({"id": "c"})) or {}
        assert record.get("x", {"id": record.get("x__id")}) == expected
        validate(record, one.transformed_schema)

    @pytest.mark.parametrize("keys", [None, []], ids=str)
    def test_a_stream_without_key_says_so(self, keys: Any) -> None:
        maps = {"interviews": {"__key_properties__": keys}}
        (one,) = of_the_tap(stream_maps=maps).stream_maps["interviews"]
        assert one.transformed_key_properties == []

    @pytest.mark.parametrize(
        ("definition", "kept"),
        [
            ({"candidate": None}, {"color": "red"}),
            ({"candidate": "__NULL__"}, {"color": "red"}),
            ({"candidate": "None"}, {"color": "red"}),
            ({"candidate": "candidate"}, {"candidate": [1], "color": "red"}),
            ({"x": "id"}, {"candidate": [1], "color": "red"}),
            ({"color": "id"}, {"candidate": [1], "color": "red"}),
            (
                {"id": "id", "integrated_account_id": "_['integrated_account_id']"}
                | {"custom_fields": "custom_fields", "__else__": None},
                {"color": "red"},
            ),
        ],
        ids=str,
    )
    def test_what_is_replaced_stands_in_no_custom_field(
        self, definition: dict[str, Any], kept: dict[str, Any]
    ) -> None:
        custom = {"candidate": [1], "color": "red"}
        record = row() | {"custom_fields": custom}
        found = of_the_tap(
            stream_maps={"interviews": definition, "copy": {"__source__": "interviews"}}
        ).stream_maps["interviews"]
        assert [(one.transform(record) or {})["custom_fields"] for one in found] == [kept, custom]


class TestFailures:
    """Expressions that fail on a record: neither their text nor the record's may be told."""

    def test_the_sdk_quotes_the_expression(self) -> None:
        maps = {"interviews": {"x": f"hush('{SECRET}')"}}
        mapper = PluginMapper({"stream_maps": {**maps}}, logging.getLogger())
        mapper.register_raw_stream_schema("interviews", SCHEMA, ["id"])
        with pytest.raises(MapExpressionError, match=SECRET):
            mapper.stream_maps["interviews"][0].transform(row())

    @pytest.mark.parametrize(
        ("column", "expression", "reason"),
        [
            ("x", f"hush('{SECRET}')", "FunctionNotDefined"),
            ("x", f"'{SECRET}' + nothing", "NameNotDefined"),
            ("x", "int(id)", "ValueError"),
            ("x", "1 / 0", "ZeroDivisionError"),
            ("id", "candidate['id']", "TypeError"),
            ("x", "md5", "TypeError"),
            ("x", " + ".join(["id"] * 500), "RecursionError"),
            ("id", "None", "its column does not take what comes out"),
            ("start_at", "md5(id)", UNFIT),
            ("candidate", "id", UNFIT),
            ("x", "int(10 ** 30)", UNFIT),
            ("__filter__", "nothing > 1", "NameNotDefined"),
        ],
    )
    def test_the_tap_names_stream_column_and_kind(
        self, column: str, expression: str, reason: str
    ) -> None:
        maps = {"inter*": {column: expression}}
        (one,) = of_the_tap(stream_maps=maps).stream_maps["interviews"]
        with pytest.raises(RunError) as caught:
            one.transform(row() | {"id": SECRET})
        assert str(caught.value) == (
            f"Setting 'stream_maps' fails on a record of interviews, for {column}: {reason}."
        )
        assert caught.value.__cause__ is caught.value.__context__ is None

    def test_what_is_filtered_out_is_no_record(self) -> None:
        maps = {"interviews": {"__filter__": "id == '2'"}}
        (one,) = of_the_tap(stream_maps=maps).stream_maps["interviews"]
        assert one.transform(row()) is None
