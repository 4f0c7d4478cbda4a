"""Keys of `kcpt report`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.runs import LATER


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt report`."""

    out: Path = Path(MISSING)
    """Folder for report.json, report.html, report.md, report.tex and the tables."""
    questions: Path = Path(MISSING)
    """Folder of kcpt questions, or a questions.jsonl."""
    answers: Any = MISSING
    """Folder of kcpt generate, or an answers.jsonl; or several, each with other models."""
    scores: Any = MISSING
    """Folder of kcpt score, or a scores.jsonl; or several."""
    papers: Path | None = None
    """Folder of kcpt corpus, or a papers.jsonl; for the data sheet."""
    synthetic: Path | None = None
    """Folder of kcpt synthesize; for the data sheet."""
    sft: Path | None = None
    """Folder of kcpt sft-data; for the data sheet."""
    verdicts: Any = None
    """Folder of kcpt judge, or several; for what judging took."""
    people: Path | None = None
    """Folder of kcpt human collect, or a people.json: what people say of the models."""
    agreement: Path | None = None
    """agreement.json of kcpt score --agreement: does each score agree with people?"""
    perplexity: Any = None
    """Folder of kcpt perplexity, or a perplexity.json, or several folders: what the training cost."""
    general: Path | None = None
    """Folder of kcpt questions general=…: general knowledge before and after, with the next two."""
    general_answers: Any = None
    """Folder of kcpt generate on the general questions, or several."""
    general_scores: Any = None
    """Folder of kcpt score on the general answers, or several."""
    choices: Any = field(default=None, metadata=LATER)
    """Folder of kcpt choose, or several: the mixtures that were compared on validation questions."""
    retention: Path | None = None
    """Folder of kcpt questions retention=…: what was kept of the starting model, with the next two; without them it is
    measured on general=."""
    retention_answers: Any = None
    """Folder of kcpt generate on these questions, or several."""
    retention_scores: Any = None
    """Folder of kcpt score on these answers, or several."""
    divergence: Any = None
    """Folder of kcpt divergence, or several: KL to the starting model."""
    cells: Path | None = None
    """cells.json of kcpt grid."""
    facts: Path | None = None
    """facts.jsonl of the demo's fictional papers, to mark wrong values in the examples."""
    metrics: Any = None
    """Loss curves: NAME=metrics.jsonl of each training, in order."""
    packs: Any = None
    """Packs: NAME=FOLDER of kcpt pack (its manifest.json)."""
    timings: Path | None = None
    """JSON list of {name, seconds, cached}; not part of the fingerprint."""
    parity: Path | None = None
    """JSON object of the export's logits check."""
    environment: Path | None = None
    """JSON object with more lines for the environment."""
    base: str = "base"
    """Name of the untrained model."""
    title: str = "Knowledge gained by continual pretraining"
    """Title of the page."""
    summary: str = ""
    """A sentence or two on what was run, shown under the title."""
    command: str = ""
    """The command that reproduces the run."""
    commands: Path | None = None
    """JSON list of {name, command: [word, …]}: each step's own command; not part of the fingerprint."""
    examples: int = 8
    """Questions shown with all answers, drawn by seed."""
    seed: int = 0
    """Seed of the draw."""
    parts: list[str] = field(default_factory=list, metadata=LATER)
    """Parts of the report that installed packages add, by name; kcpt doctor lists them."""
