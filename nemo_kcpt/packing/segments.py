"""Segments: the pieces of token stream that packing places, each with its paper, kind and role."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nemo_kcpt.packing.papers import TokenisedPair

TEXT, INSTRUCTION, OUTPUT = "text", "instruction", "output"
"""Roles: running text of a paper, the prompt side of a pair, the reply side of a pair."""

TEXT_KIND, REPLAY = "text", "replay"
"""Kinds of running text: of a paper, or of the general corpus that is replayed."""

NO_PAIR = -1
"""The `pair` of running text."""

Ids = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Consecutive tokens of one role. `document` numbers the unit that attention may be confined to."""

    ids: Ids
    paper_id: str
    kind: str
    role: str
    document: int
    pair: int = NO_PAIR
    """Which instruction-output pair this belongs to, counted from 0 over the corpus."""
    offset: int = 0
    """Place of the first token in its paper's text, or in its pair."""
    pair_length: int = 0
    """Tokens of the whole pair; 0 for running text."""
    support: tuple[int, int] = (-1, -1)
    """Tokens of its paper's text that a pair is about; (-1, -1) if none is known."""


def text_segment(ids: Ids, paper_id: str, document: int, *, start: int = 0, kind: str = TEXT_KIND) -> Segment:
    """Running text that begins `start` tokens into its paper."""
    return Segment(ids=ids, paper_id=paper_id, kind=kind, role=TEXT, document=document, offset=start)


def pair_segments(
    pair: TokenisedPair, paper_id: str, document: int, number: int, *, start: int = 0, end: int | None = None
) -> Iterator[Segment]:
    """Tokens `start` to `end` of a pair as alternating instruction and output segments."""
    end = len(pair.ids) if end is None else end
    borders = [start, *(int(border) for border in pair.borders if start < border < end), end]
    for begin, stop in itertools.pairwise(borders):
        yield Segment(
            ids=pair.ids[begin:stop],
            paper_id=paper_id,
            kind=pair.kind,
            role=OUTPUT if pair.is_reply(begin) else INSTRUCTION,
            document=document,
            pair=number,
            offset=begin,
            pair_length=len(pair.ids),
            support=pair.support,
        )
