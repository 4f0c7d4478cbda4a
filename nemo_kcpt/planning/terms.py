"""A product of named factors: a value together with its formula, so that what is printed is what was computed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """`name` = product of `times` over the product of `over`, factors under their symbols."""

    name: str
    times: Mapping[str, float]
    over: Mapping[str, float]

    @property
    def value(self) -> float:
        """The number."""
        return math.prod(self.times.values()) / math.prod(self.over.values())

    @property
    def symbols(self) -> str:
        """The formula, such as `n·h·e / t`; factors of 1 below the line are left out here and in `numbers`."""
        return self._written({symbol: symbol for symbol in {**self.times, **self.over}})

    @property
    def numbers(self) -> str:
        """The formula with the numbers in, such as `4096·5120·2 / 2`."""
        return self._written({symbol: f"{value:.12g}" for symbol, value in {**self.times, **self.over}.items()})

    def _written(self, words: Mapping[str, str]) -> str:
        below = [words[symbol] for symbol, value in self.over.items() if value != 1]
        above = "·".join(words[symbol] for symbol in self.times)
        return f"{above} / {'·'.join(below)}" if below else above


def term(name: str, times: Mapping[str, float], over: Mapping[str, float] | None = None) -> Term:
    """A :class:`Term`; no symbol may stand on both sides of the line."""
    return Term(name, times, over or {})


def total(terms: Iterable[Term]) -> float:
    """Sum of the values."""
    return sum(summand.value for summand in terms)
