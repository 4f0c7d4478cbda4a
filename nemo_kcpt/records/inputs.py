"""Inputs of the stages, read and checked: a stage's folder or a file alike, records by their ids."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json
from nemo_kcpt.records.files import ANSWERS, PAPERS, QUESTIONS, Key


def read_questions(given: Path) -> dict[str, dict[str, Any]]:
    """The kept records of a questions.jsonl by question_id, in the file's order.

    Raises:
        BadInput: a field is missing, an id appears twice, a split has another name, or nothing is kept.
    """
    path = QUESTIONS.path(given)
    questions: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    for record in QUESTIONS.read(path):
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


def read_answers(given: Path, questions: Mapping[str, Mapping[str, Any]]) -> dict[Key, dict[str, Any]]:
    """The records of an answers.jsonl by (question_id, model), in the file's order.

    Raises:
        BadInput: an answer to a question that `questions` doesn't hold, two answers of one model to a question, an
            answer that is not a text, or no answers at all.
    """
    answers: dict[Key, dict[str, Any]] = {}
    for where, key, record in ANSWERS.keyed(given):
        if key[0] not in questions:
            raise BadInput(
                f"{where}: answers question '{key[0]}', which is not among the kept questions; "
                "give the questions file from which these answers were generated"
            )
        if not isinstance(record["answer"], str):
            raise BadInput(f"{where}: answer is {type(record['answer']).__name__}, expected a text")
        answers[key] = record
    if not answers:
        raise BadInput(f"{ANSWERS.path(given)}: no answers in it; make them with `kcpt generate`")
    return answers


def read_papers(given: Path) -> dict[str, dict[str, Any]]:
    """The records of a papers.jsonl by paper_id.

    Raises:
        BadInput: a field is missing or an id appears twice.
    """
    papers: dict[str, dict[str, Any]] = {}
    for number, record in PAPERS.lines(given):
        if record["paper_id"] in papers:
            raise BadInput(f"{PAPERS.path(given)}, line {number}: paper_id '{record['paper_id']}' appears twice")
        papers[str(record["paper_id"])] = record
    return papers


def check_papers_of(questions: Iterable[Mapping[str, Any]], papers: Container[str], given: Path) -> None:
    """
    Raises:
        BadInput: a question's paper is not among the `papers` of the file or folder `given`.
    """
    for question in questions:
        if str(question["paper_id"]) not in papers:
            raise BadInput(
                f"{PAPERS.path(given)}: paper '{question['paper_id']}' of question '{question['question_id']}' is not "
                "in it; give the papers that the questions were made from"
            )


def read_split(path: Path, *names: str) -> dict[str, list[str]]:
    """A split.json, of which the lists `names` are needed: of train and heldout.

    Raises:
        BadInput: it has another form.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in names):
        lists = f"list{'s' * (len(names) > 1)} {' and '.join(names)}"
        raise BadInput(f"{path}: expected an object with the {lists}; make it with `kcpt corpus`")
    return content


def missing_answers(questions: Mapping[str, Any], answers: Mapping[Key, Any]) -> list[Key]:
    """The (question_id, model) pairs that have no answer though the model answered another question."""
    models = dict.fromkeys(model for _, model in answers)
    return [
        (question_id, model) for model in models for question_id in questions if (question_id, model) not in answers
    ]
