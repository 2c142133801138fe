"""Another number of shards, over states that a stand-in for Meltano keeps.

`tests/end_to_end/test_meltano.py` has the same with the real one.
"""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tap_truto_ats import reshard
from tap_truto_ats.model.shard import Shard

BOOKMARK = "2026-01-31T09:30:00.000000+00:00"


class Meltano(dict[str, Any]):
    """What `meltano state` prints, by state id."""

    def __call__(self, *args: str) -> str:
        group, command, *options = args
        assert group == "state"
        if command == "list":
            pattern = options[-1].replace("_", "?").lower()  # As LIKE of SQLite has it.
            return "".join(f"{name}\n" for name in self if fnmatch(name.lower(), pattern))
        if command == "set":
            self[options[-1]] = json.loads(Path(options[-2]).read_text())
        return json.dumps(self.get(options[-1], {}))

    def partitions(self, *names: str) -> dict[tuple[str, str], Any]:
        """The partitions of some states by stream and account."""
        return {
            (stream, one["context"]["integrated_account_id"]): one
            for name in names
            for stream, known in self[name]["singer_state"]["bookmarks"].items()
            for one in known["partitions"]
        }


@pytest.fixture
def meltano(monkeypatch: pytest.MonkeyPatch) -> Meltano:
    keeper = Meltano()
    monkeypatch.setattr(reshard, "meltano", keeper)
    return keeper


def state(*accounts: str, **keys: Any) -> dict[str, Any]:
    partitions = [
        {
            "context": {"integrated_account_id": one},
            "replication_key": "updated_at",
            "replication_key_value": BOOKMARK,
            **keys,
        }
        for one in accounts
    ]
    return {"singer_state": {"bookmarks": {"interviews": {"partitions": partitions}}}}


def run(*args: str) -> str:
    done = CliRunner().invoke(reshard.cli, args)
    assert done.exit_code == 0, done.output
    return done.output


def test_every_key_of_a_state_goes_to_the_shard_of_its_account(meltano: Meltano) -> None:
    accounts = [f"account-{n}" for n in range(20)]
    keys = {
        "rows_checksum": 7,
        "undated_rows": True,
        "whole_read_at": BOOKMARK,
        "scope": {"columns": "6a410bee"},
        "ids_checksum": 8,
        "read_at": BOOKMARK,
        "parents_known_until": BOOKMARK,
        "fan_out": {"mode": "whole", "after": ["c1"], "gone": [["c0"]]},
        "whole_read_postponed": True,
        "missing_since": BOOKMARK,
    }
    meltano["prod:tap-to-target"] = state(*accounts, **keys)
    before = meltano.partitions("prod:tap-to-target")
    run("prod:tap-to-target", "--prefix", "t", "--count", "3")
    for old, new in [(3, 5), (5, 2), (2, 2), (2, 1), (1, 3)]:
        run(f"t-*-of-{old}", "--prefix", "t", "--count", str(new))
        names = [f"t-{index}-of-{new}" for index in range(new)]
        assert meltano.partitions(*names) == before
        for index, name in enumerate(names):
            assert all(one in Shard(index, new) for _, one in meltano.partitions(name))


@pytest.mark.parametrize(
    "other", ["tap-truto-ats--eu-0-of-2", "TAP-truto-ats-0-of-2", "tap_truto-ats-0-of-2"]
)
def test_states_of_another_extractor_are_not_taken(meltano: Meltano, other: str) -> None:
    meltano |= {"tap-truto-ats-0-of-2": state("a"), other: state("b")}
    done = run("tap-truto-ats-*-of-2", "--prefix", "tap-truto-ats", "--count", "1")
    assert "The bookmarks of 1 accounts, from 1 states, are now in 1" in done
    assert meltano.partitions("tap-truto-ats-0-of-1").keys() == {("interviews", "a")}


def test_an_id_may_have_blanks(meltano: Meltano) -> None:
    meltano["my tap-0-of-1"] = state("a")
    run("my tap-*-of-1", "--prefix", "my tap", "--count", "1")
    assert meltano == {"my tap-0-of-1": state("a")}


@pytest.mark.parametrize("bookmarks", [None, [], {"repos": "2020"}, {"repos": {"partitions": [1]}}])
def test_what_is_no_state_is_named_in_a_line(meltano: Meltano, bookmarks: object) -> None:
    meltano |= {"t-0-of-1": {"singer_state": {"bookmarks": bookmarks}}}
    done = CliRunner().invoke(reshard.cli, ["t-*-of-1", "--prefix", "t", "--count", "2"])
    assert isinstance(done.exception, SystemExit)
    assert "Error: What Meltano keeps as t-0-of-1 is no Singer state: " in done.output
    assert [*meltano] == ["t-0-of-1"]


@pytest.mark.parametrize("content", [{}, {"singer_state": {}}, {"singer_state": None}])
def test_an_empty_state_has_no_bookmarks(meltano: Meltano, content: dict[str, Any]) -> None:
    meltano |= {"t-0-of-2": content, "t-1-of-2": state("a")}
    run("t-*-of-2", "--prefix", "t", "--count", "1")
    assert meltano["t-0-of-1"] == state("a")


def test_a_missing_command_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(click.ClickException, match="There is no command `meltano`"):
        reshard.state_ids("t-*-of-2")
