"""What the parts of a graph build on: the experiment, its folders, and the nodes entered so far."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_kcpt.experiment.experiment import BASE, Config, Training, all_trainings
from nemo_kcpt.experiment.nodes import Node


def same_pack(training: Training) -> tuple[Any, ...]:
    """What two trainings have in common that share a pack."""
    replay = json.dumps(training.self_replay, sort_keys=True)
    return training.mode, training.seq_length, training.kinds, replay


class Outline:
    """An experiment, its folders and its nodes by name, in an order in which they can run."""

    def __init__(self, config: Config) -> None:
        self.config, self.run = config, config.out
        self.trainings = all_trainings(config)
        self.nodes: dict[str, Node] = {}

    def pack(self, training: Training) -> Path:
        """Folder of a training's pack; trainings that differ in attention alone share one."""
        return self.run / "packs" / self.packed_first(training).name

    def packed_first(self, training: Training) -> Training:
        """The first of the trainings that share a pack with this one; the pack has its name."""
        return next(candidate for candidate in self.trainings if same_pack(candidate) == same_pack(training))

    def hf(self, name: str) -> Path:
        """Folder of a model for inference."""
        return self.config.model if name == BASE and self.config.model is not None else self.run / "hf" / name

    def folder(self, node: str) -> Path:
        """Folder of a training."""
        return self.run / "train" / node

    @property
    def tokenizer(self) -> Path:
        """Folder of the tokenizer that packs are made with."""
        return self.config.model or self.run / "tokenizer"

    @property
    def facts(self) -> Path | None:
        """Fact sheets of fictional papers."""
        return self.run / "world/own/facts.jsonl" if self.config.world else None

    @property
    def system(self) -> dict[str, Any]:
        """The packs' system message, chat template and date: tuning and tests put a question as pretraining did."""
        pack = self.config.pack
        return {key: pack[key] for key in ("system", "chat_template", "template_date") if key in pack}

    def add(self, node: Node) -> None:
        """Enter a node, behind those that it needs."""
        for name in node.after:
            assert name in self.nodes, name
        seconds = self.config.seconds
        expected = seconds.get(node.name, seconds.get(node.kind, node.expected))
        self.nodes[node.name] = replace(node, expected=expected)
