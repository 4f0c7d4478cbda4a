"""Write the fictional papers of the demo with their fact sheets, and those of the base model's other world.

Files: own/documents.jsonl and own/facts.jsonl (the papers to learn), base/… (other papers, from which the demo's base
model learns the language and the instruction format). The two worlds share no method name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.config import MISSING, check_choices, check_least
from nemo_kcpt.fiction.papers import make_world, method_names
from nemo_kcpt.files import write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.runs import shaping, stage

LANGUAGES = ("ja", "en")


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt demo-world`."""

    out: Path = Path(MISSING)
    """Folder for both worlds."""
    papers: int = 40
    """Papers to learn."""
    base_papers: int = 40
    """Papers of the base model's own world."""
    language: str = "ja"
    """ja or en."""
    seed: int = 1
    """Seed of names, facts and wordings."""

    def __post_init__(self) -> None:
        check_choices(self, language=LANGUAGES)
        check_least(self, papers=4, base_papers=4)


def run(config: Config, redo: bool = False) -> None:
    """Write both worlds unless they are there."""
    with stage("demo-world", config.out, config=shaping(config), inputs={}, redo=redo) as current:
        if current.done:
            return
        own, own_sheets = make_world(config.papers, config.seed, config.language, "demo")
        taken = frozenset(method_names(own_sheets))
        base, base_sheets = make_world(config.base_papers, config.seed + 1, config.language, "base", taken)
        for name, papers, sheets in (("own", own, own_sheets), ("base", base, base_sheets)):
            documents, facts = config.out / name / "documents.jsonl", config.out / name / "facts.jsonl"
            write_jsonl(documents, papers)
            write_jsonl(facts, (sheet.to_dict() for sheet in sheets))
            current.add(documents, facts)
        LOG.info("demo: %d fictional papers to learn, %d others for the base model", len(own), len(base))
