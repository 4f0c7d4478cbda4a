"""Keys of `kcpt synthesize`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from nemo_kcpt.config import MISSING, check_least
from nemo_kcpt.llm.faults import check_served_model
from nemo_kcpt.llm.settings import ClientKeys, Llm
from nemo_kcpt.llm.thinking import merged
from nemo_kcpt.records.kinds import HUMAN, KINDS
from nemo_kcpt.runs import Shard, later
from nemo_kcpt.synthesis import added
from nemo_kcpt.synthesis.added import TEACHERS
from nemo_kcpt.synthesis.filters import Screen
from nemo_kcpt.synthesis.rules import RULE_KINDS

ASKED = (
    "model",
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "window",
    "concurrency",
    "timeout",
    "reply_retries",
    "poll",
)
"""Keys that a client takes, beside those of all stages."""


@dataclass(kw_only=True)
class Config(ClientKeys):
    """Keys of `kcpt synthesize`."""

    corpus: Path = Path(MISSING)
    """Folder of kcpt corpus (papers.jsonl)."""
    out: Path = Path(MISSING)
    """Folder for synthetic.jsonl, the journal and the page."""
    teacher: str = "template"
    """openai, batch, vllm, rules (no LLM; lower quality), template (a stand-in for fictional papers, not an LLM), or
    one that an installed package adds."""
    model: str = "Qwen/Qwen2.5-72B-Instruct"
    """Name of the model on the server; for teacher=vllm also a folder."""
    kinds: list[str] = field(default_factory=list)
    """Kinds to write, in order; empty: the 16 and those in your own prompts; of teacher=rules those that it can. Kinds
    of installed packages are written if they are named."""
    prompts: Path | None = None
    """Folder of your own prompts: one that is called as a shipped one replaces it, another one is a new kind."""
    examples: Path | None = None
    """ichikara-style file or folder ({ID, text, output}): each prompt shows one, for the one-shot set."""
    facts: Path | None = None
    """Fact sheets of the fictional papers (facts.jsonl), needed by teacher=template."""
    human: bool = later(False)
    """teacher=rules: the questions that people asked, which the corpus holds, become pairs of the kind human."""
    squad: Path | None = None
    """Until the next release, for human=true: the SQuAD-style file or folder from which the corpus was made."""
    temperature: float = 0.7
    """Sampling temperature; 0.7 and top_p 0.8 are Qwen2.5's own."""
    top_p: float = 0.8
    """Nucleus-sampling probability."""
    max_tokens: int = 8192
    """Tokens a reply may have; a translation is about as long as its paper."""
    seed: int = 0
    """Seed of the sampling; a reply that cannot be read is asked for again with the next one."""
    window: int = 32768
    """Tokens that prompt and reply may have together; longer papers are divided. 0: never divide."""
    tokenizer: Path | None = None
    """The teacher's tokenizer (folder or tokenizer.json) to count with; without it a cautious estimate."""
    concurrency: int = 64
    """Requests under way at once."""
    timeout: float = 600
    """Seconds until a request times out and is made again."""
    reply_retries: int = 3
    """Times a reply that cannot be read is asked for again with another seed."""
    max_failed: int = 0
    """Calls that may end without a readable answer; more, and the run ends with exit code 1 and can be resumed."""
    without: list[str] = field(default_factory=list)
    """Filters to leave out; `all` leaves out every one."""
    poll: float = 60
    """Seconds between two looks at a batch; teacher=batch."""
    shard: str = ""
    """i/n: only the papers of one of n shares."""
    merge: bool = False
    """Unite the shards in the out folder."""
    status: bool = False
    """Show how far the run is, and end."""
    prefix_report: bool = False
    """Show how much of the prompts a server's prefix cache answers, and end; needs tokenizer=."""
    salvage: bool = False
    """Copy what is whole of a damaged journal into a new one, and continue."""

    def __post_init__(self) -> None:
        if self.teacher not in TEACHERS and self.teacher not in added.teachers():
            raise ValueError(f"teacher: '{self.teacher}' is not one of {', '.join((*TEACHERS, *added.teachers()))}")
        check_served_model(self.served_model)
        if self.structured not in ("auto", "json_schema", "json_object", "none"):
            raise ValueError(f"structured: '{self.structured}' is not auto, json_schema, json_object or none")
        _ = merged(self.thinking, self.extra_body)
        check_rules(self)
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown and self.prompts is None and self.teacher != "rules":
            others = added.kinds()
            if unknown := [kind for kind in unknown if kind not in others]:
                raise ValueError(f"kinds: {', '.join(unknown)} is not one of {', '.join((*KINDS, *others))}")
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds: each can be given once")
        check_least(self, concurrency=1, max_tokens=1, reply_retries=0, retries=0, timeout=1)
        if 0 < self.window <= self.max_tokens:
            raise ValueError(
                f"window: {self.window} was given, max_tokens is {self.max_tokens}; nothing is left for papers"
            )
        if self.shard:
            Shard.parse(self.shard)
        if self.shard and self.merge:
            raise ValueError("shard and merge: first every shard, then --merge")
        Screen(self.without)

    def llm(self) -> Llm:
        """Whom to ask, and how, where the teacher is an LLM."""
        shared = {known.name: getattr(self, known.name) for known in fields(ClientKeys)}
        shared |= {name: getattr(self, name) for name in ASKED}
        log = f"vllm-{self.shard.replace('/', '-of-')}.log" if self.shard else "vllm.log"
        return Llm(engine=self.teacher, log=self.out / log, **shared)


def check_rules(config: Config) -> None:
    """What contradicts teacher=rules, or needs it.

    Raises:
        ValueError: names the key.
    """
    if config.teacher != "rules":
        for name in ("human", "squad"):
            if getattr(config, name):
                raise ValueError(
                    f"{name}: teacher={config.teacher} writes no pairs of human questions; teacher=rules does"
                )
        return
    if config.human and config.squad is not None:
        raise ValueError("human and squad: give human=true alone, the corpus holds what is in the SQuAD-style file")
    for name in ("prompts", "examples", "facts"):
        if getattr(config, name) is not None:
            raise ValueError(f"{name}: teacher=rules reads none; it writes from the corpus alone")
    if HUMAN in config.kinds and config.squad is None and not config.human:
        raise ValueError(f"kinds: {HUMAN} needs human=true, and a corpus whose documents came with questions")
    if unknown := [kind for kind in config.kinds if kind not in (*RULE_KINDS, HUMAN)]:
        raise ValueError(
            f"kinds: teacher=rules cannot write {', '.join(unknown)}; it can {', '.join(RULE_KINDS)} and, with "
            f"human=true, {HUMAN}. The others need an LLM"
        )
