"""What a running sandbox knows, and how it begins anew."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sandbox.faults import Faults
from sandbox.limits import Limits
from sandbox.world import Options, build

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.accounts import Account
    from sandbox.faults import Act


@dataclass
class State:
    """Everything that a running sandbox knows."""

    defaults: Options
    token: str
    accounts: dict[str, Account] = field(init=False)
    faults: Faults = field(init=False)
    limits: Limits = field(init=False)
    requests: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the world of the options given at the start."""
        self.reset({})

    def perform(self, act: Act) -> None:
        """Let something happen to an account."""
        account = self.accounts[act.account]
        if act.add is not None:
            account.add(act.add, act.fields)
        elif act.key is None:
            account.alter(act.fields)
        elif act.change is not None:
            account.touch(act.change, act.key, act.fields)
        elif act.delete is not None:
            account.delete(act.delete, act.key)

    def reset(self, changes: Mapping[str, Any]) -> None:
        """Begin anew with the options given at the start, but for the changes."""
        options = replace(self.defaults, **changes)
        self.accounts = build(options)
        self.faults = Faults()
        self.limits = Limits(enforced=options.rate_limits)
        self.requests = []
