"""Another number of shards: the states that Meltano keeps become states of other shards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tap_truto_ats.model.shard import Shard
from tap_truto_ats.singer.inputs import state_of
from tap_truto_ats.sync.shards import account_ids, merged, part_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def meltano(*args: str) -> str:
    """Run Meltano in the project of the working directory, and return what it prints.

    Raises:
        click.ClickException: There is no such command, or it failed; its log has been shown.
    """
    try:
        done = subprocess.run(["meltano", *args], capture_output=True, text=True, check=True)  # noqa: S603, S607 - the user's own, on the user's PATH
    except FileNotFoundError:
        message = "There is no command `meltano`: run this where Meltano is installed."
        raise click.ClickException(message) from None
    except subprocess.CalledProcessError as error:
        sys.stderr.write(error.stderr)
        message = f"`meltano {' '.join(args[:2])}` failed, as its log above says."
        raise click.ClickException(message) from None
    return done.stdout


def state_ids(pattern: str) -> list[str]:
    """Return the ids of the states that Meltano keeps, by a pattern such as `truto-*-of-64`.

    `*` is a number alone: `truto-eu-0-of-64` is a state of another extractor.
    """
    wanted = re.compile(re.escape(pattern).replace(r"\*", "[0-9]+"))
    found = meltano("state", "list", "--pattern", pattern).splitlines()
    return [one for one in found if wanted.fullmatch(one)]


def get_state(state_id: str) -> dict[str, Any]:
    """Return the state that Meltano keeps under an id.

    Raises:
        click.ClickException: It is no Singer state.
    """
    content = json.loads(meltano("state", "get", state_id))
    try:
        return state_of(content.get("singer_state") or {})
    except ValueError as error:
        message = f"What Meltano keeps as {state_id} is no Singer state: {error}"
        raise click.ClickException(message) from None


def set_state(state_id: str, state: dict[str, Any]) -> None:
    """Have Meltano keep a state under an id, in place of what it kept there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.json"
        path.write_text(json.dumps({"singer_state": state}), encoding="utf-8")
        meltano("state", "set", "--force", "--input-file", str(path), state_id)


@click.command()
@click.argument("patterns", nargs=-1, required=True)
@click.option("--prefix", required=True, help="How the ids of the new states begin.")
@click.option(
    "--count", required=True, type=click.IntRange(min=1), help="The new number of shards."
)
def cli(patterns: Sequence[str], prefix: str, count: int) -> None:
    """Share the bookmarks of Meltano's states out to another number of shards.

    PATTERNS find the ids of the states there are, such as 'truto-*-of-64', where * is a number.
    The new ids are PREFIX-0-of-COUNT and so on. Where several states know an account, the later
    bookmark counts. The states that were there stay as they are. No run may be under way meanwhile.
    """
    new = {f"{prefix}-{index}-of-{count}": Shard(index, count) for index in range(count)}
    found = dict.fromkeys(name for pattern in patterns for name in state_ids(pattern))
    if not found:
        message = f"Meltano keeps no state like {' or '.join(patterns)}: see `meltano state list`."
        raise click.ClickException(message)
    found |= dict.fromkeys(name for name in state_ids(f"{prefix}-*-of-{count}") if name in new)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        state = merged(pool.map(get_state, found))
        parts = [part_of(state, shard) for shard in new.values()]
        list(pool.map(set_state, new, parts))
    click.echo(
        f"The bookmarks of {len(account_ids(state))} accounts, from {len(found)} states, are now in"
        f" {count}: {prefix}-0-of-{count} and so on."
    )
