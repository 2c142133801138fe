"""Settings that are wrong in an inner key, or in their name: one line names it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.settings.test_settings import PREFIX, SECRET, run

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Tap

BATCHES: dict[str, Any] = {"encoding": {"format": "jsonl"}, "storage": {"root": "no-such-folder"}}


def batches(**values: Any) -> dict[str, Any]:
    return {"batch_config": BATCHES | values}


def maps(**columns: Any) -> dict[str, Any]:
    return {"stream_maps": {"interviews": columns}}


# Settings, how the line begins, words in it.
REFUSED: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "an unknown name": (
        {"tenant_id": [SECRET]},
        "Setting 'tenant_id' is unknown",
        ["'tenant_ids'"],
    ),
    "a name that is none": ({"colour": SECRET}, "Setting 'colour' is unknown", ["leave it out"]),
    "a name of the SDK's that is wrong": (
        {"stream_map": {"interviews": {"x": SECRET}}},
        "Setting 'stream_map' is unknown",
        ["'stream_maps'"],
    ),
    "consent in words": ({"include_eeocs": SECRET}, "Setting 'include_eeocs' takes", ["true or"]),
    "BATCH files in a word": ({"batch_config": SECRET}, "Setting 'batch_config' takes", ["object"]),
    "BATCH files of nothing": (
        {"batch_config": {}},
        "Setting 'batch_config.encoding' is missing",
        ["an object"],
    ),
    "BATCH files of no format": (
        batches(encoding={}),
        "Setting 'batch_config.encoding.format' is missing",
        ["jsonl, parquet"],
    ),
    "an encoding that is a text": (
        batches(encoding=SECRET),
        "Setting 'batch_config.encoding' takes",
        ["an object"],
    ),
    "another format": (
        batches(encoding={"format": SECRET}),
        "Setting 'batch_config.encoding.format' takes",
        ["jsonl, parquet"],
    ),
    "another compression": (
        batches(encoding={"format": "jsonl", "compression": SECRET}),
        "Setting 'batch_config.encoding.compression' takes",
        ["gzip, none"],
    ),
    "a key of the encoding that is none": (
        batches(encoding={"format": "jsonl", "compress": SECRET}),
        "Setting 'batch_config.encoding.compress' is unknown",
        ["'batch_config.encoding.compression'"],
    ),
    "no storage": (
        {"batch_config": {"encoding": {"format": "jsonl"}}},
        "Setting 'batch_config.storage' is missing",
        ["an object"],
    ),
    "a storage without a root": (
        batches(storage={"prefix": SECRET}),
        "Setting 'batch_config.storage.root' is missing",
        ["a string"],
    ),
    "a root that is a list": (
        batches(storage={"root": [SECRET]}),
        "Setting 'batch_config.storage.root' takes",
        ["a string"],
    ),
    "parameters that are a text": (
        batches(storage={"root": "x", "params": SECRET}),
        "Setting 'batch_config.storage.params' takes",
        ["an object"],
    ),
    "batches of no rows": (
        batches(batch_size=0),
        "Setting 'batch_config.batch_size' takes",
        ["an integer of at least 1"],
    ),
    "a key of BATCH files that is none": (
        batches(batch_rows=7),
        "Setting 'batch_config.batch_rows' is unknown",
        ["'batch_config.batch_size'"],
    ),
    "BATCH files with maps": (
        batches() | maps(location=f"md5('{SECRET}' + location)"),
        "Settings 'batch_config' and 'stream_maps' exclude each other",
        ["Leave out one"],
    ),
    "BATCH files with a filter": (
        batches() | maps(__filter__=f"status == '{SECRET}'"),
        "Settings 'batch_config' and 'stream_maps' exclude each other",
        ["Leave out one"],
    ),
    "BATCH files with flattening": (
        batches() | {"flattening_enabled": True, "flattening_max_depth": 1},
        "Settings 'batch_config' and 'flattening_enabled' exclude each other",
        ["Leave out one"],
    ),
    "maps in a word": ({"stream_maps": SECRET}, "Setting 'stream_maps' takes", ["an object"]),
    "a map in a word": (
        {"stream_maps": {"interviews": SECRET}},
        "Setting 'stream_maps.interviews' takes",
        ["__NULL__ or null or an object"],
    ),
    "all other maps in a word": (
        {"stream_maps": {"__else__": SECRET}},
        "Setting 'stream_maps.__else__' takes",
        ["__NULL__ or null"],
    ),
    "a column that is a list": (
        maps(location=[SECRET]),
        "Setting 'stream_maps.interviews.location' takes",
        ["__NULL__ or null or a string"],
    ),
    "all other columns in a word": (
        maps(__else__=SECRET),
        "Setting 'stream_maps.interviews.__else__' takes",
        ["__NULL__ or null"],
    ),
    "a filter that is a number": (
        maps(__filter__=4242),
        "Setting 'stream_maps.interviews.__filter__' takes",
        ["a string"],
    ),
    "a key that is a text": (
        maps(__key_properties__=SECRET),
        "Setting 'stream_maps.interviews.__key_properties__' takes",
        ["a list of strings"],
    ),
    "half an expression": (
        maps(location=f"md5('{SECRET}'"),
        "Setting 'stream_maps' takes an expression of Python",
        ["interviews.location"],
    ),
    "no expression": (
        maps(location=""),
        "Setting 'stream_maps' takes an expression of Python",
        ["interviews.location"],
    ),
    "a statement": (
        maps(location=f"x = '{SECRET}'"),
        "Setting 'stream_maps' takes an expression of Python",
        ["interviews.location"],
    ),
    "half a filter": (
        maps(__filter__=f"status == '{SECRET}"),
        "Setting 'stream_maps' takes an expression of Python",
        ["interviews.__filter__"],
    ),
    "an option that is none": (
        maps(__filters__=f"status == '{SECRET}'"),
        "Setting 'stream_maps' has no '__filters__' for interviews",
        ["__filter__"],
    ),
    "a copy of two names": (
        maps(__source__="jobs", __alias__=SECRET),
        "Setting 'stream_maps' takes no __alias__ with __source__ for interviews",
        ["its own name"],
    ),
    "another name that is null": (
        maps(__alias__=None),
        "Setting 'stream_maps' takes a string for interviews.__alias__",
        [],
    ),
    "a source that is null": (
        maps(__source__="__NULL__"),
        "Setting 'stream_maps' takes a string for interviews.__source__",
        [],
    ),
    "another name that fails": (
        maps(__alias__=f"'{SECRET}' / 0"),
        "Setting 'stream_maps' takes a name, or an expression of one",
        ["__alias__"],
    ),
    "another name that is a number": (
        maps(__alias__="4242"),
        "Setting 'stream_maps' takes a name, or an expression of one",
        ["__alias__"],
    ),
    "a column left out that does not exist": (
        maps(locations=None, x=f"'{SECRET}'"),
        "Setting 'stream_maps' leaves out 'locations' of interviews",
        [],
    ),
    "a map that another one replaces": (
        {"stream_maps": {"interviews": {"location": f"'{SECRET}'"}, "*": {"x": "id"}}},
        "Setting 'stream_maps' has two maps of interviews",
        ["'*' alone"],
    ),
    "two streams of one name": (
        {"stream_maps": {"*": {"__alias__": "all"}}},
        "Setting 'stream_maps' calls ",
        ["streams 'all'"],
    ),
    "a copy under the name of another stream": (
        {"stream_maps": {"integrated_accounts": {"__source__": "interviews"}}},
        "Setting 'stream_maps' calls 2 streams 'integrated_accounts'",
        [],
    ),
    "a key that is taken apart": (
        {"flattening_enabled": True, "flattening_max_depth": 1}
        | maps(__key_properties__=["candidate"]),
        "Setting 'stream_maps' takes no object for the key candidate of interviews",
        [],
    ),
    "flattening of no depth": (
        {"flattening_enabled": True},
        "Setting 'flattening_max_depth' takes an integer of at least 0",
        ["'flattening_enabled'"],
    ),
    "flattening below the ground": (
        {"flattening_enabled": True, "flattening_max_depth": -1},
        "Setting 'flattening_max_depth' takes an integer of at least 0",
        ["'flattening_enabled'"],
    ),
    "a depth in words": (
        {"flattening_max_depth": SECRET},
        "Setting 'flattening_max_depth' takes",
        ["an integer"],
    ),
    "a locale that is a number": (
        {"faker_config": {"locale": 4242}},
        "Setting 'faker_config.locale' takes",
        ["a string or a list of strings"],
    ),
    "a key of faker that is none": (
        {"faker_config": {"locals": SECRET}},
        "Setting 'faker_config' has no 'locals'",
        ["seed, locale"],
    ),
    "a seed that is a list": (
        {"faker_config": {"seed": [SECRET]}},
        "Setting 'faker_config.seed' takes",
        ["a number or a string"],
    ),
}
"""What is refused by the name of an inner key, or of no setting."""


def in_environment(settings: dict[str, Any]) -> dict[str, str]:
    return {
        f"{PREFIX}{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in settings.items()
    }


@pytest.mark.parametrize("source", ["file", "environment"])
@pytest.mark.parametrize(("settings", "begin", "words"), REFUSED.values(), ids=REFUSED)
def test_inner_keys_and_unknown_names_are_refused_in_one_line(
    tap: Tap,
    sandbox: Sandbox,
    settings: dict[str, Any],
    begin: str,
    words: list[str],
    source: str,
) -> None:
    if source == "file":
        done = tap(**settings)
    else:
        done = run("--config", "ENV", env=in_environment(tap.config() | settings))
    assert (done.code, done.stdout) == (1, "")
    (line,) = done.errors
    assert line.startswith(begin)
    assert all(word in line for word in words), line
    assert line.endswith(".")
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
    assert sandbox.requests() == []


@pytest.mark.parametrize("name", ["TENANT_IDS", "Tenant_Ids", "tenantIds", " tenant_ids"])
def test_the_nearest_name_is_found_whatever_its_letters(
    tap: Tap, sandbox: Sandbox, name: str
) -> None:
    wrong: dict[str, Any] = {name: [SECRET]}
    done = tap(**wrong)
    assert (done.code, sandbox.requests()) == (1, [])
    assert done.errors == [f"Setting '{name}' is unknown: the nearest is 'tenant_ids'."]
