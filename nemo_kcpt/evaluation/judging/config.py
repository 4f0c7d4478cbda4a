"""Keys of `kcpt judge`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING, check_choices, check_least
from nemo_kcpt.llm.settings import Llm, ServerKeys


@dataclass(kw_only=True)
class Config(ServerKeys):
    """Keys of `kcpt judge`."""

    out: Path = Path(MISSING)
    """Folder for verdicts.jsonl and the journal."""
    questions: Path = Path(MISSING)
    """Folder of kcpt questions, or a questions.jsonl."""
    answers: Path = Path(MISSING)
    """Folder of kcpt generate, or an answers.jsonl."""
    papers: Path = Path(MISSING)
    """Folder of kcpt corpus, or a papers.jsonl."""
    evidence: str = "paper"
    """paper: the question's paper; corpus: the best passages of all papers, the question's own among them."""
    models: list[str] = field(default_factory=list)
    """Models whose answers are judged; empty: all."""
    judge: Any = "gpt-4o-mini"
    """Name of a model on the server, or NAME=URL for one on another server, whose key is read from another variable
    (OPENAI_API_KEY_NAME); several as [one,other] are a panel."""
    language: str = "auto"
    """Language of the prompts: ja, en, or auto: by the question."""
    passages: int = 6
    """Passages looked for with the question, and as many with question and answer; evidence=corpus."""
    paper_tokens: int = 32000
    """Tokens of a paper that are shown; of a longer one the best passages; evidence=paper."""
    tokenizer: Path | None = None
    """The judge's tokenizer (folder or tokenizer.json) to count with; without it a cautious estimate."""
    temperature: float = 0.0
    """Sampling temperature; 0: greedy."""
    max_tokens: int = 1024
    """Tokens a reply may have; more for models that think first."""
    seed: int = 0
    """Seed of the sampling; a reply that cannot be read is asked for again with the next one and a reminder of the
    form."""
    reply_retries: int = 2
    """Times a reply that cannot be read is asked for again."""
    max_invalid: float = 0.01
    """Judgements that may stay without a readable verdict: a share if below 1, else a number; more end with code 1."""
    estimate: bool = False
    """Show the number of requests, their tokens and cost, and end."""
    salvage: bool = False
    """Copy what is whole of a damaged journal into a new one, and continue."""

    def __post_init__(self) -> None:
        self.check_keys()
        check_choices(self, evidence=("paper", "corpus"), language=("auto", "ja", "en"))
        check_least(self, passages=1, paper_tokens=100, reply_retries=0, max_invalid=0, temperature=0)
        if isinstance(self.judge, str):
            self.judge = [self.judge]
        if not isinstance(self.judge, list) or not all(isinstance(name, str) for name in self.judge):
            raise ValueError(f"judge: {self.judge!r} was given; expected a model's name, or several as [one,other]")
        names = [name for name, _, _ in self.servers()]
        if self.engine == "vllm" and any(address != self.base_url for _, address, _ in self.servers()):
            raise ValueError("judge: NAME=URL is for servers that run; engine=vllm starts its own")
        if not names or not all(names):
            raise ValueError("judge: give the name of a model, or several as judge=[one,other]")
        if len(set(names)) < len(names):
            raise ValueError(f"judge: {', '.join(names)}: each judge needs a name of its own")

    def servers(self) -> list[tuple[str, str, str]]:
        """(model, address, variable with the key) of each judge; one server's key is not sent to another."""
        servers = []
        for text in self.judge:
            name, own, rest = text.partition("=http")
            key = re.sub(r"\W", "_", f"{self.api_key_env}_{name.upper()}", flags=re.ASCII)
            servers.append((name, f"http{rest}", key) if own else (name, self.base_url, self.api_key_env))
        return servers

    def llms(self) -> list[Llm]:
        """How each judge is asked."""
        return [
            Llm.of(
                self,
                model=name,
                key="judge",
                base_url=address,
                api_key_env=key,
                temperature=self.temperature,
                seed=self.seed,
                reply_retries=self.reply_retries,
            )
            for name, address, key in self.servers()
        ]
