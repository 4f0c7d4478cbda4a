"""What a pack is like: how full its windows are, which pairs were cut, which are beside the passage they are about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nemo_kcpt.packing.segments import NO_PAIR, REPLAY, TEXT, Segment
from nemo_kcpt.packing.windows import Window


@dataclass
class KindCounts:
    """Counts of one kind: pairs, their tokens, how many were cut and how many are beside their passage."""

    pairs: int = 0
    tokens: int = 0
    cut: int = 0
    beside: int = 0


BARS = 20
"""Bins of the histogram of how full windows are."""


class PackStatistics:
    """Counts windows as they stream by, in any order; memory does not grow.

    A pair is *cut* if it does not end in the window in which it begins. It is *co-located* if that window holds the
    whole of the passage that it is about (of at most `passage_tokens` tokens, found by retrieval; see `passages.py`),
    in both modes alike.

    Args:
        seq_length: tokens of a window.
        replay_passes: passes over the documents in which all of the replay is read once.
    """

    def __init__(self, seq_length: int, replay_passes: int = 1) -> None:
        self.seq_length, self.replay_passes = seq_length, replay_passes
        self.windows = self.tokens = self.too_long = 0
        self.text_tokens = self.replay_tokens = self.replay_windows = 0
        self.kinds: dict[str, KindCounts] = {}
        self._fills = [0] * BARS
        self._pair_lengths: Counter[int] = Counter()

    def add(self, window: Window) -> Window:
        """Take in a window; returns it."""
        self.windows += 1
        self.tokens += window.length
        self._fills[min(BARS * window.length // self.seq_length, BARS - 1)] += 1
        texts: dict[str, list[tuple[int, int]]] = {}
        held: Counter[int] = Counter()
        for segment in window.segments:
            size = len(segment.ids)
            if segment.kind == REPLAY:
                self.replay_tokens += size
            elif segment.role == TEXT:
                self.text_tokens += size
                texts.setdefault(segment.paper_id, []).append((segment.offset, segment.offset + size))
            else:
                held[segment.pair] += size
                self.kinds.setdefault(segment.kind, KindCounts()).tokens += size
        self.replay_windows += bool(window.segments) and window.segments[0].kind == REPLAY
        texts = {paper: list(united(ranges)) for paper, ranges in texts.items()}
        for segment in window.segments:
            if segment.pair != NO_PAIR and segment.offset == 0 and segment.kind != REPLAY:
                self._add_pair(segment, held[segment.pair], texts.get(segment.paper_id, []))
        return window

    def _add_pair(self, first: Segment, held: int, text: Iterable[tuple[int, int]]) -> None:
        counts = self.kinds[first.kind]
        counts.pairs += 1
        counts.cut += held < first.pair_length
        self.too_long += first.pair_length > self.seq_length
        self._pair_lengths[int(2 * math.log2(first.pair_length))] += 1
        begin, end = first.support
        counts.beside += begin >= 0 and any(start <= begin and end <= stop for start, stop in text)

    def _sum(self, name: str) -> int:
        return sum(getattr(counts, name) for counts in self.kinds.values())

    def counts(self, unique_text_tokens: int | None) -> dict[str, Any]:
        """The manifest's figures; shares are of all pairs, or None where there is nothing to share.

        `repeated_share` is of all text and pairs, each counted once: what repetition adds to the tokens to train on.
        `fill_histogram` counts windows by how full they are, from empty to full in bars of equal width;
        `pair_length_histogram` pairs by their tokens.

        Args:
            unique_text_tokens: tokens of the papers' texts, to tell how many are in the pack again; None if the pack
                has none.
        """
        pairs, beside = self._sum("pairs"), self._sum("beside")
        repeated = None if unique_text_tokens is None else self.text_tokens - unique_text_tokens
        unique = self.tokens - self.replay_tokens - (repeated or 0)
        a_pass = self.replay_tokens / self.replay_passes
        return {
            "windows": self.windows,
            "tokens": self.tokens,
            "fill_rate": self.tokens / max(1, self.windows * self.seq_length),
            "text_tokens": self.text_tokens,
            "repeated_tokens": repeated,
            "repeated_share": None if repeated is None else repeated / max(1, unique),
            "pairs": pairs,
            "cut_pairs": self._sum("cut"),
            "pairs_over_window": self.too_long,
            "co_location": beside / pairs if pairs and self.text_tokens else None,
            "replay_windows": self.replay_windows,
            "replay_tokens": self.replay_tokens,
            "replay_share": a_pass / max(1, self.tokens - self.replay_tokens + a_pass),
            "fill_histogram": self._fills,
            "pair_length_histogram": self._length_histogram(),
            "kinds": {kind: vars(self.kinds[kind]) for kind in sorted(self.kinds)},
        }

    def _length_histogram(self) -> list[tuple[int, int]]:
        """(fewest tokens, pairs) of each bar, two bars for each doubling; none left out between the first and last."""
        bars = range(min(self._pair_lengths, default=0), max(self._pair_lengths, default=-1) + 1)
        return [(math.ceil(2 ** (bar / 2)), self._pair_lengths[bar]) for bar in bars]

    @staticmethod
    def summary(counts: dict[str, Any], seq_length: int) -> str:
        """One line for the terminal."""
        line = f"{counts['windows']} windows of {seq_length} tokens, {counts['fill_rate']:.1%} filled"
        if counts["pairs"]:
            line += f", {counts['cut_pairs']} of {counts['pairs']} pairs cut"
            if counts["pairs_over_window"]:
                line += f" ({counts['pairs_over_window']} are longer than a window)"
        if counts["co_location"] is not None:
            line += f", {counts['co_location']:.1%} beside the passage they are about"
        if counts["repeated_tokens"]:
            line += f", {counts['repeated_share']:.1%} more tokens by repeated text"
        if counts["replay_windows"]:
            line += f", {counts['replay_share']:.1%} replay"
        return line


def united(ranges: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Ranges that touch or overlap as one, ascending."""
    last: tuple[int, int] | None = None
    for start, end in sorted(ranges):
        if last is not None and start <= last[1]:
            last = (last[0], max(last[1], end))
            continue
        if last is not None:
            yield last
        last = (start, end)
    if last is not None:
        yield last
