"""Mix the weights of Hugging Face folders that agree, without training: interpolation, or task vectors.

    kcpt convert mix models/instruct runs/mine/hf alpha=0.5 --to runs/mine/half
    kcpt convert mix runs/mine/hf add=[models/instruct] minus=models/base --to runs/mine/chat

With alpha, (1 - alpha) A + alpha B: between a model and what a training made of it there are models that keep more of
the one and know more of the other (WiSE-FT). With add and minus, A + scale * (each of add - minus): what instruction
tuning changed in a base model is put on top of one that was trained on (chat vector), or what several trainings changed
is added up (task arithmetic).

Models are compared before anything is written: tensors, architecture, vocabulary, tokenizer, RoPE and positions. Any
architecture will do. Tensors are read and written one at a time and computed with in float32; alpha=0 and alpha=1 are
A and B bit for bit. The folder appears when it is complete; rerun the same command to resume at the weights file it was
at. Tokenizer, chat template and generation config are those of B, or of the last of add, if it has a chat template,
else A's; config.json is A's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nemo_kcpt.checkpoints.agreement import Model, check_configs, check_tokenizers, shared_tensors
from nemo_kcpt.checkpoints.mix import Formula, Interpolation, TaskVectors, total_bytes, write_mixture
from nemo_kcpt.checkpoints.mix_card import copy_tokenizer, write_mix_card
from nemo_kcpt.checkpoints.safetensors_file import TYPES
from nemo_kcpt.checkpoints.target import appearing, check_space
from nemo_kcpt.config import MISSING, nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring.choice_stage import read_choice
from nemo_kcpt.files import canonical_json, sha256_file, sha256_text, write_json
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.runs import shaping

KEEP = "keep"
SPARE_BYTES = 64 << 20
"""Beside the tensors' bytes: headers, tokenizer, configs."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt convert mix`."""

    a: Path = Path(MISSING)
    """Hugging Face folder of the model that alpha=0 gives, or on top of which task vectors are put."""
    b: Path | None = None
    """Hugging Face folder of the model that alpha=1 gives."""
    out: Path = Path(MISSING)
    """Hugging Face folder to write; --to is short for it."""
    alpha: float | None = None
    """Share of B in every weight, from 0 to 1; needed with B."""
    choice: Path | None = None
    """Folder of kcpt choose, or a choice.json, in place of alpha: the alpha chosen there is taken."""
    add: list[Path] = field(default_factory=list)
    """Instead of B: models whose differences to minus are added to A, as [models/instruct]."""
    minus: Path | None = None
    """The model from which those of add were trained."""
    scale: float = 1.0
    """Factor of the added differences; a negative one subtracts them."""
    rope: str = ""
    """Where RoPE or positions differ, whose are taken: a, b, minus or add; without it such models are refused."""
    dtype: str = KEEP
    """keep (that of each of A's tensors; B's must be the same), float32, bfloat16 or float16."""
    max_shard_gb: float = 5.0
    """Size of a weights file; an interrupted run resumes after the last finished one."""

    def __post_init__(self) -> None:
        if (self.b is None) == (not self.add):
            raise ValueError(
                "give a second model and alpha=, or add=[MODEL] and minus=MODEL; see kcpt convert mix --help"
            )
        if self.b is not None:
            if self.minus is not None or self.scale != 1.0:
                raise ValueError("minus, scale: go with add=[MODEL]; two models are mixed by alpha=")
            if (self.alpha is None) == (self.choice is None) or not 0 <= (self.alpha or 0) <= 1:
                raise ValueError(f"alpha: {self.alpha} was given; the share of B is needed, from 0 (A) to 1 (B)")
        elif self.alpha is not None or self.choice is not None or self.minus is None:
            raise ValueError(
                "add: needs minus=MODEL, from which those of add were trained, and scale= instead of alpha="
            )
        if not math.isfinite(self.scale):
            raise ValueError(f"scale: {self.scale} is not a number")
        if self.max_shard_gb <= 0:
            raise ValueError(f"max_shard_gb: {self.max_shard_gb} was given; a size above 0 is needed")
        choices = (KEEP, *TYPES)
        if self.dtype not in choices:
            raise ValueError(
                f"dtype: '{self.dtype}' is not one of {', '.join(choices)}; {nearest(self.dtype, choices)}"
            )


def _models(config: Config) -> list[Model]:
    """In the order that the formula takes."""
    if config.b is not None:
        return [Model("a", config.a), Model("b", config.b)]
    assert config.minus is not None
    return [Model("a", config.a), Model("minus", config.minus), *(Model("add", folder) for folder in config.add)]


def _formula(config: Config) -> Formula:
    if config.alpha is not None:
        return Interpolation(alpha=config.alpha)
    return TaskVectors(scale=config.scale)


def _types(models: Sequence[Model], names: Sequence[str], dtype: str) -> dict[str, str]:
    """The type in which each tensor is written."""
    if dtype != KEEP:
        return dict.fromkeys(names, dtype)
    first, second = models[0], models[1]
    for name in names if second.role == "b" else ():
        if first.types[name] != second.types[name]:
            raise BadInput(
                f"b: {second.places[name]}: {name} is {second.types[name]}, in {first.folder} it is "
                f"{first.types[name]}; give dtype= one of {', '.join(TYPES)}"
            )
    return {name: first.types[name] for name in names}


def _identity(model: Model) -> str:
    """Hash of the bytes that shape the mixture: weights, config, tokenizer."""
    more = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
    files = [*model.files, *(path for name in more if (path := model.folder / name).is_file())]
    return sha256_text(canonical_json([[path.name, sha256_file(path)] for path in files]))


def run(config: Config, redo: bool = False) -> None:
    """Mix unless it is done.

    Raises:
        BadInput: models that do not agree, weights that are not finite, or no room.
    """
    if config.choice is not None:
        config = replace(config, alpha=float(read_choice(config.choice)["alpha"]), choice=None)
    models = _models(config)
    hf_config = check_configs(models, config.rope)
    names = shared_tensors(models)
    types = _types(models, names, config.dtype)
    having = check_tokenizers(models)
    roles = [f"add {number}" if model.role == "add" else model.role for number, model in enumerate(models, start=-1)]
    inputs = {role: _identity(model) for role, model in zip(roles, models)}
    with appearing("mix", config.out, config=shaping(config, "add"), inputs=dict(inputs), redo=redo) as current:
        if current.done:
            LOG.info("convert mix: %s is finished", config.out)
            return
        folder = current.out
        there = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        check_space(folder, total_bytes(models[0].sizes, types) + SPARE_BYTES - there, "the mixture")
        current.add(*_write(config, models, types, folder))
        current.add(_write_config(hf_config, types, folder))
        current.add(*copy_tokenizer(having, folder))
        said = describe(config, models)
        current.add(*write_mix_card(said, dict(zip(roles, models)), inputs, types, folder))
        current.counts |= {"mixture": said, "models": {role: str(model.folder) for role, model in zip(roles, models)}}
    LOG.info("convert mix: %s, %s", config.out, said)


def _write(config: Config, models: Sequence[Model], types: dict[str, str], folder: Path) -> list[Path]:
    total = sum(math.prod(models[0].sizes[name]) for name in types)
    with progress() as bar:
        task, done = bar.add_task("mix: million weights", total=round(total / 1e6)), 0

        def seen(weights: int) -> None:
            nonlocal done
            done += weights
            bar.update(task, completed=round(done / 1e6))

        return write_mixture(models, types, _formula(config), folder, int(config.max_shard_gb * 1e9), seen)


def _write_config(config: dict[str, Any], types: dict[str, str], folder: Path) -> Path:
    """`config.json`, with the type of the weights as transformers 4 and, where it was there, 5 call it."""
    kinds = set(types.values())
    if len(kinds) == 1:
        config = {key: value for key, value in config.items() if key != "dtype"} | {"torch_dtype": kinds.pop()}
    write_json(folder / "config.json", config)
    return folder / "config.json"


def describe(config: Config, models: Sequence[Model]) -> str:
    """The formula with the models' names."""
    names = [model.folder.resolve().name for model in models]
    if config.alpha is not None:
        return f"{1 - config.alpha:.6g} × {names[0]} + {config.alpha:.6g} × {names[1]}"
    changes = " + ".join(f"({name} − {names[1]})" for name in names[2:])
    return f"{names[0]} + {config.scale:.6g} × {changes if len(names) == 3 else f'({changes})'}"
