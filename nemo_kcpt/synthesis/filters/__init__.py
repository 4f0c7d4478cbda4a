"""Filters of synthetic pairs: each a small function with a name, on unless switched off.

They are cheap rules for what teachers get wrong most; what takes judgement belongs to evaluation. Precision and recall
on a labelled file are in tests/synthesis/filters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nemo_kcpt.config import nearest
from nemo_kcpt.synthesis.filters.base import Candidate, Source
from nemo_kcpt.synthesis.filters.copying import Seen, copy
from nemo_kcpt.synthesis.filters.numbers import numbers
from nemo_kcpt.synthesis.filters.wording import (
    cut_off,
    empty,
    needs_paper,
    placeholder,
    refusal,
    repetition,
    wrong_language,
)

__all__ = ["FILTERS", "Candidate", "Screen", "Source"]

Filter = Callable[[Candidate, Source], bool]
"""True: the pair is rejected."""

_ALONE: dict[str, Filter] = {
    "empty": empty,
    "placeholder": placeholder,
    "cut_off": cut_off,
    "refusal": refusal,
    "wrong_language": wrong_language,
    "repetition": repetition,
    "copy": copy,
    "numbers": numbers,
    "needs_paper": needs_paper,
}
FILTERS: dict[str, str] = {
    name: " ".join((function.__doc__ or "").split())
    for name, function in {**_ALONE, "duplicate": Seen.duplicate, "near_duplicate": Seen.near_duplicate}.items()
}
"""The filters by name, in the order in which they are asked, each with what it rejects."""


class Screen:
    """Judges the pairs of a run, in the order of the run: a duplicate is what comes second."""

    def __init__(self, without: Sequence[str] = ()) -> None:
        """
        Args:
            without: names of filters to leave out, or `all`.

        Raises:
            ValueError: there is no filter of such a name.
        """
        if unknown := [name for name in without if name not in (*FILTERS, "all")]:
            raise ValueError(f"without: no filter '{unknown[0]}'; {nearest(unknown[0], list(FILTERS))}")
        self._seen = Seen()
        everything = {**_ALONE, "duplicate": self._seen.duplicate, "near_duplicate": self._seen.near_duplicate}
        self._filters = {} if "all" in without else {k: v for k, v in everything.items() if k not in without}

    def judge(self, candidate: Candidate, source: Source) -> str:
        """Name of the first filter that rejects the pair, "" if it is kept."""
        for name, rejects in self._filters.items():
            if rejects(candidate, source):
                return name
        if self._filters:
            self._seen.keep(candidate)
        return ""

    @staticmethod
    def source(paper: Mapping[str, Any]) -> Source:
        """The paper as the filters see it."""
        return Source(paper)
