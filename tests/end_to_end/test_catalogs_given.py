"""Catalogs of all kinds that are given: what they select, and what of them is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tables import rows
from tap_truto_ats.model.resources import RESOURCES
from tests.harness import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.control import Sandbox
    from tests.harness import Run, Tap

    Entry = dict[str, Any]

ACCOUNTS = {"account_syncs", "integrated_accounts"}
DEFAULT = {*ACCOUNTS, *(one.name for one in RESOURCES.values() if one.is_default)}
EEOCS = "The stream eeocs is selected, but it is not read unless 'include_eeocs' is true."


def changed(tap: Tap, change: Callable[[Entry], object], *streams: str) -> dict[str, Any]:
    """The catalog, each of its entries changed."""
    catalog = tap.catalog(*streams)
    for entry in catalog["streams"]:
        change(entry)
    return catalog


def of(stream: str, change: Callable[[Entry], object]) -> Callable[[Entry], object]:
    """Change the entry of one stream only."""
    return lambda entry: change(entry) if entry["tap_stream_id"] == stream else None


def root(**values: Any) -> Callable[[Entry], object]:
    """Change what the metadata say of a stream."""

    def change(entry: Entry) -> None:
        (found,) = (one["metadata"] for one in entry["metadata"] if not one["breadcrumb"])
        found |= {name.replace("_", "-"): value for name, value in values.items()}

    return change


def without(*names: str) -> Callable[[Entry], object]:
    """Take parts of an entry away."""
    return lambda entry: [entry.pop(name) for name in names]


def bare(entry: Entry, **values: Any) -> None:
    """Give an entry the form that catalogs had before metadata."""
    entry.pop("metadata")
    entry |= values


def emitted(run: Run) -> set[str]:
    assert (run.code, run.errors) == (0, [])
    return {one["stream"] for one in run.messages if one["type"] == "SCHEMA"}


SELECTING: dict[str, tuple[Callable[[Entry], object], set[str]]] = {
    "no metadata": (bare, DEFAULT),
    "empty metadata": (lambda entry: entry.update(metadata=[]), DEFAULT),
    "metadata of columns only": (
        lambda entry: entry.update(
            metadata=[one for one in entry["metadata"] if one["breadcrumb"]]
        ),
        DEFAULT,
    ),
    "selected at the top": (
        lambda entry: bare(entry, selected=entry["tap_stream_id"] in {"jobs", "tags"}),
        {"jobs", "tags"},
    ),
    "deselected at the top": (
        of("jobs", lambda entry: bare(entry, selected=False)),
        {"interviews"},
    ),
    "selected in the schema": (
        lambda entry: (
            entry.pop("metadata"),
            entry["schema"].update(selected=entry["tap_stream_id"] == "tags"),
        ),
        {"tags"},
    ),
    "at the top of one that has metadata": (
        lambda entry: entry.update(selected=True),
        {"interviews", "jobs"},
    ),
    "at the top of one whose metadata leave it open": (
        lambda entry: (
            root(selected=None)(entry),
            entry.update(selected=entry["tap_stream_id"] == "tags"),
        ),
        {"tags"},
    ),
    "deselected, though automatic": (
        of("jobs", root(selected=False, inclusion="automatic")),
        {"interviews"},
    ),
    "everything at the top": (
        lambda entry: bare(entry, selected=True),
        {*ACCOUNTS, *RESOURCES} - {"eeocs"},
    ),
}


@pytest.mark.parametrize(("change", "expected"), SELECTING.values(), ids=SELECTING)
def test_catalogs_of_older_forms_select_what_they_say(
    tap: Tap, sandbox: Sandbox, change: Callable[[Entry], object], expected: set[str]
) -> None:
    run = tap(catalog=changed(tap, change, "interviews", "jobs"))
    assert emitted(run) == expected
    assert sandbox.requests("/unified/ats/eeocs") == []


def test_columns_are_selected_in_the_schema_too(tap: Tap) -> None:
    def change(entry: Entry) -> None:
        bare(entry)
        columns = entry["schema"]["properties"]
        columns["location"]["selected"] = columns["application"]["properties"]["id"]["selected"] = (
            False
        )

    run = tap(catalog=changed(tap, of("interviews", change), "interviews"))
    assert "location" not in run.of("SCHEMA")[0]["schema"]["properties"]
    assert not any("location" in record for record in run.records())
    assert {str(record["application"]) for record in run.records()} <= {"None", "{}"}


ITEMS: dict[str, Callable[[Entry], object]] = {
    "below the list": lambda entry: entry["metadata"].append(
        {
            "breadcrumb": ["properties", "interviewers", "properties", "id"],
            "metadata": {"selected": False},
        }
    ),
    "below the list's items": lambda entry: entry["metadata"].append(
        {
            "breadcrumb": ["properties", "interviewers", "items", "properties", "id"],
            "metadata": {"selected": False},
        }
    ),
    "in the items' schema": lambda entry: entry["schema"]["properties"]["interviewers"]["items"][
        "properties"
    ]["id"].update(selected=False),
}


@pytest.mark.parametrize("change", ITEMS.values(), ids=ITEMS)
def test_what_is_in_a_list_is_deselected_however_that_is_said(
    tap: Tap, change: Callable[[Entry], object]
) -> None:
    run = tap(catalog=changed(tap, of("interviews", change), "interviews"))
    assert emitted(run) == {"interviews"}
    lists = [record["interviewers"] for record in run.records() if record["interviewers"]]
    assert lists
    assert all(item == {} for one in lists for item in one)


def test_a_stream_that_the_catalog_lacks_is_not_read(tap: Tap) -> None:
    catalog = tap.catalog("jobs")
    catalog["streams"] = [one for one in catalog["streams"] if one["tap_stream_id"] == "jobs"]
    assert emitted(tap(catalog=catalog)) == {"jobs"}


def test_streams_that_do_not_exist_cost_one_warning(tap: Tap, sandbox: Sandbox) -> None:
    def change(entry: Entry) -> None:
        entry["tap_stream_id"] = entry["stream"] = f"old_{entry['tap_stream_id']}"

    catalog = changed(tap, change, "jobs", "users")
    catalog["streams"] += tap.catalog("interviews")["streams"]
    run = tap(catalog=catalog)
    assert emitted(run) == {"interviews"}
    assert table(run) == rows(sandbox.interviews())
    assert run.logged("streams that do not exist: old_jobs, old_users.") == 1


@pytest.mark.parametrize("streams", [[], ["eeocs"]], ids=["none", "none with consent"])
def test_that_nothing_is_selected_is_said(tap: Tap, sandbox: Sandbox, streams: list[str]) -> None:
    catalog = tap.catalog(*streams or ["none"])
    run = tap(catalog=catalog)
    assert emitted(run) == set()
    assert run.logged("No stream is selected") == 1
    assert sandbox.requests() == []


KEYS = ["integrated_account_id", "id"]

TAKEN: dict[str, tuple[Callable[[Entry], object], list[str]]] = {
    "no key": (without("key_properties"), KEYS),
    "an empty key": (lambda entry: entry.update(key_properties=[]), KEYS),
    "null": (lambda entry: entry.update(key_properties=None), KEYS),
    "in another order": (lambda entry: entry.update(key_properties=KEYS[::-1]), KEYS[::-1]),
    "one twice": (lambda entry: entry.update(key_properties=[*KEYS, "id"]), KEYS),
    "more": (
        lambda entry: entry.update(key_properties=[*KEYS, "status"]),
        [*KEYS, "status"],
    ),
    "no key in a catalog without metadata": (
        lambda entry: bare(entry, selected=True, key_properties=None),
        KEYS,
    ),
    "no replication key": (without("replication_key", "replication_method"), KEYS),
    "no name": (without("stream"), KEYS),
    "no name of its own": (lambda entry: entry.update(stream=None), KEYS),
}


@pytest.mark.parametrize(("change", "keys"), TAKEN.values(), ids=TAKEN)
def test_what_the_catalog_leaves_open_is_the_streams_own(
    tap: Tap, sandbox: Sandbox, change: Callable[[Entry], object], keys: list[str]
) -> None:
    run = tap(catalog=changed(tap, of("interviews", change), "interviews"))
    assert emitted(run) == {"interviews"}
    assert table(run) == rows(sandbox.interviews())
    (schema,) = run.of("SCHEMA")
    assert schema["key_properties"] == keys
    assert schema["bookmark_properties"] == ["updated_at"]
    assert run.bookmarks


METHODS: dict[str, tuple[Callable[[Entry], object], bool]] = {
    "the entry's": (lambda entry: entry.update(replication_method="FULL_TABLE"), True),
    "the metadata's": (root(replication_method="FULL_TABLE"), True),
    "the metadata's, forced": (root(forced_replication_method="FULL_TABLE"), True),
    "the metadata's, not the entry's": (
        lambda entry: (
            root(replication_method="INCREMENTAL")(entry),
            entry.update(replication_method="FULL_TABLE"),
        ),
        False,
    ),
    "none": (without("replication_method"), False),
    "empty": (lambda entry: entry.update(replication_method=""), False),
}


@pytest.mark.parametrize(("change", "whole"), METHODS.values(), ids=METHODS)
def test_the_method_is_the_metadatas_or_the_entrys(
    tap: Tap, change: Callable[[Entry], object], *, whole: bool
) -> None:
    run = tap(
        catalog=changed(tap, of("interviews", change), "interviews"),
        emit_activate_version_messages=True,
    )
    assert emitted(run) == {"interviews"}
    assert bool(run.of("ACTIVATE_VERSION")) is whole


def test_a_method_for_all_streams_is_taken_by_those_that_have_no_replication_key(
    tap: Tap,
) -> None:
    streams = ("integrated_accounts", "job_form_fields", "jobs")
    run = tap(catalog=changed(tap, root(replication_method="INCREMENTAL"), *streams))
    assert emitted(run) == {*streams}
    assert all(run.records(name) for name in streams)


KEY = "key_properties of interviews must have integrated_account_id, id, or be left out."
REPLICATION_KEY = "replication_key of interviews must be updated_at, or be left out."
METHOD = "replication_method of interviews must be INCREMENTAL or FULL_TABLE."

REFUSED: dict[str, tuple[Callable[[Entry], object], str]] = {
    "a key of the id": (lambda entry: entry.update(key_properties=["id"]), KEY),
    "a key of the account": (lambda entry: entry.update(key_properties=KEYS[:1]), KEY),
    "another key": (lambda entry: entry.update(key_properties=["id", "status"]), KEY),
    "no schema": (without("schema"), "column integrated_account_id and the column id of"),
    "a schema without the key": (
        lambda entry: entry["schema"]["properties"].pop("id"),
        "must select the column id of interviews",
    ),
    "another key in the metadata": (root(table_key_properties=["id"]), KEY),
    "a key of a column that is none": (
        lambda entry: entry.update(key_properties=[*KEYS, "nope"]),
        "must select all columns of its key_properties of interviews.",
    ),
    "a key of a deselected column": (
        lambda entry: (
            entry.update(key_properties=[*KEYS, "status"]),
            entry["metadata"].append(
                {"breadcrumb": ["properties", "status"], "metadata": {"selected": False}}
            ),
        ),
        "must select all columns of its key_properties of interviews.",
    ),
    "another replication key": (
        lambda entry: entry.update(replication_key="created_at"),
        REPLICATION_KEY,
    ),
    "another replication key in the metadata": (
        root(replication_key="created_at"),
        REPLICATION_KEY,
    ),
    "an unknown method": (lambda entry: entry.update(replication_method="ALL"), METHOD),
    "a method in small letters": (root(replication_method="full_table"), METHOD),
    "LOG_BASED": (root(replication_method="LOG_BASED"), METHOD),
    "another name": (
        lambda entry: entry.update(stream="talks"),
        "by another name in `stream`: leave it out, and rename with `__alias__`",
    ),
    "another stream's name": (lambda entry: entry.update(stream="jobs"), "by another name"),
}

FORM: dict[str, Callable[[Entry], object]] = {
    "alternatives that are a number": lambda entry: entry["schema"]["properties"]["id"].update(
        anyOf=5
    ),
    "a name that is a number": lambda entry: entry.update(stream=5),
    "an id that is a number": lambda entry: entry.update(tap_stream_id=5),
    "a key that is a text": lambda entry: entry.update(key_properties="id"),
    "a key of numbers": lambda entry: entry.update(key_properties=[1]),
    "a method that is a list": lambda entry: entry.update(replication_method=["FULL_TABLE"]),
    "metadata that are an object": lambda entry: entry.update(metadata={"selected": True}),
    "metadata that are null": lambda entry: entry.update(metadata=None),
    "a method in the metadata that is a list": root(replication_method=["FULL_TABLE"]),
    "a key in the metadata that is a text": root(table_key_properties="id"),
    "a breadcrumb of numbers": lambda entry: entry["metadata"].append(
        {"breadcrumb": [1], "metadata": {}}
    ),
    "a selection that is a text": lambda entry: entry.update(selected="false"),
    "a selection in the metadata that is a text": root(selected="false"),
    "a selection of a column that is a text": lambda entry: entry["schema"]["properties"][
        "id"
    ].update(selected="false"),
    "a schema that is null": lambda entry: entry.update(schema=None),
    "columns that are a list": lambda entry: entry.update(schema={"properties": ["id"]}),
    "a column that is true": lambda entry: entry["schema"]["properties"].update(id=True),
    "a type that is a number": lambda entry: entry["schema"]["properties"]["id"].update(type=5),
    "items that are a list": lambda entry: entry["schema"]["properties"].update(
        interviewers={"type": "array", "items": [{}]}
    ),
}


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_what_a_stream_cannot_do_is_refused_in_a_line(
    tap: Tap, sandbox: Sandbox, change: Callable[[Entry], object], words: str
) -> None:
    run = tap(catalog=changed(tap, of("interviews", change), "interviews"))
    assert (run.code, run.stdout) == (1, "")
    (line,) = run.errors
    assert line.startswith("The catalog")
    assert words in line
    assert "interviews" in line
    assert "Traceback" not in run.stderr
    assert sandbox.requests() == []


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_of_a_stream_that_is_not_selected_nothing_is_refused(
    tap: Tap, sandbox: Sandbox, change: Callable[[Entry], object], words: str
) -> None:
    del words
    run = tap(catalog=changed(tap, of("interviews", change), "jobs"))
    assert emitted(run) == {"jobs"}
    assert run.logged("WARNING") == 0
    assert sandbox.requests("/unified/ats/interviews") == []


def test_a_schema_that_nests_too_deep_is_refused_in_a_line(tap: Tap) -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(250):
        deep = {"type": "object", "properties": {"inner": deep}}
    change = of("interviews", lambda entry: entry["schema"]["properties"].update(deep=deep))
    run = tap(catalog=changed(tap, change, "interviews"))
    assert (run.code, run.stdout) == (1, "")
    assert run.errors == ["The catalog's schema of interviews nests too deep."]
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("change", FORM.values(), ids=FORM)
def test_what_is_no_catalog_is_refused_in_a_line(
    tap: Tap, sandbox: Sandbox, change: Callable[[Entry], object]
) -> None:
    run = tap(catalog=changed(tap, of("interviews", change), "interviews"))
    assert (run.code, run.stdout) == (1, "")
    (line,) = (one for one in run.stderr.splitlines() if one.startswith("Error: "))
    assert line.startswith("Error: --catalog: ")
    before, _, reason = line.partition("catalog.json holds no Singer catalog: ")
    assert before
    assert " - at `$.streams[" in reason
    assert "Traceback" not in run.stderr
    assert sandbox.requests() == []


def test_a_stream_that_comes_twice_is_refused_in_a_line(tap: Tap, sandbox: Sandbox) -> None:
    """Otherwise the last one would count, whichever was meant."""
    catalog = tap.catalog("interviews")
    catalog["streams"] += [one for one in catalog["streams"] if one["tap_stream_id"] == "jobs"]
    run = tap(catalog=catalog)
    assert (run.code, run.stdout) == (1, "")
    assert run.stderr.rstrip().endswith("Singer catalog: it has the stream jobs more than once")
    assert sandbox.requests() == []


class TestConsent:
    """`eeocs` is read only where the catalog and a setting say so."""

    PATH = "/unified/ats/eeocs"

    @pytest.mark.parametrize("consent", [None, False])
    def test_the_catalog_alone_does_not_have_it_read(
        self, tap: Tap, sandbox: Sandbox, consent: object
    ) -> None:
        run = tap(catalog=tap.catalog("eeocs", "jobs"), include_eeocs=consent)
        assert emitted(run) == {"jobs"}
        assert run.logged(EEOCS) == 1
        assert sandbox.requests(self.PATH) == []

    def test_both_have_it_read(self, tap: Tap, sandbox: Sandbox) -> None:
        run = tap(catalog=tap.catalog("eeocs", "jobs"), include_eeocs=True)
        assert emitted(run) == {"eeocs", "jobs"}
        assert {one["id"] for one in run.records("eeocs")} == {
            one["id"] for one in sandbox.rows("eeocs")
        }
        assert run.records("eeocs")
        assert run.logged(EEOCS) == 0

    def test_the_setting_alone_does_not(self, tap: Tap, sandbox: Sandbox) -> None:
        run = tap(catalog=tap.catalog("jobs"), include_eeocs=True)
        assert emitted(run) == {"jobs"}
        assert sandbox.requests(self.PATH) == []

    @pytest.mark.parametrize("consent", [False, True])
    @pytest.mark.parametrize(("kind", "reads"), [("", False), ("=records", True)])
    def test_a_test_of_all_streams_does_not_do_without_the_setting(
        self, tap: Tap, sandbox: Sandbox, kind: str, *, reads: bool, consent: bool
    ) -> None:
        run = tap(f"--test{kind}", include_eeocs=consent)
        assert run.code == 0
        assert bool(run.records("eeocs")) is (reads and consent)
        assert bool(sandbox.requests(self.PATH)) is (reads and consent)
        assert bool(run.records("tags")) is reads

    @pytest.mark.parametrize("consent", [False, True])
    def test_without_a_catalog_it_is_not_read(
        self, tap: Tap, sandbox: Sandbox, *, consent: bool
    ) -> None:
        run = tap("--config", "ENV", env={"TAP_TRUTO_ATS_INCLUDE_EEOCS": str(consent)})
        assert emitted(run) == DEFAULT
        assert run.logged(EEOCS) == 0
        assert sandbox.requests(self.PATH) == []
