"""Papers made of numbers: every token of text and pairs is another one, so that each can be found again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, pairwise

import numpy as np
from hypothesis import strategies as st

from nemo_kcpt.packing.papers import TokenisedPair, TokenisedPaper
from nemo_kcpt.packing.windows import Window


def make_papers(
    shapes: Sequence[tuple[int, Sequence[tuple[int, int]]]], passage: int, widest: int = 1
) -> list[TokenisedPaper]:
    """Papers of (tokens of text, [(tokens of a pair, which passage it is about)…]).

    Pairs are about up to `widest` neighbouring passages.
    """
    numbers = count()
    papers = []
    for name, (tokens, pairs) in enumerate(shapes):
        borders = np.unique(np.array([*range(0, tokens, passage), tokens], dtype=np.int32))
        if not tokens:
            borders = np.zeros(1, dtype=np.int32)
        made = []
        for length, about in pairs:
            place = about % max(1, len(borders) - 1)
            end = min(place + 1 + length % widest, len(borders) - 1)
            made.append(
                TokenisedPair(
                    kind=f"kind{length % 3}",
                    ids=np.array([next(numbers) for _ in range(length)], dtype=np.int32),
                    borders=np.array([length // 2] if length > 1 else [], dtype=np.int32),
                    support=(int(borders[place]), int(borders[end])) if tokens else (-1, -1),
                )
            )
        papers.append(
            TokenisedPaper(
                paper_id=f"p{name}",
                ids=np.array([next(numbers) for _ in range(tokens)], dtype=np.int32),
                passages=borders,
                borders=np.arange(0, tokens + 1, 3, dtype=np.int32),
                pairs=made,
            )
        )
    return papers


@st.composite
def paper_lists(draw: st.DrawFn) -> list[TokenisedPaper]:
    """Short and long papers, also without text or pairs, and pairs shorter and longer than the windows tried."""
    pair = st.tuples(st.integers(1, 60), st.integers(0, 50))
    shapes = draw(st.lists(st.tuples(st.integers(0, 150), st.lists(pair, max_size=8)), min_size=1, max_size=6))
    return make_papers(
        [shape for shape in shapes if shape[0] or shape[1]] or [(5, [])], draw(st.integers(1, 8)), widest=3
    )


def check_table(papers: Sequence[TokenisedPaper], windows: Sequence[Window], seq_length: int) -> None:
    """What the table says of every token is so."""
    by_name = {paper.paper_id: paper for paper in papers}
    pairs = [pair for paper in papers for pair in paper.pairs]
    for window in windows:
        assert len(window.ids) == seq_length and 0 < window.length <= seq_length
        row = window.row()
        ends = [*row["segment_starts"][1:], window.length]
        for index, (start, end) in enumerate(zip(row["segment_starts"], ends)):
            assert start < end
            offset, paper = row["segment_offsets"][index], by_name[row["paper_ids"][index]]
            text = row["segment_roles"][index] == "text"
            origin = paper.ids if text else pairs[row["segment_pairs"][index]].ids
            assert window.ids[start:end].tolist() == origin[offset : offset + end - start].tolist()
            if not text:
                pair = pairs[row["segment_pairs"][index]]
                assert any(pair is own for own in paper.pairs)
                roles = {pair.is_reply(place) for place in range(offset, offset + end - start)}
                assert roles == {row["segment_roles"][index] == "output"}
                assert (row["support_starts"][index], row["support_ends"][index]) == pair.support
        borders = window.cu_seqlens
        assert len(borders) - 1 == len(set(row["paper_ids"])), "a paper is one document of its window"
        assert borders[0] == 0 and borders[-1] == window.length and borders == sorted(set(borders))
        for start, end in pairwise(borders):
            inside = [i for i, place in enumerate(row["segment_starts"]) if start <= place < end]
            assert len({row["paper_ids"][i] for i in inside}) == 1
