"""A window of a pack: its token ids, and beside them what each stretch of tokens is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nemo_kcpt.packing.segments import Ids, Segment


@dataclass(kw_only=True)
class Window:
    """`ids` int32 [seq_length], of which the first `length` are real and the rest padding; and its segments in order.

    `cu_seqlens` are the borders between documents as attention kernels take them: 0, …, length.
    """

    ids: Ids
    length: int
    segments: list[Segment] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    cu_seqlens: list[int] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """The window's row of `windows.parquet`."""
        segments = self.segments
        return {
            "length": self.length,
            "paper_ids": [segment.paper_id for segment in segments],
            "segment_kinds": [segment.kind for segment in segments],
            "segment_roles": [segment.role for segment in segments],
            "segment_starts": self.starts,
            "segment_pairs": [segment.pair for segment in segments],
            "segment_offsets": [segment.offset for segment in segments],
            "support_starts": [segment.support[0] for segment in segments],
            "support_ends": [segment.support[1] for segment in segments],
            "cu_seqlens": self.cu_seqlens,
        }


def make_window(segments: Iterable[Segment], seq_length: int, pad_id: int) -> Window:
    """A window of segments that together are at most `seq_length` tokens; documents are known by their numbers."""
    kept = [segment for segment in segments if len(segment.ids)]
    ids = np.full(seq_length, pad_id, dtype=np.int32)
    window = Window(ids=ids, length=0, segments=kept)
    document: int | None = None
    for segment in kept:
        if segment.document != document:
            window.cu_seqlens.append(window.length)
            document = segment.document
        window.starts.append(window.length)
        ids[window.length : window.length + len(segment.ids)] = segment.ids
        window.length += len(segment.ids)
    window.cu_seqlens.append(window.length)
    return window
