"""Questions with known verdicts, half of them for tuning the rules and half for reporting, and a filter's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_jsonl_lines

SHIPPED = Path(__file__).resolve().parent / "labelled.jsonl"
FIELDS = ("question", "self_contained")
PARTS = ("dev", "test")
CLASSES = {1: "self-contained", 0: "context-dependent"}


def read_labelled(path: Path = SHIPPED) -> list[dict[str, Any]]:
    """The records of a file of labelled questions; `language` and `split` may be missing in a user's own.

    Raises:
        BadInput: a question is empty or appears twice, or a label is not 0 or 1.
    """
    records, seen = [], set()
    for line, record in read_jsonl_lines(path, FIELDS):
        question, label = record["question"], record["self_contained"]
        if not isinstance(question, str) or not question.strip():
            raise BadInput(f"{path}, line {line}: question is {question!r}, expected a text that is not empty")
        if isinstance(label, bool) or label not in (0, 1):
            raise BadInput(f"{path}, line {line}: self_contained is {label!r}, expected 0 or 1")
        if question in seen:
            raise BadInput(f"{path}, line {line}: the question appears twice; keep one of them")
        if record.setdefault("split", "test") not in PARTS:
            raise BadInput(f"{path}, line {line}: split is {record['split']!r}, expected dev or test")
        seen.add(question)
        records.append({"language": "", **record})
    if not records:
        raise BadInput(
            f"{path}: no labelled question in it; give a file with {', '.join(FIELDS)} or leave labelled out"
        )
    return records


def figures(records: Sequence[Mapping[str, Any]], verdicts: Sequence[int | None]) -> list[dict[str, Any]]:
    """Precision, recall and confusion of both classes, for each half and, of the test half, each language.

    Args:
        records: labelled questions.
        verdicts: a filter's, in the same order; None where it gave none.
    """
    rows = []
    for part in PARTS:
        of_part = [(record, verdict) for record, verdict in zip(records, verdicts) if record["split"] == part]
        languages = sorted({record["language"] for record, _ in of_part if record["language"]})
        for language in ["", *(languages if part == "test" and len(languages) > 1 else [])]:
            chosen = [pair for pair in of_part if language in ("", pair[0]["language"])]
            if chosen:
                rows.append({"split": part, "language": language or "all", **_figures(chosen)})
    return rows


def _figures(chosen: Sequence[tuple[Mapping[str, Any], int | None]]) -> dict[str, Any]:
    cells = {
        f"{label}{verdict}": sum(record["self_contained"] == label and given == verdict for record, given in chosen)
        for label in (0, 1)
        for verdict in (0, 1)
    }
    classes = {}
    for label, name in CLASSES.items():
        right, said = cells[f"{label}{label}"], cells[f"0{label}"] + cells[f"1{label}"]
        there = sum(record["self_contained"] == label for record, _ in chosen)
        classes[name] = {"precision": right / said if said else None, "recall": right / there if there else None}
    return {
        "questions": len(chosen),
        "without_verdict": sum(given is None for _, given in chosen),
        "accuracy": (cells["00"] + cells["11"]) / len(chosen),
        "confusion": cells,
        "classes": classes,
    }
