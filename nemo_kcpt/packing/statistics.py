"""What a pack is like: how full its windows are, which pairs were cut in two, which stand beside their paper's text."""

from __future__ import annotations

from collections import Counter
from typing import Any

from nemo_kcpt.packing.concat import Window
from nemo_kcpt.packing.segments import NO_PAIR, TEXT


class PackStatistics:
    """Counts windows as they stream by; memory is one number a paper.

    A pair is *cut* if it stands in more than one window. It is *co-located* if the window in which it begins holds a
    quarter of a window's tokens of its own paper's text, or the whole text where that is shorter (at 1,024 the 256
    tokens by which method.md measures the same share).
    """

    def __init__(self, seq_length: int) -> None:
        self.seq_length = seq_length
        self.windows = self.tokens = self.pairs = self.cut_pairs = self.co_located = 0
        self._text_tokens: Counter[str] = Counter()
        self._last_pair, self._last_was_cut = NO_PAIR, False

    def add(self, window: Window) -> Window:
        """Take in the next window; returns it."""
        self.windows += 1
        self.tokens += window.length
        ends = [*window.segment_starts[1:], window.length]
        here: Counter[str] = Counter()
        for paper, role, start, end in zip(window.paper_ids, window.segment_roles, window.segment_starts, ends):
            if role == TEXT:
                here[paper] += end - start
        self._text_tokens.update(here)
        for pair, paper in dict(zip(window.segment_pairs, window.paper_ids)).items():
            self._add_pair(pair, paper, here)
        return window

    def _add_pair(self, pair: int, paper: str, here: Counter[str]) -> None:
        if pair == NO_PAIR:
            return
        if pair == self._last_pair:
            self.cut_pairs += not self._last_was_cut
            self._last_was_cut = True
            return
        self._last_pair, self._last_was_cut = pair, False
        self.pairs += 1
        text = self._text_tokens[paper]
        self.co_located += text > 0 and here[paper] >= min(self.seq_length // 4, text)

    def counts(self) -> dict[str, Any]:
        """The manifest's figures; `co_location` is a share of all pairs, None without texts or without pairs."""
        shares_text = self.pairs and self._text_tokens
        return {
            "windows": self.windows,
            "tokens": self.tokens,
            "fill_rate": self.tokens / max(1, self.windows * self.seq_length),
            "pairs": self.pairs,
            "cut_pairs": self.cut_pairs,
            "co_location": self.co_located / self.pairs if shares_text else None,
        }

    def summary(self) -> str:
        """One line for the terminal."""
        counts = self.counts()
        line = f"{self.windows} windows of {self.seq_length} tokens, {counts['fill_rate']:.1%} filled"
        if self.pairs:
            line += f", {self.cut_pairs} of {self.pairs} pairs cut"
        if counts["co_location"] is not None:
            line += f", {counts['co_location']:.1%} beside their paper's text"
        return line
