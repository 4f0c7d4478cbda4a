"""Arms of a grid that the starting model teaches: nodes, what they wait for, what is shared and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.graph import Graph
from tests.grid.test_graph import experiment

ARMS = """trainings=[
  {name: plain, mode: anchored, seq_length: 256},
  {name: taught, mode: anchored, seq_length: 256, distill: {k: 32, kl_weight: 0.5}},
  {name: only, mode: anchored, seq_length: 256, distill: {k: 32, kl_weight: 1, ce_weight: 0}},
  {name: warm, mode: anchored, seq_length: 256, distill: {k: 32, temperature: 2}},
  {name: talk, mode: anchored, seq_length: 256, self_replay: {n: 50, share: 0.2}},
  {name: both, mode: anchored, seq_length: 256, self_replay: {n: 50, share: 0.3}, distill: {k: 32}, seeds: [1, 2]}]"""


def graph(name: str = "laptop", *more: str) -> Graph:
    return Graph(experiment(name, ARMS, "compare=[]", "goals=[]", "steps_like=plain", *more))


def command(found: Graph, name: str) -> list[str]:
    words: list[str] = json.loads(found.nodes[name].command[-1])[0]
    return words


def recipe(found: Graph, name: str) -> str:
    launch = found.nodes[f"pretrain-{name}"].launch
    assert launch is not None
    return launch.recipe


def test_teachers_and_replay_are_made_once_for_the_arms_that_share_them() -> None:
    found = graph()
    kinds: dict[str, list[str]] = {}
    for node in found.nodes.values():
        kinds.setdefault(node.kind, []).append(node.name)
    assert kinds["distill"] == ["distill-taught", "distill-warm", "distill-both"]
    assert kinds["replay"] == ["replay-talk"]
    packs = [name for name in kinds["pack"] if "zero_shot" not in name]
    assert packs == ["pack-plain", "pack-talk", "pack-both"], "another share of replay is another pack"
    assert set(found.nodes["distill-taught"].after) == {"pack-plain"}
    assert {"replay-talk", "synthetic"} <= set(found.nodes["pack-both"].after)
    assert {"distill-both", "import"} <= set(found.nodes["pretrain-both@2"].after)
    assert "distill-both" in next(cell for cell in found.cells if cell.name == "both@1").nodes


def test_keep_is_all_that_holds_a_model_unless_the_training_says_otherwise() -> None:
    arms = """trainings=[{name: mine, mode: anchored, seq_length: 256, keep: en, distill: {k: 32},
      overrides: [optim.config.lr=1e-3]}, {name: plain, mode: anchored, seq_length: 256}]"""
    given = ("compare=[]", "goals=[]", "steps_like=", "sets=[]", "pack={system: Answer briefly.}")
    found = Graph(experiment("laptop", arms, *given))
    assert {"prompts=en", "system=Answer briefly.", "n=700"} <= set(command(found, "replay-mine"))
    assert "k=32" in command(found, "distill-mine") and "replay_share=0.5" in command(found, "pack-mine")
    launch = found.nodes["pretrain-mine"].launch
    assert launch is not None and "lora=32" in launch.recipe and "kl_weight=0.5" in launch.recipe
    assert list(launch.overrides)[-2:] == ["data.loss=content", "optim.config.lr=1e-3"]
    assert "lora" not in recipe(found, "plain") and "replay-plain" not in found.nodes
    tuned = Graph(experiment("laptop", arms, *given[:3]))
    assert "lora" not in recipe(tuned, "mine"), "a tuning cannot start from adapters"
    bridge = Graph(experiment("laptop", arms, *given, "backend=bridge")).nodes["pretrain-mine"].launch
    assert bridge is not None and "dataset.loss=content" in bridge.overrides
    with pytest.raises(BadInput, match="lora: rank is 0"):
        Graph(experiment("laptop", arms.replace("distill: {k: 32}", "lora: {rank: 0}"), *given))


def test_keys_reach_stages_and_weights_the_recipe() -> None:
    found = graph()
    model = "model=build/smollm2-135m-instruct"
    assert command(found, "distill-warm")[:1] == ["distill"]
    assert {"pack=/x/packs/plain", model, "k=32", "temperature=2"} <= set(command(found, "distill-warm"))
    assert not {word for word in command(found, "distill-taught") if "weight" in word}
    assert {model, "n=50", "out=/x/replay/talk"} <= set(command(found, "replay-talk"))
    assert {"replay=/x/replay/talk", "replay_share=0.2"} <= set(command(found, "pack-talk"))
    assert "distillation='/x/teachers/taught',kl_weight=0.5" in recipe(found, "taught")
    assert "distillation='/x/teachers/taught',kl_weight=1,ce_weight=0" in recipe(found, "only")
    assert "distillation" not in recipe(found, "plain") and "distillation" not in recipe(found, "talk")
    assert "steps_like='/x/packs/plain'" in recipe(found, "both@1")


def test_the_small_base_of_fictional_papers_is_exported_before_it_teaches() -> None:
    arm = "trainings=[{name: taught, mode: anchored, seq_length: 64, distill: {k: 8}, self_replay: {n: 5}}]"
    found = Graph(experiment("tiny", arm, "lengths=[]", "compare=[]", "goals=[]", "steps_like="))
    assert {"export-base", "pack-taught"} <= set(found.nodes["distill-taught"].after)
    assert found.nodes["replay-taught"].after == ["export-base"]
    assert "model=/x/hf/base" in command(found, "distill-taught")


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("distill: {kk: 3}", "distill: unknown key 'kk'"),
        ("distill: {pack: x}", "distill: pack: the grid gives this key itself"),
        ("self_replay: {number: 3}", "self_replay: unknown key 'number'"),
        ("distill: {k: 3}, attention: block_diagonal", "distill: has an attention of its own (split)"),
    ],
)
def test_bad_arms_are_refused(arm: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        Graph(experiment("tiny", f"trainings=[{{name: a, {arm}}}]", "compare=[]", "goals=[]"))
    assert said in str(caught.value)


def test_a_pack_takes_one_replay() -> None:
    given: list[Any] = ["trainings=[{name: a, self_replay: {n: 3}}]", "pack={replay: general.jsonl}"]
    with pytest.raises(BadInput, match="the section pack has replay, too"):
        Graph(experiment("tiny", *given, "compare=[]", "goals=[]"))
