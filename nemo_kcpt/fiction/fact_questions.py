"""Questions about facts: the one source of the teacher's question-answer pairs and of the evaluation's questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_kcpt.fiction.choice import pick, shuffled
from nemo_kcpt.fiction.facts import FACTS, FactSheet, accepted_values, fact_value
from nemo_kcpt.fiction.papers import fields_of
from nemo_kcpt.fiction.wordings import wording_for

QA_FACTS: dict[str, tuple[str, ...]] = {
    "qa_difficult": ("related_method", "base_model", "dataset_size"),
    "qa_easy": ("task", "year", "organisation", "first_author"),
    "qa_numbers_formula": ("score", "dataset_size", "year", "score"),
    "qa_methods": ("task", "base_model", "related_method"),
    "qa_people_names": ("first_author", "organisation"),
}
"""The facts that each question-answer kind asks for; together every fact twice."""


@dataclass(frozen=True, kw_only=True)
class FactQuestion:
    """A question with its answer, as the teacher asks it of one paper."""

    kind: str
    fact: str
    question: str
    answer: str


def teacher_questions(sheet: FactSheet) -> list[FactQuestion]:
    """Every question that the template teacher asks about a paper; a fact never twice in the same wording."""
    wording, fields = wording_for(sheet.language), fields_of(sheet, sheet.language)
    orders = {fact: iter(shuffled(wording.questions[fact], sheet.paper_id, fact, "question")) for fact in FACTS}
    return [
        FactQuestion(kind=kind, fact=fact, question=next(orders[fact]).format(**fields), answer=fact_value(sheet, fact))
        for kind, facts in QA_FACTS.items()
        for fact in facts
    ]


def make_questions(sheets: Sequence[FactSheet], split: str, seed: int) -> list[dict[str, Any]]:
    """One question per paper and fact, as records of `questions.jsonl`.

    Train papers are asked in exactly the words in which the teacher asked. Held-out papers (`split="test"`) are asked,
    fact by fact in turn, in a wording that the teacher uses for other papers ("seen") and in one that it never uses
    ("unseen"). Beyond the contract a record has `fact`, `accepted` (every right form of the answer) and `wording`.
    """
    if split not in ("train", "test"):
        raise ValueError(f"unknown split {split!r}: expected train or test")
    return [record for index, sheet in enumerate(sheets) for record in _of_paper(sheet, split, seed, index)]


def _of_paper(sheet: FactSheet, split: str, seed: int, index: int) -> Iterator[dict[str, Any]]:
    asked = teacher_questions(sheet)
    for number, fact in enumerate(FACTS):
        chosen = pick([question for question in asked if question.fact == fact], sheet.paper_id, fact, seed)
        question, wording = chosen.question, "seen"
        if split == "test" and (index + number) % 2:
            unseen = pick(wording_for(sheet.language).unseen_questions[fact], sheet.paper_id, fact, seed)
            question, wording = unseen.format(**fields_of(sheet, sheet.language)), "unseen"
        yield {
            "question_id": f"{sheet.paper_id}:{fact}",
            "split": split,
            "paper_id": sheet.paper_id,
            "kind": chosen.kind,
            "question": question,
            "answer": chosen.answer,
            "kept": True,
            "filter": {
                "by": "none",
                "reason": "made from a fact sheet; the question names the method, so it stands alone",
            },
            "fact": fact,
            "accepted": list(accepted_values(sheet, fact)),
            "wording": wording,
        }
