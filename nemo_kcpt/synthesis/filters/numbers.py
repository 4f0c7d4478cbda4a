"""Numbers that the output has and the paper has not: what a language model makes up most readily.

A number is supported if the paper or the instruction has it in any notation (1,200, 1200, １２００, 千二百, 0.12万;
12 % for 0.12) and in the same unit where both name one, or one that rounds to it (`nemo_kcpt.text.agreement`); a range
also if both of its ends are there. Counts up to ten are taken for counted things, numbers at the head of a list's items
for the list's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from nemo_kcpt.synthesis.filters.base import Candidate, Source
from nemo_kcpt.text.agreement import agree
from nemo_kcpt.text.quantities import Quantity, quantities
from nemo_kcpt.text.units import root

COUNTED = 10
"""Whole numbers up to this may be counts of what the paper names one by one."""
_COUNTS = {"", "counted", "things", "people", "order", "often", "times", "points"}
_ITEM = re.compile(
    r"^[ \t]*(?:[(（\[]?\d{1,2}[)）.\]、:]|[-*・]?\s*(?:第|step|ステップ)?\s*\d{1,2}[.:、])(?!\d)\s*", re.M | re.I
)


def numbers(candidate: Candidate, source: Source) -> bool:
    """The output has a number that neither the paper nor the instruction supports."""
    stated = [number for number in quantities(_ITEM.sub("", candidate.output)) if not _is_count(number)]
    if not stated:
        return False
    known = (*source.numbers, *quantities(candidate.instruction))
    return any(not _supported(number, known) for number in stated)


def _is_count(number: Quantity) -> bool:
    return (
        root(number.measure) in _COUNTS
        and 0 <= number.value <= COUNTED
        and number.value == int(number.value)
        and (number.high is None or number.high <= COUNTED)
        and number.spread is None
    )


def _supported(number: Quantity, known: Sequence[Quantity]) -> bool:
    if any(agree(number, other) for other in known):
        return True
    if number.high is None or number.high_figure is None:
        return False
    ends = (
        replace(number, high=None, high_figure=None),
        replace(number, value=number.high, figure=number.high_figure, high=None, high_figure=None),
    )
    return all(_supported(end, known) for end in ends)
