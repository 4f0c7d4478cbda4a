"""What a config asks for: the calls of its plan, within what its teacher's model has room for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nemo_kcpt.llm.fitting import fitted
from nemo_kcpt.llm.journal import Journal
from nemo_kcpt.llm.request import Teacher
from nemo_kcpt.runs import Shard
from nemo_kcpt.synthesis.config import Config
from nemo_kcpt.synthesis.ichikara import examples
from nemo_kcpt.synthesis.plan import Plan
from nemo_kcpt.synthesis.prompts import load_prompts
from nemo_kcpt.synthesis.rules.human import human_prompts


def fit(config: Config) -> Config:
    """The config with a window and replies that the teacher's model has positions for."""
    llm = fitted(config.llm())
    return replace(config, window=llm.window, max_tokens=llm.max_tokens)


def settle(teacher: Teacher, journal: Journal) -> None:
    """Let the teacher ask in the form that the run's first requests had, which the server's offer decided."""
    mode = journal.notes("structured").get("structured")
    if mode and getattr(teacher, "structured", "") == "auto":
        teacher.structured = mode  # type: ignore[attr-defined]


def make_plan(config: Config, teacher: Teacher, count: Callable[[str], int], shard: Shard | None) -> Plan:
    """What is to be asked."""

    example = None
    if config.examples is not None:
        example = examples(config.examples.expanduser(), config.seed)
    rules = config.teacher == "rules"
    prompts = human_prompts() if rules else load_prompts(folder=config.prompts, kinds=config.kinds)
    writes = getattr(teacher, "kinds", None)
    everything = dict.fromkeys(kind for known in prompts.values() for kind in known.by_kind)
    return Plan(
        config.corpus / "papers.jsonl",
        config.kinds or [kind for kind in everything if writes is None or kind in writes],
        prompts,
        teacher,
        window=config.window - config.max_tokens if config.window else 0,
        count=count,
        retries=config.reply_retries,
        seed=config.seed,
        example=example,
        shard=shard,
    )
