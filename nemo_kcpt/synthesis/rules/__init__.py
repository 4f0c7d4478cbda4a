"""Instruction data without an LLM: rules that quote a document, and reorder, ask for and list what it says."""

from __future__ import annotations

from nemo_kcpt.records.kinds import KINDS

RULE_KINDS = (
    "paraphrase",
    "summary",
    "kg_extraction",
    "qa_easy",
    "qa_numbers_formula",
    "qa_people_names",
    "keywords",
    "discussion",
)
"""The kinds that rules can write."""
CANNOT = tuple(kind for kind in KINDS if kind not in RULE_KINDS)
"""Those that take understanding, or another language."""
QUOTED = ("copy",)
"""Filters that are not asked about rules' pairs: they reject the document's own words, and rules have no others."""
