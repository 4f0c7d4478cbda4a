"""Bins filled to the last token, one after the other: where best-fit decreasing would waste a few tokens in each.

Minimum bin slack (Gupta & Ho 1999, "A new heuristic algorithm for the one-dimensional bin-packing problem"), with the
longest sequence that is left in each bin first (Fleszar & Hindi 2002): one, two or three lengths are looked for that
fill the rest exactly, else the longest that fits is taken. Lengths that are left stand as the bits of a whole number,
so all pairs that fill a room are found by one `and`; and what fills one bin fills all that the counts allow. Steps
follow the number of distinct lengths, not of sequences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

TRIES = 32
"""Lengths tried as the longest of three."""


class _Left:
    """How many sequences of each length are left."""

    def __init__(self, lengths: Sequence[int], counts: Sequence[int], capacity: int) -> None:
        self.counts = dict(zip(lengths, counts))
        self._capacity = capacity
        self._bits = sum(1 << length for length in lengths)
        self._mirror = sum(1 << capacity - length for length in lengths)

    def take(self, length: int, count: int) -> None:
        self.counts[length] -= count
        if not self.counts[length]:
            self._bits ^= 1 << length
            self._mirror ^= 1 << self._capacity - length

    def longest(self, most: int) -> int:
        """The longest of at most `most` tokens; 0 if there is none."""
        return max(0, (self._bits & (1 << most + 1) - 1).bit_length() - 1)

    def filling(self, room: int) -> tuple[int, ...]:
        """One, two or three lengths that together are `room`; none if none were found."""
        if self._bits >> room & 1:
            return (room,)
        if pair := self._pair(room):
            return pair
        smaller = self._bits & (1 << room) - 1
        for _ in range(TRIES):
            longest = smaller.bit_length() - 1
            if 3 * longest < room:
                break
            smaller ^= 1 << longest
            if pair := self._pair(room - longest):
                lengths = (longest, *pair)
                if all(self.counts[length] >= often for length, often in Counter(lengths).items()):
                    return lengths
        return ()

    def _pair(self, room: int) -> tuple[int, ...]:
        # Bit a is set where a and room - a are both left; the highest one belongs to the longer of the two.
        longer = (self._bits & self._mirror >> self._capacity - room).bit_length() - 1
        shorter = room - longer
        return () if longer < 1 or (longer == shorter and self.counts[longer] < 2) else (longer, shorter)


def filled_bins(
    lengths: Sequence[int], counts: Sequence[int], capacity: int
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Bins that are filled alike.

    Args:
        lengths: distinct, each from 1 to `capacity`.
        counts: how many sequences each length has.
        capacity: of a bin.

    Yields:
        how many bins, and what is in each: (length, number of sequences of it).
    """
    left = _Left(lengths, counts, capacity)
    while longest := left.longest(capacity):
        held: Counter[int] = Counter()
        room = capacity
        chosen: tuple[int, ...] = (longest,)
        while chosen:
            for length in chosen:
                left.take(length, 1)
                held[length] += 1
                room -= length
            chosen = left.filling(room) if room else ()
            if not chosen and (fitting := left.longest(room)):
                chosen = (fitting,)
        if again := min(left.counts[length] // often for length, often in held.items()):
            for length, often in held.items():
                left.take(length, again * often)
        yield 1 + again, list(held.items())
