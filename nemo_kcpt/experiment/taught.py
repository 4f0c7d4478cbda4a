"""Trainings that the starting model teaches: its distributions of a pack (`distill`), and what it says by itself in the
pack (`self_replay`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.config import refuse_unknown
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.experiment import BASE, Training
from nemo_kcpt.experiment.nodes import Node, stage_node
from nemo_kcpt.experiment.outline import Outline
from nemo_kcpt.experiment.sections import words_of

WEIGHTS = ("kl_weight", "ce_weight")
"""Keys of `distill` that are arguments of the recipe; all others are keys of kcpt distill."""
SHARE = "share"
"""Key of `self_replay` for the share of all tokens; all others are keys of kcpt replay."""
OWN = ("out", "pack", "model", "chat_template", "template_date")
"""Keys that the grid gives itself."""


def stage_keys(section: Mapping[str, Any], other: Sequence[str]) -> dict[str, Any]:
    """A section without the keys that are not its stage's."""
    return {key: value for key, value in section.items() if key not in other}


def check_taught(training: Training, pack: Mapping[str, Any]) -> None:
    """Look at a training's `distill` and `self_replay`.

    Raises:
        BadInput: a key that the stage does not have or the grid gives itself, or keys that do not go together.
    """
    where = f"trainings: {training.name}"
    # Here, for the stages import much.
    from nemo_kcpt.distillation import replay_stage
    from nemo_kcpt.distillation import stage as distill_stage

    sections = (("distill", WEIGHTS, distill_stage.Config), ("self_replay", (SHARE,), replay_stage.Config))
    for name, other, config in sections:
        given = stage_keys(getattr(training, name), other)
        refuse_unknown(config, given, f"{where}: {name}")
        for key in given:
            if key in OWN:
                raise BadInput(f"{where}: {name}: {key}: the grid gives this key itself; take it out")
    if training.distill and training.attention != "causal":
        raise BadInput(f"{where}: distill: has an attention of its own (split); omit attention={training.attention}")
    if training.self_replay and pack.get("replay"):
        raise BadInput(f"{where}: self_replay: the section pack has replay, too; a pack takes one of the two")


def _starting(graph: Outline) -> tuple[list[str], dict[str, Path]]:
    """The node that makes the starting model's Hugging Face folder, or the user's folder."""
    if graph.config.model is not None:
        return [], {"model": graph.config.model}
    return [f"export-{BASE}"], {}


def add_replay(graph: Outline, training: Training) -> tuple[list[str], list[str]]:
    """Keys of the pack for its self-replay, and the node that makes it; none without."""
    if not training.self_replay:
        return [], []
    keys = stage_keys(training.self_replay, (SHARE,))
    first = next(
        candidate
        for candidate in graph.trainings
        if candidate.self_replay and stage_keys(candidate.self_replay, (SHARE,)) == keys
    )
    name, out = f"replay-{first.name}", graph.run / "replay" / first.name
    if name not in graph.nodes:
        after, reads = _starting(graph)
        template = {key: value for key, value in graph.system.items() if key != "system"}
        words = [f"model={graph.hf(BASE)}", *words_of({**template, **keys})]
        graph.add(stage_node(out, name, "replay", "replay", words, after, "replay.jsonl", reads=reads, expected=300))
    share = training.self_replay.get(SHARE)
    return [f"replay={out}", *([] if share is None else [f"replay_share={share}"])], [name]


def add_teacher(graph: Outline, training: Training, pack: str) -> tuple[dict[str, Any], list[str]]:
    """Arguments of the recipe for a training's distillation, and the node that makes it; none without.

    Args:
        graph: to add to.
        training: the training.
        pack: node of its pack.
    """
    if not training.distill:
        return {}, []
    keys = stage_keys(training.distill, WEIGHTS)
    wanted = graph.pack(training), keys
    first = next(
        candidate
        for candidate in graph.trainings
        if candidate.distill and (graph.pack(candidate), stage_keys(candidate.distill, WEIGHTS)) == wanted
    )
    name, out = f"distill-{first.name}", graph.run / "teachers" / first.name
    if name not in graph.nodes:
        after, reads = _starting(graph)
        words = [f"pack={graph.pack(training)}", f"model={graph.hf(BASE)}", *words_of(keys)]
        node: Node = stage_node(
            out, name, "distill", "distill", words, [pack, *after], "manifest.json", reads=reads, expected=120
        )
        graph.add(node)
    weights = {key: training.distill[key] for key in WEIGHTS if key in training.distill}
    return {"distillation": str(out), **weights}, [name]
