"""What a module of ours lists of singer-sdk's private names, and what its classes override."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def listed(module: ModuleType) -> set[str]:
    """Return the private names in the table of a module's docstring."""
    return set(re.findall(r"`\w+\.(_\w+)`", module.__doc__ or ""))


def overridden(owner: type) -> set[str]:
    """Return the private names of a class that one of its bases has as well."""
    return {
        name
        for name in vars(owner)
        if re.match("_[a-z]", name)
        and not name.startswith("_abc_")
        and any(name in vars(base) for base in owner.__mro__[1:])
    }


def signature(owner: type, name: str) -> str:
    """Return a method's signature without its types."""
    found = inspect.signature(getattr(owner, name))
    bare = [one.replace(annotation=one.empty) for one in found.parameters.values()]
    return str(inspect.Signature(bare))
