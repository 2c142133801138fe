"""The parameters of an account's requests, and which of the rows in the answers are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_truto_ats.model.declaration import OPERATORS, UNCHECKED, Filter, Offer, Resource
from tap_truto_ats.model.instants import format_instant, has_zone, parse_instant
from tap_truto_ats.model.records import REMOTE_DATA, dig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from tap_truto_ats.settings.schema import Settings
    from tap_truto_ats.sync.account import Account


class Query:
    """One stream's parameters, and its checks of rows.

    Providers may ignore a parameter, so that each row is checked here as well. A row that lacks the
    field to check is wanted.
    """

    def __init__(self, resource: Resource, settings: Settings, deselected: Iterable[str]) -> None:
        """Work out the parameters that are the same for all accounts."""
        self._resource = resource
        self._settings = settings
        self._filters = settings.filters.get(resource.name, {})
        self._exclusions = {} if settings.is_raw else self._exclude(frozenset(deselected))
        response_format = settings.response_format
        params = {
            "limit": settings.page_size,
            "truto_response_format": None if response_format == "unified" else response_format,
            "truto_ignore_limit": settings.ignore_limit,
            **self._exclusions,
            "remote_query": settings.remote_query.get(resource.name),
        }
        self._fixed = {name: value for name, value in params.items() if value}

    def lists_all(self, account: Account, since: datetime | None) -> bool:
        """Return whether all of an account's rows are requested, in Truto's own form."""
        is_changes = since and self.change_parameters(self._resource.offer(account.provider))
        is_part = self._filters or "remote_query" in self._fixed or self._settings.is_raw
        return not (is_changes or is_part)

    def params(
        self, account: Account, since: datetime | None, window: datetime | None = None
    ) -> dict[str, Any]:
        """Return the parameters of an account's first page.

        Filters are sent to the providers that take them, and to unknown providers. Where rows carry
        the replication key, only rows that changed since then are requested: by the key's name, and
        by every other name that the provider takes for that field. Where a schedule can be asked
        for, only what starts or ends from `window` on is.
        """
        offer = self._resource.offer(account.provider)
        params = {"integrated_account_id": account.id, **self._fixed}
        not_taken = self.filters_not_taken(account)
        params |= {name: value for name, value in self._filters.items() if name not in not_taken}
        if offer and window and offer.schedule:
            params[offer.schedule] = _with_lower_bound(window, params.get(offer.schedule, {}))
        if since and (names := self.change_parameters(offer)):
            params |= {name: _with_lower_bound(since, params.get(name, {})) for name in names}
        return params

    def single_params(self, account: Account) -> dict[str, Any]:
        """Return the parameters of a request for one row by its id."""
        return {"integrated_account_id": account.id, **self._exclusions}

    def change_parameters(self, offer: Offer | None) -> list[str]:
        """Return the parameters by which a provider is asked for changes; none if it cannot be.

        They are the replication key, where rows carry it, and every filter on it that the provider
        takes. Where it is not documented what rows carry, a provider that takes the filter is
        believed to fill the field: Truto's pages name the same providers for both.
        """
        key = self._resource.replication_key
        if offer is None or key is None:
            return []
        taken = [
            name
            for name, known in self._resource.filters.items()
            if known.field == key and name in offer.takes
        ]
        is_filled = bool(taken) if offer.fills is None else key in offer.fills
        return [key, *(name for name in taken if name != key)] if is_filled else []

    @property
    def is_streamed(self) -> bool:
        """Whether pages are read while they arrive."""
        return self._settings.response_format == "stream"

    def shaped(self, key: object, given: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return a row that came in the form of the unified model."""
        return {"id": key, REMOTE_DATA: given} if self._settings.is_raw else given

    def is_local(self, row: Mapping[str, Any]) -> bool:
        """Return whether the time of a row's change has no zone: it may be a local time."""
        key = self._resource.replication_key
        text = row.get(key) if key else None
        return isinstance(text, str) and not has_zone(text)

    def is_asking_trusted(self, account: Account) -> bool:
        """Return whether rows that come when changes are asked for have changed.

        They have where the page of the resource names the provider at a filter on changes; other
        providers may ignore the request.
        """
        offer = self._resource.offer(account.provider)
        filters = self._resource.filters
        return any(
            offer and name in offer.takes and filters[name].is_documented
            for name in self.change_parameters(offer)
        )

    def changed(self, row: Mapping[str, Any]) -> datetime | None:
        """Return when a row last changed; None if it does not tell."""
        key = self._resource.replication_key
        return parse_instant(row.get(key)) if key else None

    def filters_not_taken(self, account: Account) -> list[str]:
        """Return the filters in the settings that the account's provider does not take.

        A filter that no page names for the resource is not among them: who takes it is not known.
        """
        offer = self._resource.offer(account.provider)
        known = [name for name in self._filters if name in self._resource.filters]
        return [name for name in known if offer and name not in offer.takes]

    def wants(self, row: Mapping[str, Any], changed: datetime | None) -> bool:
        """Return whether a row, which last changed then, passes `start_date` and the filters."""
        start = self._settings.start_date
        if start is not None:
            moment = changed or created(row)
            if moment is not None and moment < start:
                return False
        return not self._filters or all(
            _matches(row, self._resource.filters.get(name, UNCHECKED), value)
            for name, value in self._filters.items()
        )

    def _exclude(self, deselected: frozenset[str]) -> dict[str, Any]:
        """Return parameters that leave out deselected fields, unless rows are checked by them."""
        params: dict[str, Any] = {}
        if REMOTE_DATA in deselected:
            params["truto_ignore_remote_data"] = True
        checked: set[str | None] = {self._resource.replication_key}
        if self._settings.start_date is not None:
            checked.add("created_at")
        for name in self._filters:
            known = self._resource.filters.get(name, UNCHECKED)
            checked.add((known.field or "").split(".")[0])
        if excluded := sorted(deselected - checked - {REMOTE_DATA}):
            params["truto_exclude_fields"] = excluded
        return params


def created(row: Mapping[str, Any]) -> datetime | None:
    """Return when a row was created; None if it does not tell."""
    return parse_instant(row.get("created_at"))


def _with_lower_bound(instant: datetime, given: object) -> object:
    """Add a lower bound to a filter of the settings, unless that has one of its own."""
    return {"gte": format_instant(instant), **given} if isinstance(given, dict) else given


def _matches(row: Mapping[str, Any], known: Filter, wanted: object) -> bool:
    """Check one filter, but no date-time without operator: its meaning is undocumented."""
    found = dig(row, *(known.field or "").split("."))
    if found is None:
        return True
    if not known.is_date_time:
        return str(found) == str(wanted)
    instant = parse_instant(found)
    if instant is None or not isinstance(wanted, dict):
        return True
    return all(
        OPERATORS[name](instant, moment)
        for name, value in wanted.items()
        if (moment := parse_instant(value)) is not None
    )
