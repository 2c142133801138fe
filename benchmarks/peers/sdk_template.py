"""A tap as singer-sdk's template gives it: what a careful user has after half an hour."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_sdk import Stream
    from singer_sdk.helpers.types import Context

THING = th.ObjectType(th.Property("id", th.StringType))


class Interviews(RESTStream[str]):
    """Interviews, a partition for each account."""

    name = "interviews"
    path = "/unified/ats/interviews"
    primary_keys: ClassVar[tuple[str, ...]] = ("integrated_account_id", "id")
    replication_key = "updated_at"
    records_jsonpath = "$.result[*]"
    next_page_token_jsonpath = "$.next_cursor"  # noqa: S105 - a path
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("integrated_account_id", th.StringType),
        th.Property("id", th.StringType),
        th.Property("application", THING),
        th.Property("candidate", THING),
        th.Property("created_at", th.DateTimeType),
        th.Property("end_at", th.DateTimeType),
        th.Property("interviewers", th.ArrayType(THING)),
        th.Property("job_interview_stage", THING),
        th.Property("location", th.StringType),
        th.Property("organizer", THING),
        th.Property("start_at", th.DateTimeType),
        th.Property("status", th.StringType),
        th.Property("updated_at", th.DateTimeType),
    ).to_dict()

    @property
    def url_base(self) -> str:
        """The API's address."""
        return str(self.config["api_url"])

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        """The token, as a header."""
        return BearerTokenAuthenticator(token=self.config["api_token"])

    @property
    def partitions(self) -> list[dict[str, Any]]:
        """The accounts."""
        accounts = self.config["integrated_account_ids"]
        return [{"integrated_account_id": account} for account in accounts]

    def get_url_params(
        self, context: Context | None, next_page_token: str | None
    ) -> dict[str, Any]:
        """Ask for an account's page."""
        params = {**(context or {}), "limit": self.config["page_size"]}
        return params | ({"next_cursor": next_page_token} if next_page_token else {})


class TapTemplate(Tap):
    """The template's tap."""

    name = "tap-template"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("api_token", th.StringType, required=True, secret=True),
        th.Property("integrated_account_ids", th.ArrayType(th.StringType), required=True),
        th.Property("page_size", th.IntegerType, required=True),
    ).to_dict()

    def discover_streams(self) -> Sequence[Stream]:
        """The one stream."""
        return [Interviews(self)]


def main(url: str, accounts: str, page_size: str, _workers: str) -> None:
    """Write every interview as a RECORD message."""
    config = {
        "api_url": url,
        "api_token": "sandbox-token",
        "integrated_account_ids": accounts.split(","),
        "page_size": int(page_size),
    }
    TapTemplate(config=config).sync_all()


if __name__ == "__main__":
    main(*sys.argv[1:])
