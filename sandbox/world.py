"""The accounts that a sandbox begins with, made from options: the same for a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.accounts import Account
from sandbox.invention import INVENTED
from sandbox.providers import PROVIDERS, SYSTEMS, identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

INTERVIEWING = ("ashby", "ceipal", "fountain", "greenhouse", "pinpoint")
"""The providers that list interviews."""

ALL = "all"
"""Stands for all providers that give something of the ATS model."""


@dataclass(frozen=True)
class Options:
    """What a world is made from.

    Each of the `providers` has `accounts_per_provider` accounts, unless `accounts` lists the
    accounts one by one. An account has so many `interviews`, `candidates` and `jobs`.
    """

    seed: int = 1
    accounts_per_provider: int = 1
    interviews: int = 200
    candidates: int = 12
    jobs: int = 4
    providers: Sequence[str] = INTERVIEWING
    rate_limits: bool = True
    accounts: tuple[Mapping[str, Any], ...] | None = None


def build(options: Options) -> dict[str, Account]:
    """Make the accounts by id; `ValueError` or `TypeError` for options that do not exist."""
    wanted: Iterable[Mapping[str, Any]] = options.accounts or ()
    if options.accounts is None:
        providers = PROVIDERS if ALL in options.providers else options.providers
        wanted = [{"provider": p} for p in providers for _ in range(options.accounts_per_provider)]
    accounts = [_account(options, index, **spec) for index, spec in enumerate(wanted)]
    return {account.id: account for account in accounts}


def _account(options: Options, index: int, *, provider: str, **spec: Any) -> Account:
    if provider not in SYSTEMS:
        message = f"provider {provider!r} is none of {', '.join(SYSTEMS)}"
        raise ValueError(message)
    counts = {
        name: spec.pop(name, getattr(options, name))
        for name in ("interviews", "candidates", "jobs")
    }
    given = {
        "id": identifier(options.seed, provider, index),
        "tenant_id": f"customer-{index + 1:04}",
        **spec,
    }
    return Account(
        options.seed,
        index,
        provider=SYSTEMS[provider],
        counts=counts,
        inventions=INVENTED,
        **given,
    )
