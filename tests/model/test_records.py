"""What a row becomes on its way out: one form for each value, and nothing dropped."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tap_truto_ats.model.records import MOST_KEY_BYTES, Normaliser, usable_key
from tap_truto_ats.truto_stream import SCHEMAS

TIME = "2026-01-31T09:30:00.000000+00:00"
INTERVIEWS: dict[str, Any] = SCHEMAS.get_schema("interviews")
COLUMNS = set(INTERVIEWS["properties"])

# Row → the columns that are not null.
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({"id": "i1", "location": "Room 1"}, {"id": "i1", "location": "Room 1"}),
    "id as integer": ({"id": 4000000001}, {"id": "4000000001"}),
    "id of more than 64 bits": ({"id": 2**70}, {"id": "1180591620717411303424"}),
    "id of zero": ({"id": 0}, {"id": "0"}),
    "id as boolean": ({"id": False}, {"id": "false"}),
    "id as float": ({"id": 1.5}, {"id": "1.5"}),
    "text as boolean": ({"status": True}, {"status": "true"}),
    "text as list": ({"location": ["a", {"b": 1}]}, {"location": '["a",{"b":1}]'}),
    "text as object": ({"location": {"name": "Köln"}}, {"location": '{"name":"Köln"}'}),
    "empty text": ({"location": ""}, {"location": ""}),
    "unknown status": ({"status": "no_show"}, {"status": "no_show"}),
    "nested id": ({"candidate": {"id": 7}}, {"candidate": {"id": "7"}}),
    "nested null": ({"candidate": {"id": None}}, {"candidate": {"id": None}}),
    "nested without id": ({"candidate": {}}, {"candidate": {"id": None}}),
    "nested extra keys": (
        {"candidate": {"id": 7, "name": "Testa McFixture"}},
        {"candidate": {"id": "7", "name": "Testa McFixture"}},
    ),
    "list of nested": (
        {"interviewers": [{"id": 1}, {"id": "u2", "role": "lead"}, None, {}]},
        {"interviewers": [{"id": "1"}, {"id": "u2", "role": "lead"}, {"id": None}]},
    ),
    "empty list": ({"interviewers": []}, {"interviewers": []}),
    "date-time": ({"start_at": "2026-01-31 10:30:00+0100"}, {"start_at": TIME}),
    "null date-time": ({"start_at": None}, {}),
    "raw data as it is": (
        {"remote_data": {"id": 7, "at": "31.01.2026", "deep": [{"x": 1.50}]}},
        {"remote_data": {"id": 7, "at": "31.01.2026", "deep": [{"x": 1.5}]}},
    ),
    "unknown property": (
        {"x_region": "EMEA", "x_score": 4.5, "x_none": None},
        {"custom_fields": {"x_region": "EMEA", "x_score": 4.5, "x_none": None}},
    ),
    "a property called custom_fields": (
        {"custom_fields": {"a": 1}, "x": 2},
        {"custom_fields": {"custom_fields": {"a": 1}, "x": 2}},
    ),
}

# Of these, some column cannot hold a part; the last item is how many values by field.
MISFITS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, int]]] = {
    "text where an object belongs": (
        {"candidate": "c7"},
        {"custom_fields": {"candidate": "c7"}},
        {"candidate": 1},
    ),
    "list where an object belongs": (
        {"application": [{"id": 1}]},
        {"custom_fields": {"application": [{"id": 1}]}},
        {"application": 1},
    ),
    "object where a list belongs": (
        {"interviewers": {"id": 1}},
        {"custom_fields": {"interviewers": {"id": 1}}},
        {"interviewers": 1},
    ),
    "list of texts where objects belong": (
        {"interviewers": ["u1", {"id": 2}]},
        {"interviewers": [{"id": "2"}], "custom_fields": {"interviewers": ["u1", {"id": 2}]}},
        {"interviewers": 1},
    ),
    "list where raw data belongs": (
        {"remote_data": [1]},
        {"custom_fields": {"remote_data": [1]}},
        {"remote_data": 1},
    ),
    "date-time that cannot be read": (
        {"start_at": "soon", "end_at": "2026-01-31 09:30:00 UTC"},
        {"end_at": TIME, "custom_fields": {"start_at": "soon"}},
        {"start_at": 1},
    ),
    "date-time of two meanings": (
        {"start_at": "03/04/2026"},
        {"custom_fields": {"start_at": "03/04/2026"}},
        {"start_at": 1},
    ),
    "two misfits and an unknown property": (
        {"start_at": 1, "candidate": 2, "x": 3},
        {"custom_fields": {"start_at": 1, "candidate": 2, "x": 3}},
        {"start_at": 1, "candidate": 1},
    ),
}


def everything(_: tuple[str, ...]) -> bool:
    return True


@pytest.mark.parametrize(("row", "filled"), ROWS.values(), ids=ROWS)
def test_a_row_becomes_a_record(row: dict[str, Any], filled: dict[str, Any]) -> None:
    unreadable: Counter[str] = Counter()
    record = Normaliser(INTERVIEWS, everything)(row, unreadable)
    assert record == dict.fromkeys(COLUMNS) | filled
    assert list(record) == list(INTERVIEWS["properties"])
    assert not unreadable


@pytest.mark.parametrize(("row", "filled", "counted"), MISFITS.values(), ids=MISFITS)
def test_what_no_column_holds_is_kept_and_counted(
    row: dict[str, Any], filled: dict[str, Any], counted: dict[str, int]
) -> None:
    unfit: Counter[str] = Counter()
    record = Normaliser(INTERVIEWS, everything)(row, unfit)
    assert record == dict.fromkeys(COLUMNS) | filled
    assert unfit == counted


def test_a_record_shares_no_type_with_its_look_alikes() -> None:
    record = Normaliser(INTERVIEWS, everything)({"id": 1, "candidate": {"id": True}}, Counter())
    assert (type(record["id"]), record["candidate"]) == (str, {"id": "true"})


def test_the_row_itself_stays_as_it_was() -> None:
    row = {"id": 1, "candidate": {"id": 2, "x": 3}, "interviewers": [{"id": 4}], "y": 5}
    before = {"id": 1, "candidate": {"id": 2, "x": 3}, "interviewers": [{"id": 4}], "y": 5}
    Normaliser(INTERVIEWS, everything)(row, Counter())
    assert row == before


ACCOUNTS: dict[str, Any] = SCHEMAS.get_schema("integrated_accounts")


@pytest.mark.parametrize(
    ("given", "column", "kept"),
    [
        (True, True, None),
        (False, False, None),
        (None, None, None),
        (1, None, {"is_sandbox": 1}),
        ("true", None, {"is_sandbox": "true"}),
    ],
    ids=str,
)
def test_a_boolean_is_no_number_and_no_text(
    given: object, column: object, kept: dict[str, Any] | None
) -> None:
    schema = {"properties": {**ACCOUNTS["properties"], "custom_fields": {"type": "object"}}}
    record = Normaliser(schema, everything)({"is_sandbox": given}, Counter())
    assert record["is_sandbox"] is column
    assert record["custom_fields"] == kept


NESTED: dict[str, Any] = {
    "properties": {
        "seen_at": {"type": ["string", "null"], "format": "date-time"},
        "slot": {
            "type": ["object", "null"],
            "properties": {"begin": {"type": ["string", "null"], "format": "date-time"}},
        },
        "moves": {
            "type": ["array", "null"],
            "items": {
                "type": ["object", "null"],
                "properties": {"at": {"type": ["string", "null"], "format": "date-time"}},
            },
        },
        "count": {"type": ["integer", "null"]},
        "score": {"type": ["number", "null"]},
        "anything": {},
        "names": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
        "list": {"type": ["array", "null"]},
        "custom_fields": {"type": ["object", "null"]},
    }
}


def test_date_times_are_normalised_at_every_depth() -> None:
    unreadable: Counter[str] = Counter()
    row = {
        "seen_at": "2026-01-31T09:30:00Z",
        "slot": {"begin": "2026-01-31T10:30:00+01:00"},
        "moves": [{"at": "2026-01-31 09:30"}, {"at": None}],
    }
    record = Normaliser(NESTED, everything)(row, unreadable)
    assert record["seen_at"] == TIME
    assert record["slot"] == {"begin": TIME}
    assert record["moves"] == [{"at": TIME}, {"at": None}]
    assert not unreadable


def test_date_times_that_cannot_be_read_are_kept_whole_and_counted_by_field() -> None:
    unfit: Counter[str] = Counter()
    normalise = Normaliser(NESTED, everything)
    row = {
        "seen_at": "31.01.2026",
        "slot": {"begin": "soon", "room": 1},
        "moves": [{"at": "x", "y": 2}, None, {"at": "2026-01-31T09:30:00Z"}, {"at": ""}, 7],
    }
    record = normalise(row, unfit)
    assert record["seen_at"] is None
    assert record["slot"] == {"begin": None, "room": 1}
    assert record["moves"] == [{"at": None, "y": 2}, {"at": TIME}, {"at": None}]
    assert record["custom_fields"] == row
    normalise({"seen_at": "never"}, unfit)
    assert unfit == {"seen_at": 2, "slot.begin": 1, "moves.at": 2, "moves": 1}


def test_null_elements_are_left_out_where_items_are_declared() -> None:
    unfit: Counter[str] = Counter()
    row = {"moves": [None, {"at": None}], "names": ["a", None, 7], "list": [None, [None]]}
    record = Normaliser(NESTED, everything)(row, unfit)
    assert record["moves"] == [{"at": None}]
    assert record["names"] == ["a", "7"]
    assert record["list"] == [None, [None]]
    assert record["custom_fields"] is None
    assert not unfit


@pytest.mark.parametrize(
    ("name", "value", "column"),
    [
        ("count", 3, 3),
        ("count", 3.0, 3),
        ("count", -0.0, 0),
        ("count", 2**63 - 1, 2**63 - 1),
        ("count", -(2**63), -(2**63)),
        ("count", 2**63, None),
        ("count", -(2**63) - 1, None),
        ("count", 10**400, None),
        ("count", 1e18, None),
        ("count", 2.0**53, 2**53),
        ("count", [3], None),
        ("count", True, None),
        ("count", 3.5, None),
        ("count", "3", None),
        ("score", 3, 3),
        ("score", 3.5, 3.5),
        ("score", 2**53, 2**53),
        ("score", 2**53 + 1, None),
        ("score", 10**400, None),
        ("score", "3.5", None),
        ("score", False, None),
        ("anything", [1, {"a": None}], [1, {"a": None}]),
    ],
)
def test_numbers_are_numbers(name: str, value: object, column: object) -> None:
    record = Normaliser(NESTED, everything)({name: value}, Counter())
    assert record[name] == column
    assert type(record[name]) is type(column)
    assert record["custom_fields"] == ({name: value} if column is None else None)


class TestSelection:
    """What the catalog deselects is in no record, nor does it come back as a custom field."""

    @staticmethod
    def without(*names: str) -> Normaliser:
        dropped = {
            tuple(part for key in name.split(".") for part in ("properties", key)) for name in names
        }
        return Normaliser(INTERVIEWS, lambda breadcrumb: breadcrumb not in dropped)

    def test_a_deselected_column_is_left_out(self) -> None:
        record = self.without("location")({"id": 1, "location": "Room 1", "x": 2}, Counter())
        assert set(record) == COLUMNS - {"location"}
        assert record["custom_fields"] == {"x": 2}

    def test_a_deselected_column_of_the_wrong_shape_is_left_out(self) -> None:
        record = self.without("candidate")({"id": 1, "candidate": "c7"}, Counter())
        assert set(record) == COLUMNS - {"candidate"}
        assert record["custom_fields"] is None

    def test_a_deselected_date_time_is_not_counted(self) -> None:
        unreadable: Counter[str] = Counter()
        self.without("start_at")({"id": 1, "start_at": "soon"}, unreadable)
        assert not unreadable

    def test_a_deselected_nested_property_is_left_out(self) -> None:
        row = {"id": 1, "candidate": {"id": 7, "name": "Mocka O'Example"}}
        record = self.without("candidate.id")(row, Counter())
        assert record["candidate"] == {"name": "Mocka O'Example"}

    def test_what_is_deselected_is_not_in_a_misfit_that_is_kept(self) -> None:
        row = {"candidate": {"id": 7}, "interviewers": ["u1", {"id": 2, "x": 3}]}
        record = self.without("candidate", "interviewers.id")(row, Counter())
        assert record["interviewers"] == [{"x": 3}]
        assert record["custom_fields"] == {"interviewers": ["u1", {"x": 3}]}

    def test_custom_fields_are_left_out(self) -> None:
        record = self.without("custom_fields")({"id": 1, "x": 2, "candidate": "c7"}, Counter())
        assert set(record) == COLUMNS - {"custom_fields"}
        assert record["candidate"] is None

    def test_a_known_property_that_the_schema_lacks_is_no_custom_field(self) -> None:
        schema = {
            "properties": {
                name: INTERVIEWS["properties"][name]
                for name in COLUMNS
                if name not in {"remote_data", "location"}
            }
        }
        normalise = Normaliser(schema, everything, frozenset({"remote_data"}))
        record = normalise({"id": 1, "remote_data": {"a": 1}, "location": "Room 1"}, Counter())
        assert "remote_data" not in record
        assert record["custom_fields"] == {"location": "Room 1"}


@pytest.mark.parametrize(
    ("given", "is_usable"),
    [
        ("a", True),
        ("", False),
        (None, False),
        ([1], False),
        ({"a": 1}, False),
        (0, True),
        (False, True),
        (10**1_999, True),
        (10**2_000, False),
        ("x" * MOST_KEY_BYTES, True),
        ("x" * (MOST_KEY_BYTES + 1), False),
        ("ä" * (MOST_KEY_BYTES // 2), True),
        ("ä" * (MOST_KEY_BYTES // 2 + 1), False),
    ],
    ids=lambda value: str(value)[:9],
)
def test_a_key_has_a_place_in_an_index(given: object, is_usable: object) -> None:
    assert (usable_key({"id": given}) is not None) is is_usable
