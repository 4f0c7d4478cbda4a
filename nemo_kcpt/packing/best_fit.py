"""Best-fit decreasing bin packing, all bins of one remaining capacity at a time, and a second try where it wastes room.

Sequences are taken longest first, each into the open bin with the least room that holds it. All bins with equal room
are interchangeable, and so are all sequences of equal length, hence one step moves whole groups of both and the number
of steps follows the number of distinct lengths, not of sequences. The bins are as few as textbook best-fit decreasing
gives (Johnson 1974, "Fast algorithms for bin packing"), at most 11/9 of the optimum plus a constant. Where a bin holds
few sequences of much the same length (paragraphs in windows of 1,024 tokens) that is half a percent over the bound and
more; there bins are also filled one after the other (`bin_slack.py`), and the fewer bins count.
"""

from __future__ import annotations

from bisect import bisect_left, insort

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nemo_kcpt.packing.bin_slack import filled_bins


def _checked(lengths: ArrayLike, capacity: int) -> NDArray[np.int64]:
    array = np.asarray(lengths)
    if array.ndim != 1:
        raise ValueError(f"lengths must have one dimension, found the shape {array.shape}")
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths must be integers, found {array.dtype}")
    if (wrong := array < 1).any():
        index = int(wrong.argmax())
        raise ValueError(f"lengths[{index}] is {array[index]}; lengths must be positive")
    if (wrong := array > capacity).any():
        index = int(wrong.argmax())
        raise ValueError(f"lengths[{index}] is {array[index]}, over the capacity of {capacity}; cut it first")
    return array.astype(np.int64, copy=False)


class _OpenBins:
    """Bins by the room that is left in them, as ranges of their numbers."""

    def __init__(self) -> None:
        self.rooms: list[int] = []
        """Rooms that some bin has, ascending."""
        self._ranges: dict[int, list[tuple[int, int]]] = {}

    def add(self, room: int, start: int, count: int) -> None:
        if not room or not count:
            return
        if room not in self._ranges:
            insort(self.rooms, room)
            self._ranges[room] = []
        self._ranges[room].append((start, count))

    def take(self, index: int, most: int) -> tuple[int, int]:
        """Up to `most` bins that follow each other, of those with `rooms[index]`: the first one's number, how many."""
        room = self.rooms[index]
        start, count = self._ranges[room].pop()
        if count > most:
            self._ranges[room].append((start + most, count - most))
        elif not self._ranges[room]:
            del self._ranges[room], self.rooms[index]
        return start, min(count, most)


SLACK = 1 / 5000
"""Bins over the bound, as a share of it, up to which no second try is worth its time."""
MOST_WORK = 1 << 28
"""Distinct lengths times capacity beyond which the second try would take more than about a second."""


def pack_best_fit(lengths: ArrayLike, capacity: int) -> NDArray[np.int64]:
    """Pack sequences into few bins: never more than best-fit decreasing gives.

    Args:
        lengths: [N] positive integers (any integer array-like), each at most `capacity`.
        capacity: what the lengths of a bin may sum up to.

    Returns:
        int64 [N]: the bin of each sequence. Bins are numbered from 0 to B-1 without a gap; every bin's sum is at most
        `capacity`. The same input gives the same bins. N = 0 gives an empty array.

    Raises:
        ValueError: a length is not positive or is over the capacity (the message names its index), or `lengths` has
            more than one dimension.
        TypeError: the lengths are not integers.
    """
    array = _checked(lengths, capacity)
    # Room for radix sort, which NumPy has for 16 bits only.
    descending = capacity - array
    order = np.argsort(descending.astype(np.uint16) if capacity < 1 << 16 else descending, kind="stable")
    ordered = array[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=0))
    distinct, counts = ordered[starts].tolist(), np.diff(starts, append=len(ordered)).tolist()
    filled, opened = _best_fit_decreasing(distinct, counts, capacity)
    bound = -(-int(ordered.sum()) // capacity)
    if opened > bound + max(1, SLACK * bound) and len(distinct) * capacity <= MOST_WORK:
        again, fewer = _filled(distinct, counts, capacity)
        filled = again if fewer < opened else filled
    bins = np.empty(len(array), dtype=np.int64)
    bins[order] = _written_out(filled)
    return bins


Filled = tuple[int, int, int]
"""Some sequences of one length: the bin of the first, how many to a bin, how many in all. Bins follow each other."""


def _best_fit_decreasing(distinct: list[int], counts: list[int], capacity: int) -> tuple[list[Filled], int]:
    """The bins of sequences given longest first, as distinct lengths and their counts; and how many bins."""
    open_bins, opened = _OpenBins(), 0
    result: list[Filled] = []
    for length, left in zip(distinct, counts):
        while left:
            index = bisect_left(open_bins.rooms, length)
            if index < len(open_bins.rooms):
                room = open_bins.rooms[index]
                each = room // length
                start, count = open_bins.take(index, -(-left // each))
            else:
                room, each = capacity, capacity // length
                start, count = opened, -(-left // each)
                opened += count
            filled = min(left, count * each)
            full, over = divmod(filled, each)
            open_bins.add(room - each * length, start, full)
            open_bins.add(room - over * length, start + full, bool(over))
            result.append((start, each, filled))
            left -= filled
    return result, opened


def _filled(distinct: list[int], counts: list[int], capacity: int) -> tuple[list[Filled], int]:
    """The same, by bins that are filled one after the other."""
    opened = 0
    groups: dict[int, list[Filled]] = {length: [] for length in distinct}
    for count, held in filled_bins(distinct, counts, capacity):
        for length, each in held:
            groups[length].append((opened, each, each * count))
        opened += count
    return [group for length in distinct for group in groups[length]], opened


def _written_out(result: list[Filled]) -> NDArray[np.int64]:
    """The bin of each sequence, in their order."""
    starts, each, filled = np.array(result, dtype=np.int64).reshape(-1, 3).T
    within = np.arange(filled.sum()) - np.repeat(np.cumsum(filled) - filled, filled)
    return np.repeat(starts, filled) + within // np.repeat(each, filled)
