"""Outputs that copy the paper, or each other."""

from __future__ import annotations

import hashlib
from typing import Any

from nemo_kcpt.synthesis.filters.base import Candidate, Source, grams, letters_of

COPIED = {"paraphrase": 0.6, "generalized": 0.6, "elaboration": 0.8, "summary": 0.9, "discussion": 0.9}
"""Kind -> share of an output's phrases that may be in the paper word for word. Other kinds quote, or translate."""
SHORT = 80
"""Phrases below which a share says nothing."""
ALIKE = 0.9
"""Estimated Jaccard similarity from which two pairs of one paper say the same."""
SHORTEST = 60
"""Letters of a pair below which only the same text is a duplicate: "A is 3." and "A is 4." are nearly the same text."""


def copy(candidate: Candidate, source: Source) -> bool:
    """The output is the paper's own text, where other words were asked for."""
    limit = COPIED.get(candidate.kind)
    pieces = grams(candidate.plain) if limit is not None else []
    if limit is None or len(pieces) < SHORT:
        return False
    return sum(piece in source.grams for piece in pieces) > limit * len(pieces)


class Seen:
    """Which pairs there were: the same ones of the whole run, nearly the same ones of the paper in hand.

    A run of 300,000 pairs takes about 30 MB; near duplicates are compared within their paper, so that does not grow.
    """

    def __init__(self) -> None:
        self._same: set[bytes] = set()
        self._paper = ""
        self._signatures: list[Any] = []

    def duplicate(self, candidate: Candidate, source: Source) -> bool:
        """A pair of the same letters was kept before, of any paper."""
        return self._key(candidate) in self._same

    def near_duplicate(self, candidate: Candidate, source: Source) -> bool:
        """A pair of the same paper that was kept before says nearly the same (MinHash, similarity 0.9)."""
        import numpy as np

        if candidate.paper_id != self._paper or not self._signatures:
            return False
        sketch = self._sketch(candidate)
        return sketch is not None and bool((np.mean(np.stack(self._signatures) == sketch, axis=1) >= ALIKE).any())

    def keep(self, candidate: Candidate) -> None:
        """Remember a pair that was kept."""
        if candidate.paper_id != self._paper:
            self._paper, self._signatures = candidate.paper_id, []
        self._same.add(self._key(candidate))
        if (sketch := self._sketch(candidate)) is not None:
            self._signatures.append(sketch)

    def _key(self, candidate: Candidate) -> bytes:
        text = f"{letters_of(candidate.instruction)}\0{letters_of(candidate.plain)}"
        return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).digest()

    def _sketch(self, candidate: Candidate) -> Any:
        from nemo_kcpt.corpus.similarity import signature, units

        text = f"{candidate.instruction}\n{candidate.output}"
        return signature(text) if len(units(text)) >= SHORTEST else None
