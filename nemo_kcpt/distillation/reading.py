"""What the teacher reads for each block of a window: the passage or the text before it, then the block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemo_kcpt.distillation.teacher import Reading
from nemo_kcpt.distillation.texts import PaperTexts
from nemo_kcpt.distillation.views import BEFORE, NONE, SUPPORT, Block, Wanted, blocks

Ids = NDArray[np.int32]

COUNTED = ("asked_tokens", "read_tokens", "passage", "before", "alone", "no_teacher", "shortened", "lost_passages")
"""Tokens asked for and read; blocks by what the teacher saw; passages shortened, and not whole in the pack."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One sequence for the teacher; `places` int32 [rows] are the places in the window that its rows are about."""

    reading: Reading
    places: Ids


@dataclass(frozen=True, kw_only=True)
class View:
    """A window: borders of its blocks, int32 0, …, seq_length, and what the teacher is asked, in the window's order."""

    borders: Ids
    units: list[Unit]


class Reader:
    """Makes the teacher's sequences.

    Args:
        tokens: of the pack; item i is an array of ids.
        texts: of the papers in it.
        wanted: which blocks are asked about.
        seq_length: tokens of a window.
        begin: token before a passage that does not begin with it; None for none.
        positions: most tokens that the teacher reads; None where its folder does not say.
    """

    def __init__(
        self, tokens: Any, texts: PaperTexts, wanted: Wanted, seq_length: int, begin: int | None, positions: int | None
    ) -> None:
        self._tokens, self._texts, self._wanted, self._seq_length = tokens, texts, wanted, seq_length
        self._begin = np.zeros(0, np.int32) if begin is None else np.array([begin], dtype=np.int32)
        self._positions = positions
        self._tally: Counter[str] = Counter()
        self._longest = 0

    @property
    def counts(self) -> dict[str, int]:
        """For the manifest: see :data:`COUNTED`; and the most borders that one window has."""
        return {**{name: self._tally[name] for name in COUNTED}, "longest_blocks": self._longest}

    def view(self, window: int, row: Mapping[str, Any]) -> View:
        """What is known of a window, given its row of `windows.parquet`."""
        ids = np.asarray(self._tokens[window]).astype(np.int32)
        borders, units = [0], []
        before: Block | None = None
        for block in blocks(row, self._wanted):
            borders.append(block.end)
            unit = self._unit(ids, block, before)
            before = block
            if unit is not None:
                units.append(unit)
        if borders[-1] < self._seq_length:
            borders.append(self._seq_length)
        self._longest = max(self._longest, len(borders))
        return View(borders=np.array(borders, dtype=np.int32), units=units)

    def _unit(self, ids: Ids, block: Block, before: Block | None) -> Unit | None:
        if block.teacher == NONE:
            self._tally["no_teacher"] += 1
            return None
        seen = self._seen(ids, block, before)
        if seen is None:
            self._tally["lost_passages"] += 1
            return None
        own = ids[block.start : block.end]
        if self._positions is not None and len(seen) + len(own) > self._positions:
            self._tally["shortened"] += 1
            own = own[: self._positions]
            seen = seen[len(seen) - max(0, self._positions - len(own)) :]
        asked = np.concatenate([np.arange(start, end, dtype=np.int32) for start, end in block.asked])
        asked = asked[asked < block.start + len(own)]
        self._tally["passage" if block.teacher == SUPPORT else block.teacher] += 1
        self._tally["asked_tokens"] += len(asked)
        self._tally["read_tokens"] += len(seen) + len(own)
        places = asked.astype(np.int64) - block.start - 1 + len(seen)
        return Unit(reading=Reading(ids=np.concatenate([seen, own]), places=places), places=asked - 1)

    def _seen(self, ids: Ids, block: Block, before: Block | None) -> Ids | None:
        """What the teacher sees before a block; None where the passage is not whole in the pack."""
        if block.teacher == BEFORE:
            assert before is not None
            seen: Ids | None = ids[before.start : before.end]
        elif block.teacher == SUPPORT:
            seen = self._texts.read(block.paper_id, *block.support)
        else:
            return ids[:0]
        if seen is None or (len(seen) and len(self._begin) and seen[0] == self._begin[0]):
            return seen
        return np.concatenate([self._begin, seen])
