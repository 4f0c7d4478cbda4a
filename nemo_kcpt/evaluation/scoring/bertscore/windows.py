"""Windows over a long text, and batches of token sequences that hardly need padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_SLACK = 4
"""Tokens of padding that a sequence may always have: very short ones would fill no batch otherwise."""
_FILL = 0.9
"""Shortest sequence of a batch against the longest: padded / real stays below 1 / 0.9 but for the slack."""


@dataclass(frozen=True)
class Window:
    """Tokens `start` to `end` (excluded) are read together; the embeddings of `first` to `last` are kept."""

    start: int
    end: int
    first: int
    last: int


def plan_windows(length: int, capacity: int, overlap: int) -> list[Window]:
    """Cover `length` tokens with as few windows of `capacity` tokens as overlap by `overlap` or more.

    All windows are full and evenly spread, so none is a short rest with little context. Each token is kept in one
    window: the one where the nearer of its two edges (those of the text do not count) is farthest.

    Args:
        length: tokens of the text.
        capacity: tokens of a window, at least 1.
        overlap: tokens that neighbours share, below `capacity`.
    """
    if length <= capacity:
        return [Window(0, length, 0, length)]
    count = -(-(length - overlap) // (capacity - overlap))
    starts = [index * (length - capacity) // (count - 1) for index in range(count)]
    borders = [(start + before + capacity + 1) // 2 for before, start in pairwise(starts)]
    return [
        Window(start, start + capacity, first, last)
        for start, first, last in zip(starts, [0, *borders], [*borders, length])
    ]


def plan_batches(lengths: Sequence[int], tokens_per_batch: int) -> list[list[int]]:
    """Group sequences by length, the longest first; each group is padded to at most `tokens_per_batch` tokens.

    Args:
        lengths: tokens of each sequence.
        tokens_per_batch: bound of the padded tokens of a batch; a single longer sequence is a batch of its own.

    Returns:
        Indices into `lengths`, batch by batch; equal lengths stay in order.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        longest = lengths[batches[-1][0]] if batches else 0
        fits = batches and longest * (len(batches[-1]) + 1) <= tokens_per_batch
        if fits and lengths[index] >= min(_FILL * longest, longest - _SLACK):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
