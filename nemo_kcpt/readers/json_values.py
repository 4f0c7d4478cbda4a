"""What Python's reader of JSON changes without a word: of a key that an object has twice it keeps the last value, and a
number with more digits than a float holds becomes another, 1E400 infinity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any


@dataclass(frozen=True)
class Twice:
    """Stands for an object that has a key twice."""

    key: str

    def __str__(self) -> str:
        return f"key {self.key!r} appears twice; only one of them can be meant"


def exact(written: str) -> float | str:
    """A number with a point or an exponent (`parse_float`); as it is written if a float would be another one."""
    value = float(written)
    if repr(value) == written:
        return value
    try:
        return value if isfinite(value) and Decimal(repr(value)) == Decimal(written) else written
    except ArithmeticError:  # an exponent beyond what anything can hold
        return written


def distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any] | Twice:
    """The object that a JSON reader has read as pairs (`object_pairs_hook`), or the first key that it has twice."""
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    names = [name for name, _ in pairs]
    return Twice(next(name for index, name in enumerate(names) if name in names[:index]))


def twice_in(value: Any) -> Twice | None:
    """The first object in a value, itself included, that has a key twice."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Twice):
            return item
        if isinstance(item, dict | list):
            waiting.extend(item.values() if isinstance(item, dict) else item)
    return None
