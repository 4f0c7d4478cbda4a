"""Questions that come with the project and are about no document: what a model knew, and did, before its training.

general= writes 40 general questions a language. retention= writes the larger set that retention is measured on: general
questions by category, easy ones for small models and hard ones for large ones, and instructions whose answers a program
can check. The files in `evaluation/general/` are compact; here they become records of questions.jsonl.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import canonical_json, read_jsonl, sha256_file, sha256_text, write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.runs import stage

GENERAL = Path(__file__).resolve().parents[1] / "general"
LANGUAGES = ("ja", "en", "both")
SOURCES = ("corpus", "synthetic", "human", "squad", "facts")
"""Keys that name documents or questions about them; none goes with the project's own questions."""


def check_language(key: str, value: str) -> None:
    """Refuse another language than the project's questions are in.

    Raises:
        ValueError: `value` is neither empty nor one of `LANGUAGES`.
    """
    if value and value not in LANGUAGES:
        raise ValueError(f"{key}: '{value}' is not ja, en or both")


def general_questions(language: str) -> list[dict[str, Any]]:
    """The short set: 40 questions a language, as they are in its file."""
    return [row for row in read_jsonl(GENERAL / "questions.jsonl") if language in ("both", row["language"])]


def retention_questions(language: str) -> list[dict[str, Any]]:
    """The large set: general questions (kind `general`, with `accepted`) and instructions (kind `instruction`, with
    `checks`), each with `language`, `category` and of the general ones `level` (easy, hard)."""
    wanted = ("en", "ja") if language == "both" else (language,)
    records = [record for code in wanted for record in _knowledge(code)]
    return records + [record for record in _instructions() if record["language"] in wanted]


def _knowledge(language: str) -> Iterator[dict[str, Any]]:
    for row in read_jsonl(GENERAL / f"{language}.jsonl", ("id", "category", "level", "question", "accepted")):
        more = {"accepted": row["accepted"], "level": row["level"]}
        yield _record(row, "general", language, str(row["accepted"][0])) | more


def _instructions() -> Iterator[dict[str, Any]]:
    fields = ("id", "language", "category", "question", "answer", "checks")
    for row in read_jsonl(GENERAL / "instructions.jsonl", fields):
        yield _record(row, "instruction", row["language"], row["answer"]) | {"checks": row["checks"]}


def _record(row: Mapping[str, Any], kind: str, language: str, answer: str) -> dict[str, Any]:
    return {
        "question_id": row["id"],
        "split": "test",
        "paper_id": row["id"],
        "kind": kind,
        "question": row["question"],
        "answer": answer,
        "kept": True,
        "filter": {"by": "none", "verdict": None, "reason": "about no document"},
        "language": language,
        "category": row["category"],
    }


def write_own(key: str, language: str, given: Mapping[str, Any], out: Path, redo: bool) -> None:
    """Run the stage `questions` on the project's own questions.

    Args:
        key: general or retention.
        language: ja, en or both.
        given: of the stage's other keys those that name documents; none may be given.
        out: folder for questions.jsonl.
        redo: write them again.

    Raises:
        BadInput: documents are given, too.
    """
    if clash := [name for name in SOURCES if given[name]]:
        raise BadInput(f"{key}= and {clash[0]}= contradict each other: {key} questions are about no document")
    inputs: dict[str, Path | str] = {"general": GENERAL / "questions.jsonl"}
    if key == "retention":
        names = ("en.jsonl", "ja.jsonl", "instructions.jsonl")
        inputs = {"retention": sha256_text(canonical_json([sha256_file(GENERAL / name) for name in names]))}
    with stage("questions", out, config={key: language}, inputs=inputs, redo=redo) as now:
        if now.done:
            LOG.info("questions: %s is finished", out)
            return
        records = (retention_questions if key == "retention" else general_questions)(language)
        write_jsonl(out / "questions.jsonl", records)
        now.add(out / "questions.jsonl")
        now.counts = {"train": 0, "test": len(records)}
        asked = sum(record["kind"] == "instruction" for record in records)
        LOG.info("questions: %d general questions%s", len(records) - asked, f", {asked} instructions" if asked else "")
