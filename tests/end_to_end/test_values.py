"""Values that databases refuse, in one account: its other rows load, and those of all others."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest

from sandbox.tables import query
from tests.end_to_end.test_targets import CAREFUL, FAST, MELTANO, load, settings
from tests.harness import table

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.control import Sandbox
    from sandbox.postgres import Postgres
    from tests.harness import Record, Tap

PATH = "/unified/ats/interviews"
STAGES = "/unified/ats/job_interview_stages"
HALF = "\ufffd"


class Case(NamedTuple):
    row: str
    """The row as it comes, in JSON."""
    filled: dict[str, Any] | None = None
    """What of its columns is known; None if it is no row of the table."""
    replaced: int = 0
    """How many of its values are replaced."""
    encoding: str = "utf-8"


def custom(**fields: Any) -> dict[str, Any]:
    return {"custom_fields": fields}


DEEP = 97
"""How many levels of lists a row's property has, with the envelope, the list and the row."""


def levels(count: int) -> str:
    return "[" * count + "]" * count


def lists(count: int, innermost: Any) -> Any:
    return [lists(count - 1, innermost)] if count else innermost


NUL: dict[str, Case] = {
    "in a text": Case(r'{"location": "a\u0000b"}', {"location": "a\ufffdb"}, 1),
    "in an object": Case(
        r'{"candidate": {"n": "\u0000"}}', {"candidate": {"id": None, "n": HALF}}, 1
    ),
    "in a list": Case(
        r'{"interviewers": [{"id": "u\u0000"}, {"id": 1, "x": [["\u0000"]]}]}',
        {"interviewers": [{"id": "u\ufffd"}, {"id": "1", "x": [[HALF]]}]},
        2,
    ),
    "in keys": Case(r'{"a\u0000": {"b\u0000": 1}}', custom(**{"a\ufffd": {"b\ufffd": 1}}), 2),
    "in custom fields": Case(r'{"x": [{"y": ["\u0000"]}]}', custom(x=[{"y": [HALF]}]), 1),
    "in an object for a text": Case(
        r'{"location": {"city": "\u0000"}}', {"location": '{"city":"\ufffd"}'}, 1
    ),
    "in raw data": Case(r'{"remote_data": {"a": {"b": ["\u0000"]}}}', {}, 1),
    "in keys that become one": Case(
        r'{"x": {"\u0000": 1, "\u0000\u0000": 2, "\ufffd": 3}}',
        custom(x={HALF: 1, HALF * 2: 2, HALF * 3: 3}),
        2,
    ),
    "as a byte": Case('{"location": "a\0b"}', {"location": "a\ufffdb"}, 1),
}
HALVES: dict[str, Case] = {
    "half a character " + name: case._replace(
        row=case.row.replace(r"\u0000", half).replace("\0", half)
    )
    for (name, case), half in zip(NUL.items(), [r"\ud83d", r"\udc00"] * len(NUL), strict=False)
}
NUMBERS: dict[str, Case] = {
    "beyond 64 bits": Case('{"x": 9223372036854775808}', custom(x=2**63)),
    "far beyond": Case(f'{{"x": [{10**400}]}}', custom(x=[10**400])),
    "too many digits": Case('{"x": %s}' % ("7" * 5_000), custom(x="7" * 5_000), 1),
    "too large": Case('{"x": [1e400, 1e308]}', custom(x=["1e400", 1e308]), 1),
    "none": Case('{"x": NaN, "y": {"z": -Infinity}}', custom(x="NaN", y={"z": "-Infinity"}), 2),
    "of other languages": Case('{"x": 007, "position": +1}', custom(x="007", position="+1"), 2),
    "small": Case('{"x": [5e-324, -0.0]}', custom(x=[5e-324, 0])),
    "for a date": Case(f'{{"start_at": {10**400}}}', custom(start_at=10**400)),
}
SHAPES: dict[str, Case] = {
    "a long id": Case('{"id": "%s"}' % ("k" * 3_000)),
    "a long number as id": Case(f'{{"id": {10**3_000}}}'),
    "the longest id": Case('{"id": "%s"}' % ("ä" * 1_000), {"id": "ä" * 1_000}),
    "null elements": Case('{"interviewers": [null, {"id": 1}, null]}',
                          {"interviewers": [{"id": "1"}]}),
    "null elements alone": Case('{"interviewers": [null]}', {"interviewers": []}),
    "null elements elsewhere": Case('{"x": [null, [null]]}', custom(x=[None, [None]])),
    "misfits in a list": Case(
        '{"interviewers": ["u1", [{"id": 2}], {"id": 3}]}',
        {"interviewers": [{"id": "3"}], **custom(interviewers=["u1", [{"id": 2}], {"id": 3}])},
    ),
    "an empty key": Case('{"": 1, "candidate": {"": {"": 2}}}',
                         {"candidate": {"id": None, "": {"": 2}}, **custom(**{"": 1})}),
    "a key twice": Case('{"location": "a", "location": "b", "x": {"y": 1, "y": 2}}',
                        {"location": "b", **custom(x={"y": 2})}),
    "a long key": Case('{"%s": 1}' % ("k" * 70_000), custom(**{"k" * 70_000: 1})),
    "a long text": Case(json.dumps({"location": "ä" * 2**20, "x": "b" * 2**20}),
                        {"location": "ä" * 2**20, **custom(x="b" * 2**20)}),
    "as deep as can be": Case(f'{{"x": {levels(DEEP)}}}', custom(x=lists(DEEP - 1, []))),
    "too deep": Case(f'{{"x": {levels(DEEP + 1)}}}', custom(x=lists(DEEP, "[]")), 1),
    "too deep for Python": Case(f'{{"x": {levels(2_000)}}}',
                                custom(x=lists(DEEP, levels(2_000 - DEEP))), 1),
    "too deep for Postgres": Case(f'{{"x": {{"y": {levels(50_000)}}}}}',
                                  custom(x={"y": lists(DEEP - 1, levels(50_001 - DEEP))}), 1),
    "too deep in a text": Case(f'{{"location": {{"y": {levels(500)}}}}}', {}, 1),
    "too deep in raw data": Case(f'{{"remote_data": {{"y": {levels(1_500)}}}}}', {}, 1),
}  # fmt: skip
COPY: dict[str, Case] = {
    repr(text)[:12] + " in COPY": Case(
        json.dumps({"location": text, "interviewers": [{"id": text}], "x": [text]}),
        {"location": text, "interviewers": [{"id": text}], **custom(x=[text])},
    )
    for text in (
        "\\.",
        "a\n\\.\nb",
        "\\N",
        "NULL",
        "",
        '"',
        "{},\\\"'",
        "\r",
        "\r\n\t",
        "\x01\x1f\x7f",
        "\ufffe\uffff",
        "\u2028",
    )
}
DATES: dict[str, Case] = {
    **{
        f"date {text}": Case(json.dumps({"start_at": text}), {"start_at": instant})
        for text, instant in {
            "0001-01-01": "0001-01-01T00:00:00.000000+00:00",
            "9999-12-31T23:59:59.9999999Z": "9999-12-31T23:59:59.999999+00:00",
            "2017-07-26 13:09:14 UTC": "2017-07-26T13:09:14.000000+00:00",
            1501074554: "2017-07-26T13:09:14.000000+00:00",
            "2026-01-31+01:00": "2026-01-30T23:00:00.000000+00:00",
        }.items()
    },
    **{
        f"date {text}": Case(json.dumps({"start_at": text}), custom(start_at=text))
        for text in (
            "0000-00-00 00:00:00",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "12026-01-01",
            "2026-01-31T24:00:00Z",
            "2026-06-30T23:59:60Z",
            "03/04/2026",
            253402300799,
        )
    },
}
BYTES: dict[str, Case] = {
    "another encoding": Case('{"location": "caf\xe9"}', {"location": "caf\ufffd"}, 1, "latin-1"),
    "a key of another encoding": Case('{"\xe9": 1}', custom(**{HALF: 1}), 1, "latin-1"),
    "a byte-order mark": Case('{"location": "a"}', {"location": "a"}, 0, "utf-8-sig"),
    "a bare backslash": Case(r'{"location": "C:\dir"}', {"location": r"C:\dir"}, 1),
    "a bare line end": Case('{"location": "a\nb\x01"}', {"location": "a\nb\x01"}),
}
CASES = {**NUL, **HALVES, **NUMBERS, **SHAPES, **COPY, **DATES, **BYTES}


def body(case: Case) -> str:
    row = case.row if case.row.startswith('{"id"') else '{"id": "odd", ' + case.row[1:]
    return f'{{"result": [{{"id": "before"}}, {row}, {{"id": "after"}}], "next_cursor": null}}'


@pytest.fixture
def accounts(sandbox: Sandbox) -> dict[str, str]:
    """Accounts by case, each of which answers with the case's row between two others."""
    made = sandbox.reset(
        accounts=[{"provider": "ashby"}] * (len(CASES) + 2), interviews=3, rate_limits=False
    )
    named = dict(zip(CASES, (one["id"] for one in made), strict=False))
    for name, case in CASES.items():
        sandbox.fault(
            path=PATH,
            integrated_account_id=named[name],
            kind="body_override",
            body=body(case),
            encoding=case.encoding,
            times=None,
        )
    return named


def loaded(database: Postgres, schema: str) -> dict[tuple[str, str], Record]:
    """The table's rows, raw data included."""
    found = query(database, f"SELECT * FROM {schema}.interviews")
    for row in found:
        for name, value in row.items():
            if hasattr(value, "isoformat"):
                row[name] = value.isoformat(timespec="microseconds") + "+00:00"
    return {
        (row["integrated_account_id"], row["id"]): {
            name: value for name, value in row.items() if not name.startswith("_sdc_")
        }
        for row in found
    }


def digits(value: Any) -> Any:
    """A value with whole numbers as Postgres writes them in JSON: with all their digits."""
    if isinstance(value, dict):
        return {key: digits(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [digits(inner) for inner in value]
    is_large = isinstance(value, float) and abs(value) > 2**53
    return int(Decimal(repr(value))) if is_large else value


def connection(running: Postgres, schema: str, **others: Any) -> dict[str, Any]:
    """The documentation's own settings of the target."""
    return {**MELTANO, **settings(running, schema), **others}


@pytest.mark.parametrize(
    ("form", "choice"),
    [
        ("unified", FAST),
        ("unified", CAREFUL),
        ("stream", FAST),
        ("raw", FAST),
        ("normalized", FAST),
    ],
    ids=["unified", "unified, careful", "stream", "raw", "normalized"],
)
def test_every_value_costs_itself_alone(
    tap: Tap,
    accounts: dict[str, str],
    database: Postgres,
    tmp_path: Path,
    form: str,
    choice: dict[str, bool],
) -> None:
    schema = f"values_{form}_{len(choice)}{int(choice['use_copy'])}"
    config = connection(database, schema, **choice)
    state = None
    for _ in range(2):
        run = tap(
            catalog=tap.catalog("interviews", include_remote_data=True),
            include_remote_data=True,
            response_format=form,
            state=state,
        )
        assert (run.code, run.errors) == (0, []), run.stderr
        load(run, "meltanolabs-target-postgres", config, tmp_path)
        state = run.state
        found = loaded(database, schema)
        emitted = {
            (one["integrated_account_id"], one["id"]): digits(one)
            for one in run.records("interviews")
        }
        assert found == emitted
        assert len(found) == 3 * len(CASES) - 2 + 2 * 3
        for name, case in CASES.items():
            account = accounts[name]
            assert {(account, "before"), (account, "after")} <= found.keys(), name
            told = [line for line in run.log if account in line and "They were replaced" in line]
            assert len(told) == (case.replaced > 0), name
            assert not told or f": {case.replaced} values of interviews " in told[0], told
            if case.filled is None or form == "raw":
                continue
            row = found[account, case.filled.get("id", "odd")]
            assert {key: row[key] for key in case.filled} == digits(case.filled), name


def test_whole_numbers_have_a_place(
    tap: Tap, sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    accounts = sandbox.reset(accounts=[{"provider": "ashby"}] * 3, rate_limits=False)
    given = [3, 3.0, 2**63 - 1, -(2**63), 2**63, 10**400, 3.5, "3", True, 1e300, None, [1]]
    sandbox.fault(
        path=STAGES,
        integrated_account_id=accounts[0]["id"],
        kind="body_override",
        body={"result": [{"id": n, "position": value} for n, value in enumerate(given)]},
        times=None,
    )
    run = tap(catalog=tap.catalog("job_interview_stages"))
    assert (run.code, run.errors) == (0, []), run.stderr
    assert run.logged("values of job_interview_stages.position did not fit") == 1
    load(run, "meltanolabs-target-postgres", connection(database, "numbers"), tmp_path)
    found = query(database, "SELECT * FROM numbers.job_interview_stages")
    assert len(found) == len(run.records("job_interview_stages")) > len(given)
    own = {
        int(row["id"]): row["position"] if row["custom_fields"] is None else row["custom_fields"]
        for row in found
        if row["integrated_account_id"] == accounts[0]["id"]
    }
    fitting = {0: 3, 1: 3, 2: 2**63 - 1, 3: -(2**63), 10: None}
    kept = {n: {"position": digits(value)} for n, value in enumerate(given)}
    assert own == kept | fitting


@pytest.mark.parametrize(
    ("use_copy", "begin"),
    [(True, "2026-01-31T01:04:00"), (False, "2026-01-30T20:04:00")],
    ids=["copy", "insert"],
)
def test_copy_keeps_times_where_the_database_is_not_in_utc(
    tap: Tap,
    sandbox: Sandbox,
    ids: dict[str, str],
    database: Postgres,
    tmp_path: Path,
    use_copy: bool,  # noqa: FBT001
    begin: str,
) -> None:
    name = f"new_york_{use_copy}".lower()
    with psycopg.connect(database.uri, autocommit=True) as connected:
        connected.execute(f"CREATE DATABASE {name}".encode())
        connected.execute(f"ALTER DATABASE {name} SET timezone = 'America/New_York'".encode())
    row = {"id": "1", "start_at": "2026-01-31T01:04:00Z"}
    sandbox.fault(path=PATH, kind="rows", rows=[row])
    run = tap(integrated_account_ids=[ids["pinpoint"]])
    (record,) = table(run).values()
    assert record["start_at"] == "2026-01-31T01:04:00.000000+00:00"
    config = connection(database, "truto_ats", use_copy=use_copy, database=name)
    load(run, "meltanolabs-target-postgres", config, tmp_path)
    with psycopg.connect(database.uri.removesuffix(database.database) + name) as connected:
        (found,) = connected.execute("SELECT start_at FROM truto_ats.interviews").fetchall()
    assert found[0].isoformat() == begin
