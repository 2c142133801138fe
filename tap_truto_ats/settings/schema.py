"""What settings there are: their JSON Schema, and a configuration as a typed object."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_truto_ats.model.instants import parse_instant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

RESPONSE_FORMATS = ("unified", "normalized", "raw", "stream")

SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "api_token",
        th.StringType,
        required=True,
        secret=True,
        title="API token",
        description="Truto API token.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        default="https://api.truto.one",
        title="API URL",
        description="Address of Truto's API: https, or http on this machine.",
    ),
    th.Property(
        "integrated_account_ids",
        th.ArrayType(th.StringType),
        title="Integrated accounts",
        description="Accounts to read. When absent, every active account of the token's "
        "environment in the ATS category.",
    ),
    th.Property(
        "tenant_ids",
        th.ArrayType(th.StringType),
        title="Tenants",
        description="When accounts are found: only these tenants.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="First sync: rows whose `updated_at` is older are not emitted; rows without "
        "`updated_at` go by `created_at`, rows without either are emitted.",
    ),
    th.Property(
        "include_remote_data",
        th.BooleanType,
        default=False,
        title="Include remote data",
        description="Adds the provider's raw record as `remote_data`.",
    ),
    th.Property(
        "filters",
        th.ObjectType(),
        title="Filters",
        description="Per stream: query parameters, such as "
        '`{"interviews": {"start_at": {"gte": "2026-01-01T00:00:00Z"}}}`.',
    ),
    th.Property(
        "remote_query",
        th.ObjectType(),
        title="Remote query",
        description="Per stream: parameters passed to the provider untouched "
        "(`remote_query[foo][bar]=baz`).",
    ),
    th.Property(
        "response_format",
        th.StringType,
        default="unified",
        allowed_values=list(RESPONSE_FORMATS),
        title="Response format",
        description="Form in which Truto answers.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1),
        default=100,
        title="Page size",
        description="Sent as `limit`; a hint, a page may hold more or fewer rows.",
    ),
    th.Property(
        "ignore_limit",
        th.BooleanType,
        default=False,
        title="Ignore limit",
        description="Sends `truto_ignore_limit=true`.",
    ),
    th.Property(
        "lookback_seconds",
        th.IntegerType(minimum=0),
        default=120,
        title="Lookback",
        description="Subtracted from a bookmark when it is read, never stored.",
    ),
    th.Property(
        "max_concurrency",
        th.IntegerType(minimum=1, maximum=100),
        default=10,
        title="Concurrency",
        description="Requests under way at the same time.",
    ),
    th.Property(
        "request_timeout_seconds",
        th.IntegerType(minimum=1),
        default=60,
        title="Request timeout",
        description="Seconds to wait for an answer, and for a page to arrive.",
    ),
    th.Property(
        "max_retries",
        th.IntegerType(minimum=0),
        default=8,
        title="Retries",
        description="Retries of each request.",
    ),
    th.Property(
        "schedule_window_days",
        th.IntegerType(minimum=0),
        title="Schedule window",
        description="Accounts whose rows carry no `updated_at`: once read whole, later runs ask "
        "only for what starts or ends within this many days before the run, or later.",
    ),
    th.Property(
        "full_read_every_days",
        th.IntegerType(minimum=1),
        default=7,
        title="Days between whole reads",
        description="With a schedule window: after this many days an account is read whole again.",
    ),
    th.Property(
        "hydrate",
        th.ArrayType(th.StringType),
        title="Streams to hydrate",
        description="Streams whose rows are fetched by id, where a provider lists them with fewer "
        "fields than it has: a request for each row.",
    ),
    th.Property(
        "fail_on_account_error",
        th.BooleanType,
        default=True,
        title="Fail on account errors",
        description="When false, accounts that could not be read are reported, and the exit code "
        "is 0.",
    ),
    th.Property(
        "emit_activate_version_messages",
        th.BooleanType,
        default=False,
        title="Emit ACTIVATE_VERSION messages",
        description="For streams that the catalog sets to FULL_TABLE: tells the target to delete "
        "what is gone, once every account was read to its end.",
    ),
).to_dict()


@dataclass(frozen=True)
class Settings:
    """A configuration that `problems` finds nothing wrong with, typed and with its defaults."""

    api_token: str = field(repr=False)
    api_url: str
    integrated_account_ids: tuple[str, ...]
    tenant_ids: tuple[str, ...]
    start_date: datetime | None
    filters: Mapping[str, Mapping[str, Any]]
    remote_query: Mapping[str, Mapping[str, Any]]
    response_format: str
    page_size: int
    ignore_limit: bool
    lookback_seconds: int
    max_concurrency: int
    request_timeout_seconds: int
    max_retries: int
    schedule_window_days: int | None
    full_read_every_days: int
    hydrate: tuple[str, ...]
    fail_on_account_error: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read a configuration; a setting that is null counts as absent."""
        values: dict[str, Any] = {}
        for name in (one.name for one in fields(cls)):
            given = config.get(name)
            definition = SCHEMA["properties"][name]
            values[name] = definition.get("default") if given is None else given
            if "integer" in definition["type"] and values[name] is not None:
                values[name] = int(values[name])  # JSON's 50.0 is an integer, too
        values["api_url"] = values["api_url"].rstrip("/")
        values["start_date"] = parse_instant(values["start_date"])
        for name in ("filters", "remote_query"):
            values[name] = values[name] or {}
        for name in ("integrated_account_ids", "tenant_ids", "hydrate"):
            values[name] = tuple(dict.fromkeys(one.strip() for one in values[name] or ()))
        return cls(**values)

    @property
    def is_raw(self) -> bool:
        """Whether rows are the provider's own records, without the unified fields."""
        return self.response_format == "raw"
