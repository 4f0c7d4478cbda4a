"""Commands whose results an earlier commit made (`make.py`) and today's code continues, and the server they ask.

Everything here runs with the modules of either commit.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt import cli
from nemo_kcpt.config import load_config
from tests.synthesis.fake_server import ok

TOPICS = {"Kiri": "Kasumi", "Sagi": "Hiiragi", "Sumire": "Sumire", "Ayame": "Ayame"}
"""What a document is told by, and what questions about it name."""
SERVER = "base_url={url}"
FROM_CORPUS = ["corpus=corpus", "synthetic=synthetic"]
SYNTHESIZE = [
    "synthesize",
    "corpus=corpus",
    "teacher=openai",
    "model=stub",
    SERVER,
    "structured=json_schema",
    "concurrency=1",
    "kinds=[summary,paraphrase,qa_easy,qa_difficult]",
]
ANSWERS = ["generate", "questions=questions", "engine=server", "models=base=one,trained=two", SERVER, "concurrency=1"]
FILTER = ["questions", *FROM_CORPUS, "filter=llm", "model=stub", SERVER, "structured=json_schema", "concurrency=1"]
TESTED = ["questions=questions", "answers=answers", "papers=corpus"]
JUDGE = ["judge", *TESTED, "judge=stub", SERVER, "structured=json_schema", "concurrency=1"]
PACK = ["pack", "seq_length=64", "tokenizer=tokenizer", "processes=1"]
COMMANDS: dict[str, list[str]] = {
    "corpus": ["corpus", "input=notes", "heldout_count=1", "workers=1"],
    "corpus-squad": ["corpus", "input=squad.json", "heldout_count=1", "workers=1"],
    "synthetic": SYNTHESIZE,
    "synthetic-rules": ["synthesize", "corpus=corpus-squad", "teacher=rules", "squad=squad.json"],
    "sft": ["sft-data", *FROM_CORPUS, "samples=20"],
    "tokenizer": ["demo-tokenizer", *FROM_CORPUS, "vocab_size=320"],
    "packs/anchored": [*PACK, "mode=anchored", *FROM_CORPUS],
    "packs/concat": [*PACK, "mode=concat", *FROM_CORPUS],
    "packs/instruction": [*PACK, "mode=instruction", "sft=sft/zero_shot.jsonl"],
    "questions": ["questions", *FROM_CORPUS],
    "questions-squad": ["questions", "corpus=corpus-squad", "squad=squad.json"],
    "questions-llm": FILTER,
    "answers": ANSWERS,
    "verdicts": JUDGE,
    "scores": ["score", *TESTED, "verdicts=verdicts", "encoder=none"],
    "report": ["report", *TESTED, *FROM_CORPUS[1:], "scores=scores", "verdicts=verdicts", "sft=sft"],
    "sheet": ["human", "sheet", *TESTED[:2]],
}
"""Folder -> the words of `kcpt` that make it, but for out=."""
HALF = {"synthetic": 9, "questions-llm": 3, "answers": 5, "verdicts": 3}
"""Folder -> requests that are answered, before the key is refused, of what makes NAME-half with the same words."""
SHARDED = ("corpus", "synthetic")
"""Folders, of what makes whose first of two shards in NAME-shards with the same words."""
CONVERTED: dict[str, list[str]] = {
    "base": ["convert", "import", "hf"],
    "exported": ["convert", "export", "base", "tokenizer=hf", "max_shard_gb=1e-5"],
    "perplexity": ["perplexity", "models=base=hf", "language=en"],
}
DIES_AT = {"base": ".finished-1", "exported": "model-00002"}
"""Folder -> file after whose renaming a process dies that makes NAME-half with the same words."""
STEPS, MORE_STEPS = 4, 6
SHAPE = {
    "num_layers": 1,
    "hidden_size": 8,
    "ffn_hidden_size": 12,
    "num_attention_heads": 2,
    "num_query_groups": 2,
    "kv_channels": 4,
    "share_embeddings_and_output_weights": "true",
}
RECIPES = {
    "training": ["pretrain", "kcpt_tiny(pack='packs/concat',dir='{dir}')", "optim.lr_scheduler.min_lr=3e-3"],
    "tuning": ["finetune", "kcpt_sft_tiny(pack='packs/instruction',dir='{dir}')", "optim.lr_scheduler.min_lr=3e-4"],
}
GRID = [
    "grid",
    "title=small",
    "recipe=kcpt_tiny",
    "tuning_recipe=kcpt_sft_tiny",
    "world={papers: 4, base_papers: 4}",
    "corpus={heldout_fraction: 0.25}",
    "synthesize={kinds: [paraphrase, qa_easy]}",
    "sft_data={samples: 10}",
    "trainings=[{name: anchored-64, mode: anchored, seq_length: 64, seeds: [1]}]",
    "sets=[zero_shot]",
    "generate={engine: transformers, max_new_tokens: 4}",
    "score={encoder: none}",
    "base_epochs=0.2",
    "epochs=0.3",
]
LIGHT = ["questions", "pack-anchored-64", "pack-zero_shot-64"]
"""Steps of the grid that are finished, with those that they need; it was stopped when the first training began."""
WRITTEN = 1_796_000_000
"""Seconds since 1970."""
EXPERIMENTS = ("paper", "laptop", "jaquad", "tiny")
"""Files of conf/experiment as they were, in experiments/."""


def date(folder: Path) -> None:
    """Give every file one time of writing: models' folders and checkpoints are told by their files' sizes and times."""
    for path in folder.rglob("*"):
        os.utime(path, (WRITTEN, WRITTEN))


def command(name: str, out: str, url: str = "") -> list[str]:
    """The words of `kcpt` that make `name` of `COMMANDS` or `CONVERTED` in `out`."""
    return [*(word.replace("{url}", url) for word in {**COMMANDS, **CONVERTED}[name]), f"out={out}"]


def training(name: str, folder: str, steps: int) -> list[str]:
    """The words of `nemo` for a training of `RECIPES`, whose learning rate is the same at each step."""
    task, factory, rate = RECIPES[name]
    shape = [f"model.config.{key}={value}" for key, value in SHAPE.items()]
    words = ["llm", task, "--factory", factory.replace("{dir}", folder), "--yes"]
    return [*words, f"trainer.max_steps={steps}", rate, *shape]


def reply(body: dict[str, Any], number: int) -> tuple[int, dict[str, str], bytes]:
    """What the stub says, by the request alone: pairs, an output, a verdict, or plain text."""
    text = "\n".join(message["content"] for message in body["messages"])
    text = re.sub(r"\w{16}(?=>>>)", "", text)  # of a fence: another one in each folder
    mark = hashlib.sha256(f"{body['model']} {text}".encode()).hexdigest()
    topic = next((topic for key, topic in TOPICS.items() if key in text), "Nothing")
    asked = body.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("properties", {})
    if "reason" in asked:
        verdict = next(key for key in asked if key != "reason")
        return _as_json(body, {"reason": f"Because of {mark[:4]}.", verdict: int(mark[0], 16) % 2})
    if "pairs" in asked:
        words = ("What does {} do", "Who knows {} best", "Where was {} made", "Why is {} of use")
        first = int(mark, 16) % 4
        pairs = [words[(first + one) % 4].format(topic) for one in (0, 1)]
        return _as_json(body, {"pairs": [{"instruction": f"{one}?", "output": f"{topic} does."} for one in pairs]})
    said = f"{topic} is what this is about, and {topic} does it well."
    return _as_json(body, {"output": said}) if "output" in asked else ok(said, model=body["model"])


def _as_json(body: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return ok(json.dumps(content), model=body["model"])


def identities(rooms: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Experiment -> step -> fingerprint, of `EXPERIMENTS`; `rooms` as in `experiments`."""
    found = experiments(rooms)
    return {name: {step: one.fingerprint for step, one in states.stages.items()} for name, states in found.items()}


def experiments(rooms: Mapping[str, str]) -> dict[str, Any]:
    """Experiment -> its states, of `EXPERIMENTS`.

    Args:
        rooms: where `experiment`, `graph` and `states` are.
    """
    room = {name: importlib.import_module(module) for name, module in rooms.items()}
    found: dict[str, Any] = {}
    for name in EXPERIMENTS:
        file, words = Path(f"experiments/{name}.yaml"), [f"out=grids/{name}"]
        config = load_config(room["experiment"].Config, file=file, overrides=words)
        if config.model is not None:
            config.model = Path("hf")
        if not config.world:
            config.corpus["input"] = "notes"
        found[name] = room["states"].States(room["graph"].Graph(config))
    return found


def keys() -> dict[str, list[str]]:
    """Stage, with its action where it has any -> its keys."""
    modules = {name: module for name, (module, _) in {**cli.STAGES, **cli.HIDDEN}.items()}
    for name, actions in cli.ACTIONS.items():
        modules |= {f"{name} {action}": module for action, (module, _) in actions.items()}
    return {
        name: [field.name for field in dataclasses.fields(importlib.import_module(module).Config)]
        for name, module in modules.items()
    }


def recipe_arguments() -> dict[str, list[str]]:
    """Recipe, or other factory for `nemo llm` -> its arguments; needs NeMo."""
    recipes = importlib.import_module("nemo_kcpt_recipes")
    named = {name: getattr(recipes, name) for name in dir(recipes) if name.startswith("kcpt_")}
    llama = importlib.import_module("nemo_kcpt_recipes.llama")
    named |= {name: getattr(llama, name) for name in recipes.GPU_RECIPES}
    return {name: list(inspect.signature(one).parameters) for name, one in sorted(named.items())}


def slurm_options(program: Sequence[str]) -> dict[str, list[str]]:
    """Command of the Slurm launcher -> its options."""
    found = {}
    for name in ("train", "stage", "chain"):
        told = subprocess.run([*program, name, "--help"], capture_output=True, text=True, check=True).stdout
        found[name] = sorted(set(re.findall(r"^ +(--[a-z]+)", told, re.MULTILINE)))
    return found
