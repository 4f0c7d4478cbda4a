"""A numeral that was found in a text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A numeral: its value and where it stands."""

    start: int
    end: int
    value: float
    step: float = 1.0
    """Size of its last digit."""
    scale: float = 1.0
    """The magnitude at its end: 10^4 of 20万."""
    measure: str = ""
    """What it measures where the numeral itself says so: a date's day, a time of day."""
    whole: bool = False
    """Nothing more belongs to it: no unit, no range to look for a magnitude in."""
    high: float | None = None
    """The second number of a ratio."""
