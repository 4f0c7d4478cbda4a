"""Instruction data without an LLM: rules that quote a document, and reorder, ask for and list what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_kcpt.synthesis.kinds import HUMAN, KINDS

if TYPE_CHECKING:
    from nemo_kcpt.synthesis.stage import Config

RULE_KINDS = (
    "paraphrase", "summary", "kg_extraction", "qa_easy", "qa_numbers_formula", "qa_people_names", "keywords",
    "discussion",
)  # fmt: skip
"""The kinds that rules can write."""
CANNOT = tuple(kind for kind in KINDS if kind not in RULE_KINDS)
"""Those that take understanding, or another language."""
QUOTED = ("copy",)
"""Filters that are not asked about rules' pairs: they reject the document's own words, and rules have no others."""


def check_rules(config: Config) -> None:
    """What contradicts teacher=rules, or needs it.

    Raises:
        ValueError: names the key.
    """
    if config.teacher != "rules":
        if config.squad is not None:
            raise ValueError(f"squad: teacher={config.teacher} writes no pairs of human questions; teacher=rules does")
        return
    for name in ("prompts", "examples", "facts"):
        if getattr(config, name) is not None:
            raise ValueError(f"{name}: teacher=rules reads none; it writes from the documents and squad= alone")
    if HUMAN in config.kinds and config.squad is None:
        raise ValueError(f"kinds: {HUMAN} needs squad=FILE, the SQuAD-style file from which the corpus was made")
    if unknown := [kind for kind in config.kinds if kind not in (*RULE_KINDS, HUMAN)]:
        raise ValueError(
            f"kinds: teacher=rules cannot write {', '.join(unknown)}; it can {', '.join(RULE_KINDS)} and, with squad=, "
            f"{HUMAN}. The others need an LLM"
        )
