"""The 16 kinds of synthetic data, in the order of the method (Takahashi et al., ANLP 2025).

A kind is a prompt file (`templates/<kind>.<language>.j2`); a 17th one is one more file, in the user's own folder. What
is kept out of training for held-out papers is said by its front matter (`heldout`) and is in each record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QA_KINDS: tuple[str, ...] = ("qa_difficult", "qa_easy", "qa_numbers_formula", "qa_methods", "qa_people_names")
"""The five question-answer kinds."""

KINDS: tuple[str, ...] = (
    "paraphrase",
    "summary",
    "generalized",
    "elaboration",
    "kg_extraction",
    "translation_en",
    "translation_zh",
    *QA_KINDS,
    "positive_negative",
    "keywords",
    "reference",
    "discussion",
)
"""All kinds, in the order in which a paper's pairs follow each other."""

HELDOUT_KINDS: tuple[str, ...] = (*QA_KINDS, "keywords")
"""Kinds that never reach training for a held-out paper: its test questions are made from them."""

HUMAN = "human"
"""Kind of the questions that people asked (human=true), and of the pairs that teacher=rules makes of them."""


def is_heldout(record: Mapping[str, Any]) -> bool:
    """Whether a record of synthetic.jsonl must not reach training if its paper is held out; a file cannot unsay it."""
    return record["kind"] in (*HELDOUT_KINDS, HUMAN) or bool(record.get("heldout"))
