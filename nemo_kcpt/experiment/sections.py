"""The sections of an experiment file, held against the stages and the models that they name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from nemo_kcpt.config import nearest, refuse_unknown
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.experiment import Config, all_trainings
from nemo_kcpt.stages import HIDDEN, STAGES

SECTIONS: dict[str, tuple[str, ...]] = {
    "world": ("out",),
    "corpus": ("out", "diff", "merge", "shard"),
    "synthesize": ("out", "corpus", "facts", "status", "merge", "shard", "prefix_report", "salvage"),
    "one_shot": ("out", "corpus", "facts", "status", "merge", "shard", "prefix_report", "salvage"),
    "sft_data": ("out", "corpus", "synthetic", "one_shot"),
    "pack": ("out", "mode", "seq_length", "kinds", "corpus", "synthetic", "sft", "tokenizer", "inspect", "report"),
    "convert": ("out", "checkpoint", "tokenizer"),
    "questions": ("out", "corpus", "synthetic", "facts", "general", "retention", "audit", "validation", "part"),
    "generate": ("out", "questions", "models"),
    "judge": ("out", "questions", "answers", "papers", "models", "estimate", "salvage"),
    "score": ("out", "questions", "answers", "papers", "facts", "verdicts", "agreement"),
    "perplexity": ("out", "models", "base"),
    "choose": ("out", "questions", "scores", "general_scores", "candidates", "base"),
    "divergence": ("out", "models", "base", "questions", "answers", "system", "chat_template", "template_date"),
    "report": (
        "out",
        "questions",
        "answers",
        "scores",
        "papers",
        "perplexity",
        "cells",
        "commands",
        "timings",
        "synthetic",
        "sft",
        "verdicts",
        "general",
        "general_answers",
        "general_scores",
        "retention",
        "retention_answers",
        "retention_scores",
        "divergence",
        "facts",
        "packs",
    ),
}
"""Sections of keys for the stages, and the keys in them that the grid gives itself."""
_STAGE_OF = {"world": "demo-world", "one_shot": "synthesize", "sft_data": "sft-data"}


def words_of(section: Mapping[str, Any]) -> list[str]:
    """A section's keys as the command line takes them."""
    import json

    def text(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return [f"{key}={text(value)}" for key, value in section.items()]


def check_sections(config: Config) -> None:
    """Look at every section before anything runs.

    Raises:
        BadInput: a stage has no such key, or the grid gives it itself.
    """
    stages = {**STAGES, **HIDDEN}
    for section, own in SECTIONS.items():
        given: Mapping[str, Any] = getattr(config, section)
        stage = _STAGE_OF.get(section, section)
        refuse_unknown(importlib.import_module(stages[stage][0]).Config, given, section)
        for key in given:
            if key in own:
                raise BadInput(f"{section}: {key}: the grid gives this key itself; take it out")


def check_compared(config: Config, models: Sequence[str], groups: Sequence[str]) -> None:
    """What is to be compared must be a model, with or without its seed, or a training, the mean over its models.

    Raises:
        BadInput: it is none, or not two names are given.
    """
    known = list(dict.fromkeys([*chain(*zip(models, groups)), *(training.name for training in all_trainings(config))]))
    named = [(f"compare: {pair}", name) for pair in config.compare for name in pair]
    for goal in config.goals:
        named += [(f"goals: {key}", goal[key]) for key in ("better", "than", "retention", "perplexity") if key in goal]
    if uneven := [pair for pair in config.compare if len(pair) != 2]:
        raise BadInput(f"compare: {uneven[0]}: two names are needed, as [anchored-1024, concat-1024]")
    for where, name in named:
        if name not in known:
            raise BadInput(f"{where}: no model '{name}'; {nearest(name, known)}")
