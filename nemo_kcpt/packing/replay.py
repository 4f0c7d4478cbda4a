"""Replay: windows of general text beside the papers' windows, against forgetting (Ibrahim et al. 2024).

Replay is in windows of its own, after the others in the store; the data module spreads them evenly over an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from nemo_kcpt.files import read_jsonl
from nemo_kcpt.packing.anchored import sample_windows
from nemo_kcpt.packing.concat import concat_windows
from nemo_kcpt.packing.papers import Settings, checked_messages, chunked, in_parallel, tokenise, tokenise_samples
from nemo_kcpt.packing.segments import REPLAY, Segment, text_segment
from nemo_kcpt.packing.sources import Source
from nemo_kcpt.packing.windows import Window
from nemo_kcpt.records.files import CONVERSATIONS, REPLAY_TEXTS


def replay_windows(
    path: Path, wanted: int, settings: Settings, workers: int, seq_length: int, pad_id: int, first_document: int
) -> Iterator[Window]:
    """At most `wanted` windows of the texts in `path`, each full, cut where they are full; fewer if the texts end."""
    chunks = chunked(_sources(path), lambda source: source.size)
    papers = (paper for chunk in in_parallel(chunks, tokenise, settings, workers) for paper in chunk)

    def segments() -> Iterator[Segment]:
        for number, paper in enumerate(papers):
            yield text_segment(paper.ids, paper.paper_id, first_document + number, kind=REPLAY)

    full = (window for window in concat_windows(segments(), seq_length, pad_id) if window.length == seq_length)
    yield from islice(full, wanted)


def conversation_windows(
    path: Path, wanted: int, settings: Settings, workers: int, seq_length: int, pad_id: int, temporary: Path
) -> Iterator[Window]:
    """Windows of the conversations in `path`, each whole, until they hold the tokens of `wanted` full windows.

    No system message is put before them: they are as they were sampled.
    """
    chunks = chunked(
        _conversations(path), lambda sample: sum(len(message["content"]) for message in sample["messages"])
    )
    tokenised = in_parallel(chunks, tokenise_samples, replace(settings, system=""), workers)
    tokens = 0
    for window in sample_windows((sample for chunk in tokenised for sample in chunk), seq_length, pad_id, temporary):
        if tokens >= wanted * seq_length:
            return
        tokens += window.length
        yield window


def holds_conversations(path: Path) -> bool:
    """Whether a file of replay holds conversations (`messages`, as of kcpt replay) and not texts (`text`)."""
    return "messages" in next(read_jsonl(path), {})


def _sources(path: Path) -> Iterator[Source]:
    for number, record in REPLAY_TEXTS.lines(path):
        yield Source(f"{path}, line {number}", {"paper_id": f"{REPLAY}-{number}", "text": record["text"]}).checked()


def _conversations(path: Path) -> Iterator[dict[str, Any]]:
    for number, record in CONVERSATIONS.lines(path):
        yield {"messages": checked_messages(record["messages"], f"{path}, line {number}"), "origin": REPLAY}
