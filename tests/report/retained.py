"""Answers to general questions and instructions, and divergences, of the arms of a grid: what retention is told from.

`python -m tests.report.retained FOLDER` writes a study with them and its report, to look at.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.files import write_json, write_jsonl
from nemo_kcpt.report.stage import Config, run
from tests.report.grids import manifest, write_study

KNOWN, INSTRUCTIONS = 200, 60
ANSWERS = 20


def write_retention(root: Path, names: Sequence[str], known: int = KNOWN) -> dict[str, Any]:
    """What `names` answer to so many general questions in two languages, the base about two thirds of them right, the
    others ever less; returns the keys of kcpt report."""
    questions: list[dict[str, Any]] = [
        {"question_id": f"r{n}", "kind": "general", "accepted": ["42"], "language": "ja" if n % 4 == 3 else "en"}
        for n in range(known)
    ]
    questions += [{"question_id": f"i{n}", "kind": "instruction", "checks": [{}]} for n in range(INSTRUCTIONS)]
    more = {"split": "test", "kept": True, "question": "?", "answer": "42"}
    write_jsonl(
        root / "retention/questions.jsonl", [{**one, **more, "paper_id": one["question_id"]} for one in questions]
    )
    manifest(root / "retention", "questions", {})
    draw = random.Random("base")
    base = {one["question_id"]: draw.random() < 0.66 for one in questions}
    for place, name in enumerate(names):
        draw = random.Random(name)
        kept = 1.0 if name == names[0] else 0.97 * 0.90**place
        answers, scores, moved = [], [], []
        for one in questions:
            key = {"question_id": one["question_id"], "model": name}
            right = int(draw.random() < (kept if base[one["question_id"]] else 0.05 * (place > 0)))
            field = "exact_match" if one["kind"] == "general" else "instruction"
            answers.append({**key, "answer": "42" if right else "?"})
            scores.append({**key, "exact_match": None, "instruction": None, field: right})
        for n in range(ANSWERS):
            moved.append(
                {"question_id": f"r{n}", "model": name, "tokens": 10, "nats": 0.3 * place + 0.01 * n, "same_top": 9}
            )
        for kind, records in (("answers", answers), ("scores", scores)):
            write_jsonl(root / "kept" / kind / name / f"{kind}.jsonl", records)
            manifest(root / "kept" / kind / name, "generate" if kind == "answers" else "score", {})
        if place:
            write_jsonl(root / "moved" / name / "divergence.jsonl", moved)
            write_json(root / "moved" / name / "divergence.json", {"base": names[0], "models": []})
            manifest(root / "moved" / name, "divergence", {})
    return {
        "retention": root / "retention",
        "retention_answers": [str(root / "kept/answers" / name) for name in names],
        "retention_scores": [str(root / "kept/scores" / name) for name in names],
        "divergence": [str(root / "moved" / name) for name in names[1:]],
    }


def study_with_retention(root: Path) -> dict[str, Any]:
    """A study with all of these; the keys of kcpt report."""
    keys = write_study(root)
    names = [Path(folder).name for folder in keys["scores"]]
    return keys | write_retention(root, names)


if __name__ == "__main__":
    run(
        Config(**study_with_retention(Path(sys.argv[1])), summary="Numbers drawn by seed, to look at the page."),
        redo=True,
    )
