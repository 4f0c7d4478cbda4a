"""What a part of the check has found, for people and for scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not checked"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the check.

    Args:
        name: of the part.
        state: `PASSED`, `FAILED` or `NOT_CHECKED`.
        summary: one line: the figures, or why it was not checked.
        details: further lines for the screen: where it differs.
        numbers: for the JSON document.
    """

    name: str
    state: str
    summary: str
    details: Sequence[str] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For the screen."""
        state = self.state.upper() if self.state == FAILED else self.state
        return [f"{self.name:<10} {state:<11}  {self.summary}", *(f"{'':24}{line}" for line in self.details)]

    def document(self) -> dict[str, Any]:
        """For the JSON document."""
        return {"state": self.state, "summary": self.summary, **self.numbers}


def verdict(passed: bool) -> str:
    """The state of a part that ran."""
    return PASSED if passed else FAILED


def not_checked(name: str, reason: str) -> Part:
    """A part that did not run, and why."""
    return Part(name=name, state=NOT_CHECKED, summary=reason)


def number(value: float) -> float | None:
    """`value` as JSON has it: null where it is infinite or not a number."""
    return value if math.isfinite(value) else None
