"""`concat`, the method's own packing: one stream of tokens, cut wherever a window is full (method §3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from nemo_kcpt.packing.papers import TokenisedPaper
from nemo_kcpt.packing.segments import Segment, pair_segments, text_segment
from nemo_kcpt.packing.windows import Window, make_window


def concat_segments(papers: Iterable[TokenisedPaper]) -> Iterator[Segment]:
    """Each paper's text and then its pairs, paper after paper."""
    number = 0
    for document, paper in enumerate(papers):
        yield text_segment(paper.ids, paper.paper_id, document)
        for pair in paper.pairs:
            yield from pair_segments(pair, paper.paper_id, document, number)
            number += 1


def concat_windows(segments: Iterable[Segment], seq_length: int, pad_id: int) -> Iterator[Window]:
    """Cut the concatenation of `segments` into windows of `seq_length` tokens; only the last one holds padding."""
    pieces: list[Segment] = []
    room = seq_length
    for segment in segments:
        done = 0
        while done < len(segment.ids):
            taken = min(room, len(segment.ids) - done)
            pieces.append(replace(segment, ids=segment.ids[done : done + taken], offset=segment.offset + done))
            done += taken
            room -= taken
            if not room:
                yield make_window(pieces, seq_length, pad_id)
                pieces, room = [], seq_length
    if pieces:
        yield make_window(pieces, seq_length, pad_id)
