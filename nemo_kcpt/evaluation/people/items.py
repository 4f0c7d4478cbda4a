"""What people rate: test questions drawn by seed, the models' answers under letters, in an order drawn each time.

Equal answers of several models are one item: it is shown and rated once, and counts for each of them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import canonical_json, sha256_text
from nemo_kcpt.records.inputs import Key
from nemo_kcpt.records.kinds import HELDOUT_KINDS

AUTO_KINDS = ("qa_methods", "qa_numbers_formula", "qa_difficult", "keywords")
"""The teacher's kinds about methods (qa_methods), tools and terms (keywords) and results (qa_numbers_formula,
qa_difficult). qa_easy and qa_people_names, about what is said first and about who, are the ones left out."""

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Item:
    """One answer to be rated."""

    item: str
    """Its id on the sheet: number of the question and letter, as 007B."""
    letter: str
    text: str
    answer_sha256: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """One question with its answers, in the order in which they are shown."""

    number: int
    question_id: str
    paper_id: str
    question: str
    reference: str
    items: tuple[Item, ...]


def clean(text: str) -> str:
    """`text` with halves of characters (lone surrogates, which no file can hold) replaced by U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def split_list(text: str) -> list[str]:
    """The names in a comma list, once each."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def choose_models(wanted: str, answers: Mapping[Key, Any], where: str) -> list[str]:
    """The models of a comma list (all that answered, sorted, where it is empty).

    Raises:
        BadInput: one of them answered nothing.
    """
    known = sorted({model for _, model in answers})
    chosen = split_list(wanted) or known
    for model in chosen:
        if model not in known:
            raise BadInput(f"models: no answer of '{model}' in {where}; {nearest(model, known)}")
    return chosen


def choose_kinds(wanted: str, available: Sequence[str]) -> tuple[list[str], str]:
    """Kinds of question to draw from, of those `available`, and a sentence that says why.

    auto takes AUTO_KINDS of the teacher's questions, and everything where another kind is among them (SQuAD, your own)
    or none of the four.

    Raises:
        BadInput: a kind that was asked for is not there.
    """
    present = list(dict.fromkeys(available))
    if wanted != "auto":
        chosen = split_list(wanted)
        for kind in chosen:
            if kind not in present:
                raise BadInput(f"kinds: no test question of kind '{kind}'; {nearest(kind, present)}, or kinds=auto")
        return chosen or present, "as asked for"
    foreign = [kind for kind in present if kind not in HELDOUT_KINDS]
    chosen = [kind for kind in AUTO_KINDS if kind in present]
    if foreign:
        return present, f"all, because '{foreign[0]}' is none of the teacher's kinds"
    if not chosen:
        return present, f"all, because none of {', '.join(AUTO_KINDS)} is there"
    return chosen, "those about methods, tools and results"


def letter(number: int) -> str:
    """A, B, … Z, AA, AB, … for 0, 1, …"""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def draw(questions: Sequence[Mapping[str, Any]], n: int, seed: int) -> list[Mapping[str, Any]]:
    """`n` of the questions (all where n is 0 or too large) by seed, in their order, so that a paper's stay together."""
    if not n or n >= len(questions):
        return list(questions)
    chosen = random.Random(f"human-{seed}").sample(range(len(questions)), n)
    return [questions[index] for index in sorted(chosen)]


def blind(
    questions: Sequence[Mapping[str, Any]], answers: Mapping[Key, Mapping[str, Any]], models: Sequence[str], seed: int
) -> list[Asked]:
    """The questions with the models' answers under letters; each question's order is drawn for it alone.

    Args:
        questions: records, each answered by every one of `models`.
        answers: records by (question_id, model).
        models: names.
        seed: another seed, another order.
    """
    asked = []
    for number, question in enumerate(questions, start=1):
        question_id = str(question["question_id"])
        texts: dict[str, list[str]] = {}
        for model in sorted(models):
            texts.setdefault(clean(answers[question_id, model]["answer"]).strip(), []).append(model)
        groups = list(texts.items())
        random.Random(f"human-{seed}-{question_id}").shuffle(groups)
        items = tuple(
            Item(f"{number:03d}{letter(index)}", letter(index), text, sha256_text(text), tuple(names))
            for index, (text, names) in enumerate(groups)
        )
        texts_of = {name: clean(str(question[name])).strip() for name in ("question", "answer")}
        asked.append(
            Asked(
                number,
                clean(question_id),
                clean(str(question["paper_id"])),
                texts_of["question"],
                texts_of["answer"],
                items,
            )
        )
    return asked


def sheet_id(asked: Sequence[Asked]) -> str:
    """Identity of what is rated: questions, references, answers and their order; 16 hex digits, no model in it."""
    content = [
        [
            question.question_id,
            question.question,
            question.reference,
            [[item.item, item.answer_sha256] for item in question.items],
        ]
        for question in asked
    ]
    return sha256_text(canonical_json(content))[:16]


def key_document(asked: Sequence[Asked], models: Sequence[str], seed: int) -> dict[str, Any]:
    """key.json: which model has which letter."""
    return {
        "sheet": sheet_id(asked),
        "seed": seed,
        "models": list(models),
        "items": [
            {
                "item": item.item,
                "question_id": question.question_id,
                "paper_id": question.paper_id,
                "letter": item.letter,
                "answer_sha256": item.answer_sha256,
                "models": list(item.models),
            }
            for question in asked
            for item in question.items
        ],
    }
