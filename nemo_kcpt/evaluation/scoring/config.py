"""Keys of `kcpt score`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nemo_kcpt.config import MISSING, check_least
from nemo_kcpt.runs import LATER, later


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt score`."""

    out: Path = Path(MISSING)
    """Folder for scores.jsonl."""
    questions: Path = Path(MISSING)
    """Folder of kcpt questions, or a questions.jsonl."""
    answers: Path = Path(MISSING)
    """Folder of kcpt generate, or an answers.jsonl."""
    papers: Path | None = None
    """Folder of kcpt corpus, or a papers.jsonl; for bertscore_doc."""
    facts: Path | None = None
    """facts.jsonl of the demo's fictional papers: all values that a fact takes."""
    verdicts: Path | None = None
    """Folder of kcpt judge, or a verdicts.jsonl."""
    encoder: str = "tohoku-nlp/tohokunlp-bert-500m-sq8192-alpha"
    """Folder or name of a Hugging Face encoder, placeholder, or none; see above."""
    encoder_layers: int = 0
    """Layer of the encoder that is compared; 0 takes bert-score's choice where it knows the encoder, else the last."""
    encoder_tokenizer: Path | None = None
    """Tokenizer folder for encoder=placeholder, such as a model's folder."""
    allow_code: str = ""
    """The encoder whose own code may run: REPOSITORY@COMMIT, or sha256:… of a folder; the refusal says what to give."""
    tokens_per_batch: int = 8192
    """Tokens that the encoder takes at a time."""
    one_notation: bool = later(True)
    """Before BERTScore give each number of an answer that the reference or paper has in another notation in theirs
    (百万件 as 1,000,000件); all else stays. false compares the texts as they are, as bert-score does."""
    fact_checks: bool = True
    """Look up numbers and names; without them there is no combined score."""
    combined: Path | None = None
    """combined.json of another run, to be used instead of the shipped coefficients."""
    calibrate: Path | None = None
    """ratings.jsonl (question_id, model, rating 0 to 1) to fit the combined score to; rated answers get the score of a
    model that was fitted without their paper."""
    agreement: str = ""
    """ratings.jsonl to hold every score against, or oracle for exact_match; can be given later, too."""
    scorers: list[str] = field(default_factory=list, metadata=LATER)
    """Scorers of installed packages to run as well, by name; kcpt doctor lists them."""
    base: str = later("base")
    """Name of the starting model, for retention."""
    seed: int = 0
    """Seed of the bootstrap."""

    def __post_init__(self) -> None:
        if self.combined is not None and self.calibrate is not None:
            raise ValueError("combined and calibrate: give one of them")
        check_least(self, tokens_per_batch=1)
