"""A small sheet for the tests: two papers, four test questions, two models, and files of raters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.evaluation.people.sheet_stage import Config, run
from nemo_kcpt.files import read_json, write_jsonl

MODELS = ("base-secretname", "full-secretname")
NASTY = (
    "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">\u2028\u202eabc"
)

PAPERS = [
    {"paper_id": "a", "title": "手法Kasumi", "text": "Kasumiは12,400件の文で学習した。再現率は83.7である。" + NASTY},
    {
        "paper_id": "b",
        "title": "Hayate for speech",
        "text": "Hayate extends Kasumi. ＨＡＹＡＴＥ reaches 91.2 points.\n" * 20,
    },
    {"paper_id": "c", "title": "Minato", "text": "Minato was not asked about. " * 50},
]


def questions() -> list[dict[str, Any]]:
    """Two test questions about each of the papers a and b, one about people, and a train question."""
    asked = [
        ("a:1", "a", "test", "qa_methods", "Kasumiは何件の文で学習しましたか?", "12,400件"),
        ("a:2", "a", "test", "qa_numbers_formula", "再現率はいくつですか?", "83.7"),
        ("b:1", "b", "test", "qa_difficult", "What does Hayate extend?", "Kasumi"),
        ("b:2", "b", "test", "keywords", "What is Hayate?", "An extension of Kasumi to speech"),
        ("b:3", "b", "test", "qa_people_names", "Who wrote it?", "Hayate Mori"),
        ("c:1", "c", "train", "qa_methods", "What is Minato?", "A method"),
    ]
    names = ("question_id", "paper_id", "split", "kind", "question", "answer")
    return [{**dict(zip(names, one)), "kept": True, "filter": {"by": "none", "reason": "test"}} for one in asked]


def answers() -> list[dict[str, Any]]:
    """Both models say the same to a:2; base's answer to a:1 is hostile, its answer to b:1 a formula, to b:2 empty."""
    texts = {
        "base-secretname": [NASTY, "83.7", "=1+1", "", "Mori", "x"],
        "full-secretname": ["12,400件", " 83.7\n", "It extends Kasumi.", "A method for speech", "Hayate Mori", "y"],
    }
    return [
        {"question_id": one["question_id"], "model": model, "answer": text, "finish_reason": "stop"}
        | {"prompt_tokens": 1, "completion_tokens": 1, "engine": "test"}
        for model, given in texts.items()
        for one, text in zip(questions(), given)
    ]


def write_inputs(folder: Path) -> None:
    """questions.jsonl, answers.jsonl, papers.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in (("questions", questions()), ("answers", answers()), ("papers", PAPERS)):
        write_jsonl(folder / f"{name}.jsonl", records)


def config(folder: Path, **keys: Any) -> Config:
    """Keys of a sheet of the inputs in `folder`."""
    files = {name: folder / f"{name}.jsonl" for name in ("questions", "answers")}
    return Config(**{"out": folder / "sheet", **files, "corpus": folder / "papers.jsonl", **keys})


def make_sheet(folder: Path, **keys: Any) -> Path:
    """The sheet's folder, made of the small inputs."""
    write_inputs(folder)
    made = config(folder, **keys)
    run(made)
    return made.out


def line(key: Mapping[str, Any], item: str, rater: str, rating: Any, **more: Any) -> dict[str, Any]:
    """A line as the page exports it."""
    entry = next((one for one in key["items"] if one["item"] == item), key["items"][0])
    told = {"sheet": key["sheet"], "rater": rater, "item": item, "question_id": entry["question_id"]}
    return {**told, "answer_sha256": entry["answer_sha256"], "rating": rating, "note": "", "seconds": 2.5, **more}


def read_key(folder: Path) -> dict[str, Any]:
    """key.json."""
    return dict(read_json(folder / "key.json"))


def write_ratings(path: Path, records: list[dict[str, Any]]) -> Path:
    """A rater's file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path
