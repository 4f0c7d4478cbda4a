"""Greedy matching of two sets of token embeddings (Zhang et al., "BERTScore", ICLR 2020, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BLOCK = 1024
"""Tokens a side whose similarities are computed together: 4 MiB, however long the texts are."""


@dataclass(frozen=True)
class Prf:
    """BERTScore of one text against another; 0 to 1 for usual encoders, -1 at least."""

    precision: float
    """Mean over the candidate's tokens of the similarity to the reference's most similar token."""
    recall: float
    """The same with the roles exchanged."""
    f1: float
    """Harmonic mean of the two."""


NOTHING = Prf(0.0, 0.0, 0.0)
"""Score of a text without tokens."""


@dataclass(frozen=True)
class Embedded:
    """A text as the encoder sees it."""

    vectors: Any
    """torch float32, (tokens, hidden): unit vectors."""
    weights: Any
    """torch float32, (tokens): 1 / n for the n tokens that count, 0 for the encoder's own first and last token. Those
    can still be another token's best match, as in bert-score."""

    counted: int
    """Tokens that count; none in an empty text."""

    @property
    def size(self) -> int:
        """Bytes of the vectors."""
        return int(self.vectors.numel() * self.vectors.element_size())


def match(candidate: Embedded, reference: Embedded) -> Any:
    """Precision and recall, equations (1) and (2) of section 3 (no idf), as a torch tensor of shape (2).

    The matrix of similarities is never held whole: only blocks of it, and both running maxima.
    """
    import torch

    rows, columns = candidate.vectors, reference.vectors
    if len(rows) <= BLOCK and len(columns) <= BLOCK:
        similarity = rows @ columns.T
        best_rows, best_columns = similarity.amax(1), similarity.amax(0)
    else:
        best_rows = rows.new_full((len(rows),), -torch.inf)
        best_columns = rows.new_full((len(columns),), -torch.inf)
        for top in range(0, len(rows), BLOCK):
            for left in range(0, len(columns), BLOCK):
                similarity = rows[top : top + BLOCK] @ columns[left : left + BLOCK].T
                for best, start, axis in ((best_rows, top, 1), (best_columns, left, 0)):
                    part = best[start : start + BLOCK]
                    torch.maximum(part, similarity.amax(axis), out=part)
    return torch.stack((best_rows @ candidate.weights, best_columns @ reference.weights))


def prf(precision: float, recall: float) -> Prf:
    """Add F, equation (3) of section 3; 0 where it is 0 / 0."""
    total = precision + recall
    return Prf(precision, recall, 2 * precision * recall / total if total else 0.0)
