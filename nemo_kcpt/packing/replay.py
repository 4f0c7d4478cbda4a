"""Replay: windows of general text beside the papers' windows, against forgetting (Ibrahim et al. 2024).

Replay stands in windows of its own, after the others in the store; the data module spreads them evenly over an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from nemo_kcpt.files import read_jsonl_lines
from nemo_kcpt.packing.concat import concat_windows
from nemo_kcpt.packing.papers import Settings, Source, chunked, in_parallel, tokenise
from nemo_kcpt.packing.segments import REPLAY, Segment, text_segment
from nemo_kcpt.packing.windows import Window


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


def _sources(path: Path) -> Iterator[Source]:
    for number, record in read_jsonl_lines(path, ("text",)):
        yield Source(f"{path}, line {number}", {"paper_id": f"{REPLAY}-{number}", "text": record["text"]}).checked()
