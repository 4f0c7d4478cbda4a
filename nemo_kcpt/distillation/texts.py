"""The papers' texts as a pack holds them: any stretch of a paper, put together from the windows that it is in."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemo_kcpt.packing.segments import TEXT, TEXT_KIND

Ids = NDArray[np.int32]


class PaperTexts:
    """Where each paper's text is in a pack: 40 bytes in memory for each segment of text, and no token.

    Args:
        rows: of `windows.parquet`, in order.
        tokens: of the pack; item i is an array of ids.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], tokens: Any) -> None:
        self._tokens = tokens
        self._number: dict[str, int] = {}
        flat = array("q")
        for window, row in enumerate(rows):
            ends = [*row["segment_starts"][1:], row["length"]]
            described = zip(row["segment_roles"], row["segment_kinds"], row["paper_ids"], row["segment_offsets"])
            for start, end, (role, kind, paper_id, offset) in zip(row["segment_starts"], ends, described):
                if role == TEXT and kind == TEXT_KIND:
                    number = self._number.setdefault(paper_id, len(self._number))
                    flat.extend((number, offset, end - start, window, start))
        places = np.frombuffer(flat, dtype=np.int64).reshape(-1, 5) if flat else np.zeros((0, 5), dtype=np.int64)
        self._places = places[np.lexsort((-places[:, 2], places[:, 1], places[:, 0]))]

    def read(self, paper_id: str, start: int, end: int) -> Ids | None:
        """Tokens `start` to `end` of a paper's text, int32; None where the pack does not hold all of them."""
        number = self._number.get(paper_id)
        if number is None:
            return None
        first, last = np.searchsorted(self._places[:, 0], [number, number + 1])
        parts: list[Ids] = []
        reached = start
        for _, offset, length, window, position in self._places[first:last].tolist():
            if offset > reached:
                return None
            if offset + length <= reached:
                continue
            stop = min(end, offset + length)
            parts.append(np.asarray(self._tokens[window][position + reached - offset : position + stop - offset]))
            reached = stop
            if reached >= end:
                return np.concatenate(parts).astype(np.int32)
        return None
