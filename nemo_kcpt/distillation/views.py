"""Views: what the student sees of a window, block by block, and what the teacher sees before a block.

A pair is a block, so that the student sees it alone, and a stretch of text is divided into halves of passages, so that
the student sees each half alone. The teacher sees a pair after the passage that it is about (`support` in the pack),
and the second half of a passage after the first: context distillation over the training example itself (Padmanabhan et
al. 2026, "Updating Parametric Knowledge with Context Distillation Retains Post-Training Capabilities", DiSC,
arXiv:2602.16093). Replay is seen alone by both, which holds the student to what the model said before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nemo_kcpt.packing.segments import OUTPUT, REPLAY, TEXT

LEAST_HALF = 8
"""Tokens of text below which a stretch is not divided."""
NONE, SUPPORT, BEFORE, ALONE = "none", "support", "before", "alone"
"""What a teacher sees: it has nothing to say; a pair's passage; the block before; the block itself and nothing else."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Tokens `start` to `end` of a window, which the student sees alone.

    `teacher` says what the teacher sees before them; `support` are the tokens of the paper's text if that is SUPPORT.
    `asked` are the spans of tokens whose distributions are wanted, never with the block's first token, which nothing
    in it predicts.
    """

    start: int
    end: int
    teacher: str
    asked: tuple[tuple[int, int], ...] = ()
    paper_id: str = ""
    support: tuple[int, int] = (-1, -1)

    @property
    def rows(self) -> int:
        """Tokens that are asked for."""
        return sum(end - start for start, end in self.asked)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which blocks a teacher is asked about, and for which tokens; the keys of `kcpt distill`."""

    passage: bool = True
    """Whether it sees passages and first halves; without, every block is seen alone."""
    outputs_only: bool = False
    """Only the replies of pairs."""
    texts: bool = True
    replay: bool = True
    half: int = 64
    """Most tokens of half a passage."""


def blocks(row: Mapping[str, Any], wanted: Wanted) -> Iterator[Block]:
    """The blocks of a window, given its row of `windows.parquet`: they cover its tokens, in order."""
    segments = list(_segments(row))
    index = 0
    while index < len(segments):
        start, end, role, kind, pair, paper_id, support = segments[index]
        index += 1
        if kind == REPLAY and pair < 0:
            yield _alone(start, end, wanted.replay, paper_id)
        elif role == TEXT:
            yield from _text(start, end, paper_id, wanted)
        else:
            outputs = [(start, end)] if role == OUTPUT else []
            while index < len(segments) and segments[index][4] == pair:
                end = segments[index][1]
                outputs += [segments[index][:2]] if segments[index][2] == OUTPUT else []
                index += 1
            yield _pair(start, end, outputs, kind, paper_id, support, wanted)


def _segments(row: Mapping[str, Any]) -> Iterator[tuple[int, int, str, str, int, str, tuple[int, int]]]:
    starts = row["segment_starts"]
    supports = zip(row["support_starts"], row["support_ends"])
    described = zip(row["segment_roles"], row["segment_kinds"], row["segment_pairs"], row["paper_ids"], supports)
    for (start, end), (role, kind, pair, paper_id, support) in zip(pairwise([*starts, row["length"]]), described):
        yield start, end, role, kind, pair, paper_id, support


def _asked(start: int, spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The spans without the block's first token."""
    inner = [(max(first, start + 1), end) for first, end in spans]
    return tuple((first, end) for first, end in inner if first < end)


def _alone(start: int, end: int, asked: bool, paper_id: str) -> Block:
    spans = _asked(start, [(start, end)]) if asked else ()
    return Block(start=start, end=end, teacher=ALONE if spans else NONE, asked=spans, paper_id=paper_id)


def _text(start: int, end: int, paper_id: str, wanted: Wanted) -> Iterator[Block]:
    if not wanted.passage or end - start < 2 * LEAST_HALF:
        yield _alone(start, end, wanted.texts and not wanted.passage, paper_id)
        return
    halves = 2 * max(1, round((end - start) / (2 * wanted.half)))
    borders = [start + (end - start) * number // halves for number in range(halves + 1)]
    for number, (first, last) in enumerate(pairwise(borders)):
        spans = _asked(first, [(first, last)]) if number % 2 and wanted.texts else ()
        yield Block(start=first, end=last, teacher=BEFORE if spans else NONE, asked=spans, paper_id=paper_id)


def _pair(
    start: int,
    end: int,
    outputs: list[tuple[int, int]],
    kind: str,
    paper_id: str,
    support: tuple[int, int],
    wanted: Wanted,
) -> Block:
    known = support[0] >= 0
    replay = kind == REPLAY
    teacher = ALONE if replay or not wanted.passage else SUPPORT if known else NONE
    spans = _asked(start, outputs if wanted.outputs_only else [(start, end)])
    if teacher == NONE or not spans or (replay and not wanted.replay):
        return Block(start=start, end=end, teacher=NONE, paper_id=paper_id)
    return Block(start=start, end=end, teacher=teacher, asked=spans, paper_id=paper_id, support=support)
