"""What settings there are, each declared once: its type, its JSON Schema and its words."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_truto_ats.model.instants import parse_iso
from tap_truto_ats.model.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def _setting(kind: Any, title: str, description: str, **details: Any) -> Any:  # noqa: ANN401
    """Declare a setting by one of the SDK's types; the details are those of its `Property`."""
    schema = {"wrapped": kind, "title": title, "description": description, **details}
    return field(metadata=schema, repr=not details.get("secret"))


@dataclass(frozen=True)
class Settings:
    """A configuration that `problems` finds nothing wrong with, typed and with its defaults."""

    api_token: str = _setting(
        th.StringType, "API token", "Truto API token.", required=True, secret=True
    )
    api_url: str = _setting(
        th.StringType,
        "API URL",
        "Address of Truto's API: https, or http on this machine.",
        default="https://api.truto.one",
    )
    integrated_account_ids: tuple[str, ...] = _setting(
        th.ArrayType(th.StringType),
        "Integrated accounts",
        "Accounts to read. When absent, every active account of the token's environment that is in "
        "the ATS category, or of a provider that the tap knows.",
    )
    tenant_ids: tuple[str, ...] = _setting(
        th.ArrayType(th.StringType),
        "Tenants",
        "Only the accounts of these tenants are read; without effect where "
        "`integrated_account_ids` is set.",
    )
    shard_count: int | None = _setting(
        th.IntegerType(minimum=1),
        "Number of shards",
        "How many runs share the accounts: by its id, each account belongs to one of them. Each "
        "of these shards needs a state of its own.",
    )
    shard_index: int | None = _setting(
        th.IntegerType(minimum=0),
        "Shard",
        "The shard that this run reads, counted from 0.",
    )
    parallel_runs: int = _setting(
        th.IntegerType(minimum=1, maximum=500),
        "Parallel runs",
        "How many runs use the token at the same time: each keeps to its part of the token's 500 "
        "requests in 10 seconds. The limit of an account is not divided, so that no two of the "
        "runs may read the same account.",
        default=1,
    )
    start_date: datetime | None = _setting(  # noqa: RUF009 - it returns a field
        th.DateTimeType,
        "Start date",
        "Rows whose `updated_at` is older are not emitted. For rows without `updated_at`, "
        "`created_at` counts; rows without either are emitted.",
    )
    include_remote_data: bool = _setting(
        th.BooleanType,
        "Include remote data",
        "Adds the provider's raw record as `remote_data`.",
        default=False,
    )
    include_eeocs: bool = _setting(
        th.BooleanType,
        "Include EEOC answers",
        "Reads the stream `eeocs`, if it is selected as well: candidates' race, gender, veteran "
        "status and disability.",
        default=False,
    )
    filters: Mapping[str, Mapping[str, Any]] = _setting(
        th.ObjectType(),
        "Filters",
        "By stream: query parameters, such as "
        '`{"interviews": {"start_at": {"gte": "2026-01-01T00:00:00Z"}}}`.',
    )
    remote_query: Mapping[str, Mapping[str, Any]] = _setting(
        th.ObjectType(),
        "Remote query",
        "By stream: parameters that Truto passes on to the provider untouched "
        "(`remote_query[foo][bar]=baz`).",
    )
    response_format: str = _setting(
        th.StringType,
        "Response format",
        "The form in which Truto answers.",
        default="unified",
        allowed_values=["unified", "normalized", "raw", "stream"],
    )
    page_size: int = _setting(
        th.IntegerType(minimum=1),
        "Page size",
        "How many rows to ask for in a page (`limit`). A page may hold more or fewer.",
        default=100,
    )
    ignore_limit: bool = _setting(
        th.BooleanType, "Ignore limit", "Sends `truto_ignore_limit=true`.", default=False
    )
    lookback_seconds: int = _setting(
        th.IntegerType(minimum=0),
        "Lookback",
        "Seconds that are subtracted from a bookmark when it is read. The stored bookmark stays as "
        "it is.",
        default=120,
    )
    max_concurrency: int = _setting(
        th.IntegerType(minimum=1, maximum=100),
        "Concurrency",
        "Requests under way at the same time, each of which may hold a page in memory. With the "
        "default, a run reaches the token's limit when an answer takes a second.",
        default=50,
    )
    request_timeout_seconds: int = _setting(
        th.IntegerType(minimum=1),
        "Request timeout",
        "Seconds to wait for an answer, and for a page to arrive.",
        default=60,
    )
    max_retries: int = _setting(
        th.IntegerType(minimum=0),
        "Retries",
        "Retries of each request. Once a stream of an account has used them up, the account's "
        "other streams get one try each.",
        default=8,
    )
    schedule_window_days: int | None = _setting(
        th.IntegerType(minimum=0),
        "Schedule window",
        "For accounts whose rows carry no `updated_at`: after they have been read whole, later "
        "runs ask only for what starts or ends within this many days before the run, or later.",
    )
    full_read_every_days: int | None = _setting(
        th.IntegerType(minimum=0),
        "Days between whole reads",
        "After so many days each account is read whole again, so that late changes, changes "
        "without a date and deletions are found. Null or 0 switches it off.",
        default=7,
    )
    changed_parents_only: bool = _setting(
        th.BooleanType,
        "Ask by changed parents only",
        "Where rows are asked for by their parents, such as candidates: between whole reads, the "
        "tap asks only for parents that changed since they were read last, or that do not tell "
        "when they changed.",
        default=False,
    )
    hydrate: tuple[str, ...] = _setting(
        th.ArrayType(th.StringType),
        "Streams to hydrate",
        "Streams whose rows are fetched by id, where a provider lists them with fewer fields than "
        "it has: a request for each row.",
    )
    fail_on_account_error: bool = _setting(
        th.BooleanType,
        "Fail on account errors",
        "When false, accounts that could not be read are reported, and the exit code is 0.",
        default=True,
    )
    emit_activate_version_messages: bool = _setting(
        th.BooleanType,
        "Emit ACTIVATE_VERSION messages",
        "For streams that the catalog sets to FULL_TABLE: tells the target to delete what is gone, "
        "if it is certain that every row of every account has come. Lists of several pages, and "
        "those that are asked for by parents, are then read at least twice.",
        default=False,
    )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read a configuration; a setting that is null counts as absent, unless it may be None."""
        values: dict[str, Any] = {}
        optional = {one.name for one in fields(cls) if "None" in str(one.type)}
        for name, definition in SCHEMA["properties"].items():
            values[name] = config.get(name)
            if values[name] is None and not (name in config and name in optional):
                values[name] = definition.get("default")
            if "integer" in definition["type"] and values[name] is not None:
                values[name] = int(values[name])  # A variable's 50.0 is an integer, too.
        values["api_url"] = values["api_url"].rstrip("/")
        values["start_date"] = parse_iso(values["start_date"])
        for name in ("filters", "remote_query"):
            values[name] = values[name] or {}
        for name in ("integrated_account_ids", "tenant_ids", "hydrate"):
            values[name] = tuple(dict.fromkeys(one.strip() for one in values[name] or ()))
        return cls(**values)

    @property
    def shard(self) -> Shard | None:
        """The shard of the accounts that is read; None if all are."""
        if self.shard_index is None or self.shard_count in {None, 1}:
            return None
        return Shard(self.shard_index, self.shard_count)

    @property
    def is_raw(self) -> bool:
        """Whether rows are the provider's own records, without the unified fields."""
        return self.response_format == "raw"


SCHEMA: dict[str, Any] = th.PropertiesList(
    *(th.Property(one.name, **one.metadata) for one in fields(Settings))
).to_dict()
"""The JSON Schema of all settings."""
