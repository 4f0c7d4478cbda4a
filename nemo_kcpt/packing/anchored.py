"""`anchored`: every pair beside the passage that it is about, at any window; and samples that are never cut.

Bundles (see `bundles.py`) wait in a temporary file until all are known, are packed best-fit, and room that is left in a
window is given to the text around its passages, within the budget of repeated tokens.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nemo_kcpt.packing.best_fit import pack_best_fit
from nemo_kcpt.packing.bundles import Bundle, make_bundles, pieces
from nemo_kcpt.packing.papers import TokenisedPair, TokenisedPaper
from nemo_kcpt.packing.segments import Ids, Segment, pair_segments, text_segment
from nemo_kcpt.packing.spool import Spool, open_spool
from nemo_kcpt.packing.windows import Window, make_window

NO_IDS: Ids = np.zeros(0, dtype=np.int32)


@dataclass
class _Placed:
    """A bundle as it is in a window, its text perhaps extended."""

    about: dict[str, Any]
    pair_ids: Ids
    text: Ids
    borders: Ids
    start: int
    end: int

    @property
    def paper(self) -> int:
        return int(self.about["paper"])

    @property
    def pair_tokens(self) -> int:
        """Tokens of its pairs, or of the piece of the pair that it holds."""
        return self.about["piece"][1] - self.about["piece"][0] if self.about["piece"] else len(self.pair_ids)

    @property
    def can_grow(self) -> bool:
        """Whether there is more text, and any here to begin with."""
        return self.end > self.start and self.end - self.start < len(self.text)


class BundleStore:
    """The bundles of a corpus in a temporary file: lengths in memory, tokens on disk."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._places, self._lengths = array("q"), array("q")
        self.tokens = self.repeated = 0
        """Tokens of all papers and pairs, each counted once; and of texts that are in another bundle, too."""
        self._documents = self._pairs = 0
        self._paper = lru_cache(maxsize=8)(self._read_paper)

    @property
    def lengths(self) -> Ids:
        """Tokens of each bundle, [bundles]."""
        return np.frombuffer(self._lengths, dtype=np.int64) if self._lengths else NO_IDS

    def add_paper(self, paper: TokenisedPaper, bundles: Sequence[Bundle]) -> None:
        """Keep a paper and how it was bundled."""
        about = {"paper_id": paper.paper_id, "tokens": len(paper.ids), "document": self._documents}
        offset = self._spool.append(about, np.concatenate([paper.ids, paper.borders]))
        self.tokens += paper.tokens
        for bundle in bundles:
            self.repeated += bundle.repeated
            pairs = [(number, paper.pairs[number]) for number in bundle.pairs]
            self._add(offset, bundle.start, bundle.end, pairs, bundle.piece)
        self._documents += 1
        self._pairs += len(paper.pairs)

    def add_sample(self, sample: TokenisedPair, seq_length: int) -> None:
        """Keep an instruction-tuning sample as a document of its own; one longer than a window is cut."""
        offset = self._spool.append({"paper_id": "", "tokens": 0, "document": self._documents}, NO_IDS)
        for cut in pieces(len(sample.ids), seq_length):
            self._add(offset, 0, 0, [(0, sample)], cut)
        self._documents += 1
        self._pairs += 1

    def _add(
        self,
        paper: int,
        start: int,
        end: int,
        pairs: Sequence[tuple[int, TokenisedPair]],
        piece: tuple[int, int] | None,
    ) -> None:
        described = [
            [
                self._pairs + number,
                pair.kind,
                len(pair.ids),
                pair.borders.tolist(),
                pair.first_is_reply,
                list(pair.support),
            ]
            for number, pair in pairs
        ]
        about = {"paper": paper, "start": start, "end": end, "piece": piece, "pairs": described}
        self._places.append(self._spool.append(about, np.concatenate([NO_IDS, *(pair.ids for _, pair in pairs)])))
        said = sum(len(pair.ids) for _, pair in pairs) if piece is None else piece[1] - piece[0]
        self._lengths.append(end - start + said)

    def _read_paper(self, offset: int) -> tuple[dict[str, Any], Ids]:
        return self._spool.read(offset)

    def placed(self, bundle: int) -> _Placed:
        """A bundle with its paper's text at hand."""
        about, pair_ids = self._spool.read(self._places[bundle])
        paper, values = self._paper(about["paper"])
        tokens = paper["tokens"]
        return _Placed(about, pair_ids, values[:tokens], values[tokens:], about["start"], about["end"])

    def segments(self, placed: _Placed) -> Iterator[Segment]:
        """Its text and then its pairs."""
        paper, _ = self._paper(placed.paper)
        name, document = paper["paper_id"], paper["document"]
        yield text_segment(placed.text[placed.start : placed.end], name, document, start=placed.start)
        done = 0
        first, last = placed.about["piece"] or (0, None)
        for number, kind, length, borders, first_is_reply, support in placed.about["pairs"]:
            pair = TokenisedPair(
                kind=kind,
                ids=placed.pair_ids[done : done + length],
                borders=np.array(borders, dtype=np.int32),
                first_is_reply=first_is_reply,
                support=(support[0], support[1]),
            )
            yield from pair_segments(pair, name, document, number, start=first, end=last)
            done += length


def anchored_windows(
    papers: Iterable[TokenisedPaper], seq_length: int, pad_id: int, repeat_budget: float, temporary: Path
) -> Iterator[Window]:
    """Windows of passages with their pairs; see the module's and `bundles.py`'s descriptions."""
    with open_spool(temporary) as spool:
        store = BundleStore(spool)
        for paper in papers:
            store.add_paper(paper, make_bundles(paper, seq_length, repeat_budget))
        yield from _windows(store, seq_length, pad_id, int(repeat_budget * store.tokens) - store.repeated)


def sample_windows(samples: Iterable[TokenisedPair], seq_length: int, pad_id: int, temporary: Path) -> Iterator[Window]:
    """Windows of whole instruction-tuning samples."""
    with open_spool(temporary) as spool:
        store = BundleStore(spool)
        for sample in samples:
            store.add_sample(sample, seq_length)
        yield from _windows(store, seq_length, pad_id, 0)


def _windows(store: BundleStore, seq_length: int, pad_id: int, budget: int) -> Iterator[Window]:
    """Best-fit over whole bundles; `budget` tokens of text may fill the room that is left."""
    bins = pack_best_fit(store.lengths, seq_length)
    order = np.argsort(bins, kind="stable")
    borders = np.searchsorted(bins[order], np.arange(int(bins.max(initial=-1)) + 2))
    room = len(borders[1:]) * seq_length - int(store.lengths.sum())
    share = min(1.0, budget / room) if room > 0 else 0.0
    # The first paper's first window comes first, whatever bin the longest bundle made number 0.
    for window in np.argsort(order[borders[:-1]], kind="stable"):
        members = order[borders[window] : borders[window + 1]]
        placed = _together([store.placed(int(bundle)) for bundle in members])
        left = seq_length - sum(bundle.end - bundle.start + bundle.pair_tokens for bundle in placed)
        _grow(placed, int(left * share))
        yield make_window((segment for bundle in placed for segment in store.segments(bundle)), seq_length, pad_id)


def _together(placed: Sequence[_Placed]) -> list[_Placed]:
    """Bundles of one paper as one document in the text's order; what is in two of them is in the first only."""
    first = {bundle.paper: position for position, bundle in reversed(list(enumerate(placed)))}
    ordered = sorted(placed, key=lambda bundle: (first[bundle.paper], bundle.start, -bundle.end))
    for before, bundle in pairwise(ordered):
        if before.paper == bundle.paper:
            bundle.start = max(bundle.start, before.end)
            bundle.end = max(bundle.start, bundle.end)
    return ordered


def _grow(placed: Sequence[_Placed], room: int) -> None:
    """Extend the texts of a window's bundles by whole sentences around them, without saying one twice in it."""
    for bundle in sorted(placed, key=lambda bundle: bundle.start - bundle.end):
        if room <= 0:
            return
        if not bundle.can_grow:
            continue
        same = [other for other in placed if other.paper == bundle.paper and other is not bundle]
        lowest = max((other.end for other in same if other.end <= bundle.start), default=0)
        highest = min((other.start for other in same if other.start >= bundle.end), default=len(bundle.text))
        before, after = bundle.start - lowest, highest - bundle.end
        ahead = min(after, max(room - before, (room + 1) // 2))
        stop = _sentence(bundle.borders, bundle.end, bundle.end + ahead, highest, forward=True)
        room -= stop - bundle.end
        begin = _sentence(bundle.borders, bundle.start - min(before, room), bundle.start, lowest, forward=False)
        room -= bundle.start - begin
        bundle.start, bundle.end = begin, stop


def _sentence(borders: Ids, low: int, high: int, limit: int, *, forward: bool) -> int:
    """The farthest place between `low` and `high` where a text may be divided: from `low` on, or down from `high`."""
    if forward:
        if high == limit:
            return high
        index = int(np.searchsorted(borders, high, side="right")) - 1
        return int(borders[index]) if index >= 0 and borders[index] > low else low
    if low == limit:
        return low
    index = int(np.searchsorted(borders, low))
    return int(borders[index]) if index < len(borders) and borders[index] < high else high
