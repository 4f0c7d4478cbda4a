"""Keys of `kcpt questions`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nemo_kcpt.config import MISSING, check_choices, check_least
from nemo_kcpt.evaluation.questions import own, validation
from nemo_kcpt.llm.settings import Llm, ServerKeys
from nemo_kcpt.runs import later

FILTERS = ("auto", "rules", "llm", "none")


@dataclass(kw_only=True)
class Config(ServerKeys):
    """Keys of `kcpt questions`."""

    out: Path = Path(MISSING)
    """Folder for questions.jsonl."""
    corpus: Path | None = None
    """Folder of kcpt corpus (papers.jsonl, split.json); needed but for an audit of a finished folder."""
    synthetic: Path | None = None
    """Folder of kcpt synthesize, or a synthetic.jsonl."""
    human: bool = later(False)
    """Take the questions that people asked, which the corpus holds where its documents came with questions."""
    squad: Path | None = None
    """Until the next release, for human=true: the SQuAD-style file or folder from which the corpus was made."""
    facts: Path | None = None
    """facts.jsonl of the demo's fictional papers: questions with known exact answers."""
    general: str = ""
    """ja, en or both: nothing but the project's 40 or 80 general-knowledge questions, to see what a model forgot."""
    retention: str = later("")
    """ja, en or both: the set that retention is measured on, 346 general questions, some 60 instructions a language."""
    kinds: list[str] = field(default_factory=list)
    """Kinds to take, as [qa_easy,keywords,human]; empty: all that are there."""
    n: int = 500
    """Questions per split; 0 takes all."""
    validation: float = later(0.0)
    """Share of the held-out papers that are set aside to choose by (kcpt choose); no question is about them."""
    part: str = later("test")
    """test, or with validation=SHARE validation: questions about the papers that are set aside, and no others."""
    seed: int = 0
    """Seed of the draw."""
    near: float = 0.7
    """Two questions of one subject at least so similar (Jaccard, 3 letters) are one; 0, and with facts=: same words."""
    filter: str = "auto"
    """Context filter: rules (offline), llm, or none; auto is rules, and none with facts=."""
    model: str = "gpt-4o-mini"
    """Name of the filter's model on the server; for engine=vllm also a folder. This and what follows: filter=llm."""
    max_invalid: float = 0.01
    """Questions that may stay without a readable verdict: a share if below 1, else a number; more end with code 1."""
    audit: int = 0
    """Questions on the page to check the filter by eye, which is written if there are any."""
    labelled: Path | None = None
    """Labelled questions of your own ({question, self_contained: 0 or 1} a line) to measure the filter on."""

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n: {self.n} is negative; give the number of questions per split, or 0 for all")
        check_choices(self, filter=FILTERS)
        self.check_keys()
        validation.check_keys(self.validation, self.part)
        own.check_language("general", self.general)
        own.check_language("retention", self.retention)
        if self.human and self.squad is not None:
            raise ValueError("human and squad: give human=true alone, the corpus holds what is in the SQuAD-style file")
        if self.general and self.retention:
            raise ValueError("general and retention: give one of them, each has a folder of its own")
        if not 0 <= self.near <= 1:
            raise ValueError(f"near: {self.near} is not a similarity from 0 to 1")
        check_least(self, audit=0, max_invalid=0)

    def filter_name(self) -> str:
        """The filter that is meant by auto."""
        if self.filter != "auto":
            return self.filter
        return "none" if self.facts is not None else "rules"

    def llm(self) -> Llm:
        """How the LLM is asked."""
        return Llm.of(self, model=self.model)
