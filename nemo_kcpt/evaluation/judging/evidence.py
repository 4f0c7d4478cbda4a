"""What the judge may read beside the reference: the question's paper, or the best passages of the whole corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.corpus_index import CorpusIndex, Passage

MODES = ("paper", "corpus")
OWN = 3
"""Best passages of the question's own paper, which are always there."""


@dataclass(frozen=True)
class Evidence:
    """Passages for one answer, each paper's in the order of its text."""

    spans: tuple[tuple[str, int, int], ...]
    """(paper_id, start, end)."""
    cut: bool = False
    """The paper is longer than what the judge is shown of it; evidence=paper."""

    @property
    def records(self) -> list[dict[str, Any]]:
        """As verdicts say it."""
        return [{"paper_id": paper_id, "start": start, "end": end} for paper_id, start, end in self.spans]


def check_papers(papers: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """
    Raises:
        BadInput: a paper's text is none, or its id is not UTF-8.
    """
    for paper_id, paper in papers.items():
        if paper_id.encode("utf-8", "replace").decode() != paper_id:
            raise BadInput(f"{path}: paper_id {paper_id!a} holds half a UTF-16 character; give it a name that is UTF-8")
        if not isinstance(paper["text"], str):
            raise BadInput(f"{path}, paper '{paper_id}': text is {type(paper['text']).__name__}, expected a text")


class Finder:
    """Finds the evidence for an answer."""

    def __init__(
        self,
        papers: Mapping[str, Mapping[str, Any]],
        mode: str,
        *,
        tokens: int,
        passages: int,
        count: Callable[[str], int],
    ) -> None:
        """
        Args:
            papers: by paper_id.
            mode: one of `MODES`.
            tokens: of a paper that are shown at most; mode paper.
            passages: that are looked for with the question, and as many with question and answer; mode corpus.
            count: how many tokens a text has.
        """
        self._papers, self._tokens, self._passages, self._count = papers, tokens, passages, count
        self._index = CorpusIndex(papers) if mode == "corpus" else None
        self._paper_index: tuple[str, CorpusIndex] | None = None
        self._whole: dict[str, bool] = {}

    def find(self, paper_id: str, question: str, reference: str, answer: str) -> Evidence:
        """The passages to show for an answer."""
        if self._index is None:
            return self._of_paper(paper_id, question, reference, answer)
        asked = self._index.search(question, self._passages)
        said = self._index.search(question, self._passages, again=answer)
        passages = [*asked, *said]
        own = self._index.search(f"{question}\n{reference}", OWN, within=paper_id, again=answer)
        own = own or self._index.passages(paper_id)[:OWN]
        return Evidence(_spans([*own, *passages], first=paper_id))

    def text(self, evidence: Evidence) -> list[tuple[str, str]]:
        """(paper_id, text) of each passage."""
        return [(paper_id, str(self._papers[paper_id]["text"])[start:end]) for paper_id, start, end in evidence.spans]

    def _of_paper(self, paper_id: str, question: str, reference: str, answer: str) -> Evidence:
        text = str(self._papers[paper_id]["text"])
        if paper_id not in self._whole:
            self._whole[paper_id] = self._count(text) <= self._tokens
        if self._whole[paper_id]:
            return Evidence(((paper_id, 0, len(text)),))
        if self._paper_index is None or self._paper_index[0] != paper_id:
            self._paper_index = paper_id, CorpusIndex({paper_id: self._papers[paper_id]})
        index = self._paper_index[1]
        everything = len(index)
        # Turn by turn, so that neither what was asked nor what was said takes all the room.
        ranked = (index.search(f"{question}\n{reference}", everything), index.search(answer, everything))
        turns = [passage for pair in zip(*_padded(ranked)) for passage in pair if passage is not None]
        chosen: dict[tuple[int, int], Passage] = {}
        left = self._tokens
        for passage in [*turns, *index.passages(paper_id)]:
            span = passage.start, passage.end
            if span in chosen or (size := self._count(passage.text)) > left:
                continue
            chosen[span] = passage
            left -= size
        return Evidence(_joined(_spans(list(chosen.values()), first=paper_id)), cut=True)


def _padded(ranked: tuple[list[Passage], ...]) -> list[list[Passage | None]]:
    longest = max(map(len, ranked))
    return [[*passages, *[None] * (longest - len(passages))] for passages in ranked]


def _spans(passages: list[Passage], first: str) -> tuple[tuple[str, int, int], ...]:
    """Each passage once: those of paper `first`, then the other papers in the order in which they were found."""
    papers = {
        paper_id: number for number, paper_id in enumerate([first, *(passage.paper_id for passage in passages)][::-1])
    }
    different = {(passage.paper_id, passage.start, passage.end) for passage in passages}
    return tuple(sorted(different, key=lambda span: (-papers[span[0]], span[1])))


def _joined(spans: tuple[tuple[str, int, int], ...]) -> tuple[tuple[str, int, int], ...]:
    """Neighbouring passages as one."""
    joined: list[tuple[str, int, int]] = []
    for paper_id, start, end in spans:
        if joined and joined[-1][0] == paper_id and joined[-1][2] == start:
            start = joined.pop()[1]
        joined.append((paper_id, start, end))
    return tuple(joined)
