"""A person's words are never logged and never become part of the state, by whoever's message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.hasty import hasty
from tests.harness import spread

if TYPE_CHECKING:
    from sandbox.control import Sandbox
    from tests.harness import Run, Tap

BASE = "/unified/ats/"
LISTING = "/integrated-account"

NAME, ADDRESS = "Zebediah Quux", "zebediah.quux@example.com"
WORDS = (
    "Zebediah",
    "Quux",
    "zebediah.quux",
    "Nevershown",
    "never.in.a.log",
    "did not like",
)
"""The last ones are the provider's own, which the sandbox sends with each remote error."""

MESSAGE = f"emails[email]={ADDRESS} matches no candidate: {NAME}"

STATUSES = [400, 401, 403, 404, 409, 422, 429, 500, 503]

PLACES: dict[str, str] = {
    "a list": BASE + "candidates",
    "a list by parent": BASE + "activities",
    "parents": BASE + "jobs",
    "a single row": BASE + "candidates/",
    "the listing": LISTING,
    "a look-up and capabilities": LISTING + "/",
    "anything": "",
}


def quiet(run: Run) -> None:
    """Check that a run quotes nobody, in its log or in its states."""
    said = run.stderr + "".join(map(json.dumps, run.states))
    assert run.stderr
    found = [word for word in WORDS if word.lower() in said.lower()]
    assert found == []
    assert "Traceback" not in run.stderr


def world(sandbox: Sandbox) -> list[str]:
    made = sandbox.reset(
        accounts=[{"provider": name} for name in ("breezy", "greenhouse", "bamboohr")],
        interviews=3,
        candidates=3,
        jobs=2,
        rate_limits=False,
    )
    return [one["id"] for one in made]


def everything(sandbox: Sandbox, ids: list[str], **settings: Any) -> Run:
    """Read all that there is of these accounts, each row by its id as well, in both ways."""
    tap = hasty(sandbox)
    streams = ("candidates", "jobs", "activities", "interviews")
    return tap(
        catalog=tap.catalog("integrated_accounts", *streams),
        integrated_account_ids=ids or None,
        hydrate=["candidates"],
        max_retries=1,
        **settings,
    )


@pytest.mark.parametrize(
    ("path", "status", "remote"),
    spread([*PLACES.values()] * 2 * len(STATUSES), STATUSES, [False, True, True])[:60],
)
def test_no_message_of_an_error_is_quoted(
    sandbox: Sandbox, status: int, path: str, *, remote: bool
) -> None:
    ids = world(sandbox)
    sandbox.fault(path=path, status=status, remote=remote, message=MESSAGE, times=None)
    named = path not in {LISTING, ""}
    run = everything(sandbox, ids if named else [])
    assert any(one["status"] == status for one in sandbox.requests())
    quiet(run)


BODIES: dict[str, Any] = {
    "a text": MESSAGE,
    "HTML": f"<html><title>{NAME}</title></html>",
    "half an envelope": '{"statusCode": 500, "error": "x", "message": "' + MESSAGE,
    "a list": [MESSAGE],
    "the error is the message": {"statusCode": 500, "error": MESSAGE, "message": NAME},
    "an object as message": {"statusCode": 500, "error": "x", "message": {"email": ADDRESS}},
    "names where names of parameters are": {
        "statusCode": 500,
        "error": "x",
        "message": "x",
        "truto_error_insight": {
            "missing_required_query_parameters": {"value": [MESSAGE, NAME, ADDRESS]},
            "forbidden_error": {"value": {"missing_scopes": [NAME, ADDRESS, f"a\n{NAME}"]}},
        },
    },
    "words where words are": {
        "statusCode": 500,
        "error": "x",
        "message": "x",
        "truto_error_insight": {
            "missing_required_query_parameters": {"description": NAME, "value": {"a": NAME}},
            "forbidden_error": {"description": MESSAGE, "value": NAME},
            "rate_limit_error": {"description": NAME, "value": NAME},
            "remote_error": {"description": MESSAGE, "value": {"message": MESSAGE}},
        },
        "details": {"failures": [{"message": MESSAGE}]},
        "raw_response": MESSAGE,
    },
}


@pytest.mark.parametrize(
    ("body", "status", "path"),
    spread([*BODIES.values()] * 3, [200, 400, 401, 500, 503], [BASE, LISTING]),
)
def test_no_body_is_quoted_whatever_its_form(
    sandbox: Sandbox, status: int, body: Any, path: str
) -> None:
    ids = world(sandbox)
    sandbox.fault(path=path, status=status, body=body, times=None)
    quiet(everything(sandbox, ids if path == BASE else []))


ROWS: dict[str, list[Any]] = {
    "texts": [NAME, ADDRESS],
    "no id": [{"name": NAME, "emails": [{"email": ADDRESS}]}],
    "a person as id": [{"id": {"name": NAME}}, {"id": [ADDRESS]}],
    "odd values": [{"id": "1", "created_at": NAME, "updated_at": ADDRESS, "first_name": [NAME]}],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("response_format", ["unified", "stream", "raw"])
def test_no_row_is_quoted_that_cannot_be_read(
    sandbox: Sandbox, rows: list[Any], response_format: str
) -> None:
    ids = world(sandbox)
    for resource in ("candidates", "jobs", "interviews"):
        sandbox.fault(path=BASE + resource, kind="rows", rows=rows, times=None)
    quiet(everything(sandbox, ids, response_format=response_format))


@pytest.mark.parametrize("kind", ["loop", "endless", "truncated", "reset", "garbage"])
def test_no_cursor_is_quoted(sandbox: Sandbox, kind: str) -> None:
    ids = world(sandbox)
    row = {"id": "1"}
    body = {"result": [row], "next_cursor": f"https://ats.example/?email={ADDRESS}"}
    for path in (BASE + "candidates", LISTING):
        sandbox.fault(path=path, kind="body_override", body=body)
        sandbox.fault(path=path, later_pages=True, times=None, kind=kind)
    quiet(everything(sandbox, ids))
    quiet(everything(sandbox, []))


@pytest.mark.parametrize("status", [400, 404, 410, 422, 500])
def test_no_parameter_is_quoted_of_a_request_that_is_refused(
    tap: Tap, sandbox: Sandbox, status: int
) -> None:
    """A filter may name a person; so may the id of a parent, and that of a row."""
    world(sandbox)
    row = {"id": ADDRESS, "first_name": NAME}
    for resource in ("candidates", "jobs"):
        sandbox.fault(path=BASE + resource, kind="rows", rows=[row])
    sandbox.fault(path=BASE + "candidates", status=status, message=MESSAGE, times=None)
    sandbox.fault(path=BASE + "activities", status=status, message=MESSAGE, times=None)
    run = tap(
        catalog=tap.catalog("candidates", "activities", "jobs"),
        filters={"candidates": {"emails[email]": ADDRESS}},
        hydrate=["candidates"],
    )
    assert any(one["status"] == status for one in sandbox.requests())
    quiet(run)


@pytest.mark.parametrize("status", [400, 401, 403, 422, 500])
@pytest.mark.parametrize("remote", [False, True])
def test_a_test_quotes_nobody(sandbox: Sandbox, tap: Tap, status: int, *, remote: bool) -> None:
    world(sandbox)
    sandbox.fault(path=BASE, status=status, remote=remote, message=MESSAGE, times=None)
    run = tap("--test")
    assert run.code == 1
    quiet(run)


def test_who_quotes_is_found_out(sandbox: Sandbox) -> None:
    """The rows that the tap emits do hold such words; its log and its states do not."""
    ids = world(sandbox)
    key = sandbox.rows("candidates", ids[1])[0]["id"]
    sandbox.change_row("candidates", ids[1], key, first_name="Zebediah")
    run = everything(sandbox, ids)
    assert "Zebediah" in run.stdout
    quiet(run)
    run.stderr += run.stdout
    with pytest.raises(AssertionError):
        quiet(run)
