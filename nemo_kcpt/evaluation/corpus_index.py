"""A lexical index over all papers: the passages that a question or an answer shares most words with.

BM25 (the library bm25s) over passages of at most 700 characters that end at a paragraph or sentence. Terms are those of
packing.passages (words, and n-grams of Japanese and Chinese characters) without one or two hiragana, which are mostly
particles and endings.

tools/bench/corpus_index.py on a busy two-core machine: of JaQuAD's 4,057 questions 97 % have the sentence with their
answer in the best 6 of its 1,041 passages (85 % in the first). 2,000 papers of 20,000 characters take 174 s and 2.5 GB
to index; a search takes 5 ms for a question and 20 ms for 400 characters.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nemo_kcpt.packing.passages import terms
from nemo_kcpt.text.parts import split_text

LENGTH = 700
"""Characters that a passage may have."""
_PARTICLE = re.compile("[ぁ-ゟ]{1,2}")
KEPT = 8
"""Scores of the last few searches, for one that looks in another paper for the same words."""


@dataclass(frozen=True)
class Passage:
    """A part of a paper: its text[start:end]."""

    paper_id: str
    start: int
    end: int
    text: str
    score: float

    @property
    def span(self) -> dict[str, Any]:
        """Where it stands, as records say it."""
        return {"paper_id": self.paper_id, "start": self.start, "end": self.end}


def telling_terms(text: str) -> list[str]:
    """The terms of a text but for one or two hiragana."""
    return [term for term in terms(text) if not _PARTICLE.fullmatch(term)]


class CorpusIndex:
    """Passages of papers, searched by words."""

    def __init__(self, papers: Mapping[str, Mapping[str, Any]], length: int = LENGTH) -> None:
        """
        Args:
            papers: records with `text` by paper_id; kept, not copied.
            length: characters that a passage may have.
        """
        import bm25s

        self._papers = papers
        self._places: list[tuple[str, int, int]] = []
        self._own: dict[str, range] = {}
        vocabulary: dict[str, int] = {"": 0}
        term_ids = []
        for paper_id, paper in papers.items():
            text, first = str(paper["text"]), len(self._places)
            for start, end in split_text(text, length, len) if text.strip() else []:
                own = telling_terms(text[start:end])
                term_ids.append(array("i", [vocabulary.setdefault(term, len(vocabulary)) for term in own] or [0]))
                self._places.append((paper_id, start, end))
            self._own[paper_id] = range(first, len(self._places))
        self._vocabulary = vocabulary
        self._index = bm25s.BM25()
        if term_ids:
            self._index.index((term_ids, vocabulary), show_progress=False)
        self._scores = lru_cache(KEPT)(self._compute)

    def __len__(self) -> int:
        return len(self._places)

    def _compute(self, text: str, again: str) -> Any:
        """The score of every passage: float32 [passages]."""
        first, second = self._known(f"{text}\n{again}"), self._known(again)
        return self._index.get_scores_from_ids([*first, *second])

    def _known(self, text: str) -> list[int]:
        return sorted({self._vocabulary[term] for term in telling_terms(text) if term in self._vocabulary})

    def search(self, text: str, k: int, within: str | None = None, again: str = "") -> list[Passage]:
        """The `k` passages with the best scores above 0, the best first; of equals the one that comes first.

        Args:
            text: what is looked for.
            k: how many at most.
            within: only passages of this paper.
            again: looked for as well, its terms counting twice.

        Raises:
            KeyError: there is no such paper.
        """
        import numpy as np

        own = range(len(self._places)) if within is None else self._own[within]
        if not own or k < 1:
            return []
        scores = self._scores(text, again)[own.start : own.stop]
        if k < len(scores):  # of equal scores at the border all are taken, so that the first of them win
            candidates = np.flatnonzero(scores >= max(np.partition(scores, -k)[-k], np.finfo(np.float32).tiny))
        else:
            candidates = np.flatnonzero(scores > 0)
        best = candidates[np.argsort(-scores[candidates], kind="stable")][:k]
        return [self._passage(own.start + int(position), float(scores[position])) for position in best]

    def passages(self, paper_id: str) -> list[Passage]:
        """All passages of a paper in their order, with score 0.

        Raises:
            KeyError: there is no such paper.
        """
        return [self._passage(position, 0.0) for position in self._own[paper_id]]

    def _passage(self, position: int, score: float) -> Passage:
        paper_id, start, end = self._places[position]
        return Passage(paper_id, start, end, str(self._papers[paper_id]["text"])[start:end], score)
