"""The 16 kinds of synthetic data, in the order of the method (Takahashi et al., ANLP 2025)."""

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
