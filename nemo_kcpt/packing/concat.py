"""`concat`, the method's own packing: one stream of tokens, cut wherever a window is full (method §3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nemo_kcpt.packing.segments import Segment


@dataclass(kw_only=True)
class Window:
    """`seq_length` token ids and the segments they come from; `length` of the ids are real, the rest padding.

    `cu_seqlens` are the borders between documents as attention kernels take them: 0, …, length.
    """

    ids: list[int] = field(default_factory=list)
    length: int = 0
    paper_ids: list[str] = field(default_factory=list)
    segment_kinds: list[str] = field(default_factory=list)
    segment_roles: list[str] = field(default_factory=list)
    segment_starts: list[int] = field(default_factory=list)
    segment_pairs: list[int] = field(default_factory=list)
    cu_seqlens: list[int] = field(default_factory=list)


def _append(window: Window, segment: Segment, ids: list[int], last_document: int | None) -> None:
    if segment.document != last_document:
        window.cu_seqlens.append(len(window.ids))
    window.paper_ids.append(segment.paper_id)
    window.segment_kinds.append(segment.kind)
    window.segment_roles.append(segment.role)
    window.segment_starts.append(len(window.ids))
    window.segment_pairs.append(segment.pair)
    window.ids.extend(ids)


def _close(window: Window, seq_length: int, pad_id: int) -> Window:
    window.length = len(window.ids)
    window.cu_seqlens.append(window.length)
    window.ids.extend([pad_id] * (seq_length - window.length))
    return window


def concat_windows(segments: Iterable[Segment], seq_length: int, pad_id: int) -> Iterator[Window]:
    """Cut the concatenation of `segments` into windows of `seq_length` tokens; only the last one holds padding."""
    window, last_document = Window(), None
    for segment in segments:
        remaining = list(segment.ids)
        while remaining:
            room = seq_length - len(window.ids)
            _append(window, segment, remaining[:room], last_document)
            last_document = segment.document
            remaining = remaining[room:]
            if len(window.ids) == seq_length:
                yield _close(window, seq_length, pad_id)
                window, last_document = Window(), None
    if window.ids:
        yield _close(window, seq_length, pad_id)
