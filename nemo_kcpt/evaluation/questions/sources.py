"""Where questions come from: the teacher's pairs, the questions that people asked, the demo's fact sheets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.config import nearest
from nemo_kcpt.corpus.human_questions import SPLITS, Papers
from nemo_kcpt.errors import BadInput
from nemo_kcpt.fiction.fact_questions import make_questions
from nemo_kcpt.fiction.facts import read_facts
from nemo_kcpt.records.files import SYNTHETIC
from nemo_kcpt.records.kinds import HUMAN, is_heldout


def from_pairs(path: Path, papers: Papers, without_human: bool = False) -> Iterator[dict[str, Any]]:
    """Questions from the pairs of synthetic.jsonl: kinds that never reach training for a held-out paper.

    `without_human` leaves out pairs that are human questions, for they come from the corpus with all answers.

    Raises:
        BadInput: a paper that is not in the split, a pair without words, or one paper's kind twice.
    """
    seen: set[tuple[Any, ...]] = set()
    for number, record in SYNTHETIC.lines(path):
        paper_id, kind = papers.known(str(record["paper_id"])), record["kind"]
        if not paper_id:
            raise BadInput(
                f"{path}, line {number}: paper '{record['paper_id']}' is not in split.json; "
                "synthesize from the same corpus folder"
            )
        if not is_heldout(record) or (without_human and kind == HUMAN):
            continue
        part = record.get("part") if record.get("parts", 1) > 1 else None
        if (paper_id, kind, part) in seen:
            raise BadInput(
                f"{path}, line {number}: kind {kind} of paper '{paper_id}' appears twice, and its questions "
                "would have the same ids; keep one of the two records"
            )
        seen.add((paper_id, kind, part))
        for index, pair in enumerate(record["pairs"]):
            texts = [pair.get(name) if isinstance(pair, dict) else None for name in ("instruction", "output")]
            if not all(isinstance(text, str) and text.strip() for text in texts):
                raise BadInput(f"{path}, line {number}, pair {index}: instruction or output is missing or empty")
            yield {
                "question_id": f"{paper_id}:{kind}:{'' if part is None else f'{part}.'}{index}",
                "split": papers.side[paper_id],
                "paper_id": paper_id,
                "kind": kind,
                "question": str(texts[0]).strip(),
                "answer": str(texts[1]).strip(),
            }


def from_facts(path: Path, papers: Papers, seed: int) -> Iterator[dict[str, Any]]:
    """Questions from the fact sheets of the demo's fictional papers.

    Raises:
        BadInput: a record is no fact sheet, or a paper of the split has none.
    """
    sheets = {papers.known(sheet.paper_id) or sheet.paper_id: sheet for sheet in read_facts(path)}
    for name, key in SPLITS.items():
        missing = [paper_id for paper_id in papers.split[key] if paper_id not in sheets]
        if missing:
            raise BadInput(
                f"{path}: no fact sheet of paper '{missing[0]}'; give the facts of the corpus that was split"
            )
        yield from make_questions([sheets[paper_id] for paper_id in papers.split[key]], name, seed)


def choose_kinds(records: Sequence[dict[str, Any]], kinds: Sequence[str], source: str) -> list[dict[str, Any]]:
    """The records of the kinds named; all if none is.

    Raises:
        BadInput: a kind of which there is no question.
    """
    there = list(dict.fromkeys(record["kind"] for record in records))
    for kind in kinds:
        if kind not in there:
            raise BadInput(f"kinds: no question of kind '{kind}' in {source}; {nearest(kind, there or ['none'])}")
    return [record for record in records if not kinds or record["kind"] in kinds]


def check_ids(records: Sequence[Mapping[str, Any]]) -> None:
    """
    Raises:
        BadInput: two questions have one id.
    """
    for question_id, number in Counter(record["question_id"] for record in records).items():
        if number > 1:
            raise BadInput(
                f"question_id '{question_id}' would appear {number} times: the papers' and the questions' ids "
                "of the sources overlap; make the questions of each source in a folder of its own"
            )
