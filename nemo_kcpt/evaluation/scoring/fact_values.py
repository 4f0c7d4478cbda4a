"""The values that a question's fact takes, right for it and wrong: what exact match compares an answer with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.fiction.facts import accepted_values, read_facts

Records = Mapping[str, Mapping[str, Any]]


def values_by_fact(questions: Records, facts: Path | None) -> dict[str, tuple[str, ...]]:
    """Every value (in every accepted form) that each fact takes: over all fact sheets, else over all questions.

    Raises:
        BadInput: a fact sheet cannot be read.
    """
    values: dict[str, dict[str, None]] = {}
    for record in questions.values():
        if record.get("fact") is not None:
            values.setdefault(record["fact"], {}).update(dict.fromkeys(record.get("accepted") or ()))
    if facts is not None:
        for sheet in read_facts(facts):
            for fact, known in values.items():
                known.update(dict.fromkeys(accepted_values(sheet, fact)))
    return {fact: tuple(known) for fact, known in values.items()}


def alternatives(question: Mapping[str, Any], values: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Values of the question's fact that are wrong for it."""
    right = set(question.get("accepted") or ())
    return tuple(value for value in values.get(question.get("fact") or "", ()) if value not in right)
