"""One replaced name of an upstream library: what it is, which upstream line forces it, and how it is put in place."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Override:
    """A name of an upstream library that the CPU backend replaces."""

    name: str
    """Short name, unique in the table."""
    target: str
    """``module:attribute`` of what is replaced; the attribute may be dotted (``Class.method``)."""
    upstream: str
    """File of the upstream line that this answers, relative to ``site-packages``."""
    says: str
    """What that line says, so that a test notices when a new upstream release mends it."""
    reason: str
    """Why training on a CPU fails, or is wrong, without it."""
    replace: Callable[[Any], Any]
    """Takes the original and gives what stands in for it."""

    def resolve(self) -> tuple[Any, str]:
        """The object that holds the target, and the attribute's name on it; imports the target's module."""
        module, _, path = self.target.partition(":")
        *owners, attribute = path.split(".")
        holder = importlib.import_module(module)
        for owner in owners:
            holder = getattr(holder, owner)
        return holder, attribute

    def current(self) -> Any:
        """What is at the target now; a ``classmethod`` is given as such, not bound."""
        holder, attribute = self.resolve()
        return inspect.getattr_static(holder, attribute)

    def apply(self) -> None:
        """Puts the replacement in place."""
        holder, attribute = self.resolve()
        setattr(holder, attribute, self.replace(self.current()))
