"""Bundles: a passage of a paper and the whole pairs that are about it, in at most a window's tokens.

A paper that fits a window is one bundle. Of a longer one, passages that one pair is about are united, and neighbours
with their pairs joined as long as they fit: the homes, in which each token of the text stands once. Pairs for which
their home has no room go, longest first, where the least text must be repeated to have them beside their passage,
within a budget of repeated tokens; beyond the budget, and for a pair as long as a window, they stand without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from nemo_kcpt.packing.best_fit import pack_best_fit
from nemo_kcpt.packing.papers import TokenisedPaper

LEAST_TEXT = 16
"""Tokens of a passage below which it is not worth repeating beside a pair that leaves no more room."""


@dataclass(kw_only=True)
class Bundle:
    """Tokens `start` to `end` of a paper's text, then pairs (by number within the paper).

    Of a pair longer than the window only tokens `piece[0]` to `piece[1]` are here, and nothing else. `repeated` tokens
    of the text are in another bundle, too.
    """

    start: int
    end: int
    pairs: list[int] = field(default_factory=list)
    repeated: int = 0
    piece: tuple[int, int] | None = None


class _Budget:
    """Tokens of text that may be repeated."""

    def __init__(self, tokens: int) -> None:
        self.left = tokens

    def spend(self, tokens: int) -> bool:
        if tokens > self.left:
            return False
        self.left -= tokens
        return True


def pieces(length: int, most: int) -> list[tuple[int, int]]:
    """A length that does not fit, cut into stretches of at most `most`."""
    return [(start, min(start + most, length)) for start in range(0, length, most)]


def make_bundles(paper: TokenisedPaper, seq_length: int, repeat_budget: float) -> list[Bundle]:
    """The bundles of a paper: every token of its text and every pair, each pair once.

    Args:
        paper: tokenised, each pair with the passage that supports it.
        seq_length: the most tokens of a bundle.
        repeat_budget: tokens of text that may be repeated, as a share of the paper's text and pairs.
    """
    lengths = [len(pair.ids) for pair in paper.pairs]
    if paper.tokens <= seq_length:
        return [Bundle(start=0, end=len(paper.ids), pairs=list(range(len(lengths))))]
    borders = {int(start): index for index, start in enumerate(paper.passages)}
    about: list[list[int]] = [[] for _ in range(len(paper.passages) - 1)]
    wide, tight, others = [], [], []
    for number, pair in enumerate(paper.pairs):
        start, end = pair.support
        if lengths[number] > seq_length:
            cuts = pieces(lengths[number], seq_length)
            others += [Bundle(start=0, end=0, pairs=[number], piece=cut) for cut in cuts]
        elif start < 0:
            others.append(Bundle(start=0, end=0, pairs=[number]))
        elif lengths[number] > seq_length - (end - start):
            tight.append(number)
        elif borders[end] - borders[start] > 1:
            wide.append(number)
        else:
            about[borders[start]].append(number)
    homes, left = [], []
    for (start, end), numbers in zip(pairwise(paper.passages.tolist()), about):
        # The emptiest share stays, so that its passage has room to be joined to its neighbours.
        first, *rest = _shares(numbers, lengths, seq_length - (end - start)) or [[]]
        homes.append(Bundle(start=start, end=end, pairs=first))
        left += [number for share in rest for number in share]
    homes, homeless = _with_wide_pairs(homes, paper, wide, lengths, seq_length)
    homes = _joined(homes, lengths, seq_length)
    budget = _Budget(int(repeat_budget * paper.tokens))
    bundles = _Placing(paper, homes, lengths, seq_length, budget).place([*left, *homeless])
    others += [
        _trimmed(paper.pairs[number].support[0], number, seq_length - lengths[number], budget) for number in tight
    ]
    for bundle in bundles:
        bundle.pairs.sort()
    return [*bundles, *others]


def _size(bundle: Bundle, lengths: Sequence[int]) -> int:
    return bundle.end - bundle.start + sum(lengths[number] for number in bundle.pairs)


def _with_wide_pairs(
    homes: list[Bundle], paper: TokenisedPaper, wide: Sequence[int], lengths: Sequence[int], seq_length: int
) -> tuple[list[Bundle], list[int]]:
    """Unite the passages of each pair that is about several, where they fit a window; returns the pairs left over."""
    left = []
    for number in wide:
        start, end = paper.pairs[number].support
        first = next(index for index, home in enumerate(homes) if home.end > start)
        last = next(index for index, home in enumerate(homes) if home.end >= end)
        united = homes[first : last + 1]
        if sum(_size(home, lengths) for home in united) + lengths[number] > seq_length:
            left.append(number)
            continue
        pairs = [*(own for home in united for own in home.pairs), number]
        homes[first : last + 1] = [Bundle(start=united[0].start, end=united[-1].end, pairs=pairs)]
    return homes, left


class _Placing:
    """Pairs for which their home has no room, put where the least text must be repeated for them."""

    def __init__(
        self, paper: TokenisedPaper, homes: list[Bundle], lengths: Sequence[int], seq_length: int, budget: _Budget
    ) -> None:
        self._paper, self._lengths, self._seq_length, self._budget = paper, lengths, seq_length, budget
        self._bundles = homes
        self._sizes = [_size(home, lengths) for home in homes]
        self._passage_of = {int(start): index for index, start in enumerate(paper.passages)}
        self._with_passage: list[list[int]] = [[] for _ in self._passage_of]
        for number, home in enumerate(homes):
            self._enter(number, home.start, home.end)

    def _enter(self, bundle: int, start: int, end: int) -> None:
        for passage in range(self._passage_of[start], self._passage_of[end]):
            self._with_passage[passage].append(bundle)

    def place(self, numbers: Sequence[int]) -> list[Bundle]:
        """The homes with the pairs that found room there, and new bundles with the others."""
        for number in sorted(numbers, key=lambda number: (-self._lengths[number], number)):
            start, end = self._paper.pairs[number].support
            best = self._best(number, start, end)
            if best is not None:
                self._extend(best, start, end)
                self._bundles[best].pairs.append(number)
                self._sizes[best] += self._lengths[number]
                continue
            beside = self._budget.spend(end - start)
            bundle = Bundle(start=start, end=end if beside else start, pairs=[number])
            bundle.repeated = bundle.end - bundle.start
            if beside:
                self._enter(len(self._bundles), start, end)
            self._bundles.append(bundle)
            self._sizes.append(_size(bundle, self._lengths))
        return self._bundles

    def _best(self, number: int, start: int, end: int) -> int | None:
        """The bundle with the least text to add, of those that hold some of the pair's passage and have room; of those
        the fullest, of those the first."""
        passages = range(self._passage_of[start], self._passage_of[end])
        known = {bundle for passage in passages for bundle in self._with_passage[passage]}
        fitting = []
        for bundle in known:
            added = self._added(bundle, start, end)
            room = self._seq_length - self._sizes[bundle] - added - self._lengths[number]
            if room >= 0 and added <= self._budget.left:
                fitting.append((added, room, bundle))
        return min(fitting)[2] if fitting else None

    def _added(self, bundle: int, start: int, end: int) -> int:
        held = self._bundles[bundle]
        return max(held.end, end) - min(held.start, start) - (held.end - held.start)

    def _extend(self, number: int, start: int, end: int) -> None:
        added, bundle = self._added(number, start, end), self._bundles[number]
        self._budget.spend(added)
        if start < bundle.start:
            self._enter(number, start, bundle.start)
        if end > bundle.end:
            self._enter(number, bundle.end, end)
        bundle.start, bundle.end = min(bundle.start, start), max(bundle.end, end)
        bundle.repeated += added
        self._sizes[number] += added


def _shares(numbers: Sequence[int], lengths: Sequence[int], room: int) -> list[list[int]]:
    """Pairs in as few groups as fit into `room` each, the emptiest first."""
    if not numbers:
        return []
    bins = pack_best_fit([lengths[number] for number in numbers], room)
    shares: list[list[int]] = [[] for _ in range(int(bins.max()) + 1)]
    for number, group in zip(numbers, bins.tolist()):
        shares[group].append(number)
    return sorted(shares, key=lambda share: sum(lengths[number] for number in share))


def _trimmed(start: int, number: int, room: int, budget: _Budget) -> Bundle:
    """A pair that leaves no room for its whole passage, with as much of it as fits."""
    text = room if room >= LEAST_TEXT and budget.spend(room) else 0
    return Bundle(start=start, end=start + text, pairs=[number], repeated=text)


def _joined(homes: Sequence[Bundle], lengths: Sequence[int], seq_length: int) -> list[Bundle]:
    """Neighbouring passages with their pairs, joined as long as they fit."""
    joined: list[Bundle] = []
    size = 0
    for home in homes:
        own = _size(home, lengths)
        if joined and size + own <= seq_length:
            joined[-1].end = home.end
            joined[-1].pairs += home.pairs
            size += own
        else:
            joined.append(home)
            size = own
    return joined
