"""Inputs of the evaluation stages, read and checked: a stage's folder or a file alike, records by their ids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import file_in, read_jsonl

QUESTION_FIELDS = ("question_id", "split", "paper_id", "kind", "question", "answer")
ANSWER_FIELDS = ("question_id", "model", "answer")

Key = tuple[str, str]
"""(question_id, model)."""


def read_questions(path: Path) -> dict[str, dict[str, Any]]:
    """The kept records of a questions.jsonl by question_id, in the file's order.

    Raises:
        BadInput: a field is missing, an id stands twice, a split has another name, or nothing is kept.
    """
    path = file_in(path, "questions.jsonl")
    questions: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    for record in read_jsonl(path, QUESTION_FIELDS):
        question_id = str(record["question_id"])
        if question_id in seen:
            raise BadInput(f"{path}: question_id '{question_id}' appears twice; every question needs an id of its own")
        if record["split"] not in ("train", "test"):
            raise BadInput(f"{path}, question '{question_id}': split is {record['split']!r}, expected train or test")
        for name in ("question", "answer"):
            if not isinstance(record[name], str) or not record[name].strip():
                raise BadInput(
                    f"{path}, question '{question_id}': {name} is {record[name]!r}, expected a text that is not empty"
                )
        seen.add(question_id)
        if record.get("kept", True):
            questions[question_id] = record
    if not questions:
        raise BadInput(f"{path}: no question in it that is kept; make questions with `kcpt questions`")
    return questions


def read_answers(path: Path, questions: Mapping[str, Mapping[str, Any]]) -> dict[Key, dict[str, Any]]:
    """The records of an answers.jsonl by (question_id, model), in the file's order.

    Raises:
        BadInput: an answer to a question that `questions` doesn't hold, two answers of one model to a question, an
            answer that is not a text, or no answers at all.
    """
    path = file_in(path, "answers.jsonl")
    answers: dict[Key, dict[str, Any]] = {}
    for number, record in enumerate(read_jsonl(path, ANSWER_FIELDS), start=1):
        key = (str(record["question_id"]), str(record["model"]))
        if key[0] not in questions:
            raise BadInput(
                f"{path}, record {number}: answers question '{key[0]}', which is not among the kept questions; "
                "give the questions file from which these answers were generated"
            )
        if key in answers:
            raise BadInput(
                f"{path}, record {number}: second answer of model '{key[1]}' to question '{key[0]}'; keep one of them"
            )
        if not isinstance(record["answer"], str):
            raise BadInput(f"{path}, record {number}: answer is {type(record['answer']).__name__}, expected a text")
        answers[key] = record
    if not answers:
        raise BadInput(f"{path}: no answers in it; make them with `kcpt generate`")
    return answers


def read_papers(path: Path) -> dict[str, dict[str, Any]]:
    """The records of a papers.jsonl by paper_id.

    Raises:
        BadInput: a field is missing or an id stands twice.
    """
    path = file_in(path, "papers.jsonl")
    papers: dict[str, dict[str, Any]] = {}
    for number, record in enumerate(read_jsonl(path, ("paper_id", "text")), start=1):
        if record["paper_id"] in papers:
            raise BadInput(f"{path}, record {number}: paper_id '{record['paper_id']}' appears twice")
        papers[str(record["paper_id"])] = record
    return papers


def missing_answers(questions: Mapping[str, Any], answers: Mapping[Key, Any]) -> list[Key]:
    """The (question_id, model) pairs that have no answer though the model answered another question."""
    models = dict.fromkeys(model for _, model in answers)
    return [
        (question_id, model) for model in models for question_id in questions if (question_id, model) not in answers
    ]
