"""Saving and resuming in Megatron-Bridge's training loop: what is looked at before, and what is written beside."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from megatron.bridge.training.callbacks import Callback, CallbackContext

from nemo_kcpt.bridge.data import PackProvider
from nemo_kcpt.checkpoints.adapters import Lora, check_rank, check_resumed_adapters, read_lora, write_lora
from nemo_kcpt.checkpoints.finished import check_complete, finished_checkpoints
from nemo_kcpt.checkpoints.layout import STREAM
from nemo_kcpt.checkpoints.origin import write_origin
from nemo_kcpt.checkpoints.weights_identity import of_checkpoint
from nemo_kcpt.data.history import history
from nemo_kcpt.data.stream import check_stream
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import canonical_json, read_json, write_json
from nemo_kcpt.planning.schedule import Schedule, check_schedule
from nemo_kcpt.records.packs import read_info


def newest(folder: Path) -> Path | None:
    """The newest checkpoint in `folder` whose saving was not interrupted; it is whole, and its pickles are harmless.

    Raises:
        BadInput: it is damaged.
    """
    finished = finished_checkpoints(folder)
    if not finished:
        return None
    check_complete(finished[-1])
    return finished[-1]


class History(Callback):
    """Writes into each checkpoint where its weights come from and which samples they have seen.

    It does so before the Bridge deletes the checkpoint before.

    Args:
        recipe: name of the running one.
    """

    def __init__(self, recipe: str) -> None:
        self.recipe = recipe

    def on_checkpoint_save(self, context: CallbackContext) -> None:
        """Called when all else is written."""
        if torch.distributed.get_rank() == 0:
            config, state = context.state.cfg, context.state.train_state
            checkpoint = Path(config.checkpoint.save) / f"iter_{state.step:07d}"
            _write_origin(config, checkpoint, state.step, self.recipe)
            if config.peft is not None:
                write_lora(checkpoint, _adapters(config))
            _write_stream(config, checkpoint, state.consumed_train_samples)


def _write_stream(config: Any, checkpoint: Path, consumed: int) -> None:
    data: PackProvider = config.dataset
    info = read_info(Path(data.pack))
    stream = {"consumed_samples": consumed, "pack_fingerprint": info.fingerprint, "made_of": data.made_of()}
    write_json(checkpoint / STREAM, stream | {"schedule": asdict(_schedule(config))})


NAMES = {
    "steps": "train.train_iters",
    "warmup_steps": "scheduler.lr_warmup_iters",
    "learning_rate": "optimizer.lr",
    "least_learning_rate": "optimizer.min_lr",
}
"""Overrides of a schedule's fields."""


def _schedule(config: Any) -> Schedule:
    scheduler, optimizer = config.scheduler, config.optimizer
    steps = config.train.train_iters if scheduler.lr_decay_iters is None else scheduler.lr_decay_iters
    return Schedule(
        steps=steps,
        warmup_steps=scheduler.lr_warmup_iters,
        learning_rate=optimizer.lr,
        least_learning_rate=optimizer.min_lr,
    )


def check_resumed_schedule(config: Any) -> None:
    """Hold the schedule of the checkpoint that a training resumes against its own, unless the user says which counts.

    Raises:
        BadInput: they differ.
    """
    resumed, scheduler = config.checkpoint.load, config.scheduler
    if resumed is None or scheduler.override_opt_param_scheduler or scheduler.use_checkpoint_opt_param_scheduler:
        return
    theirs = Schedule(**read_json(Path(resumed) / STREAM)["schedule"])
    way_out = "; scheduler.override_opt_param_scheduler=true takes the new one from here on"
    check_schedule(resumed, theirs, _schedule(config), NAMES, way_out)


def check_resumed_stream(data: PackProvider, checkpoint: Path) -> None:
    """Hold the data of a training against those that a checkpoint of it has seen.

    Raises:
        BadInput: they differ.
    """
    made_of = json.loads(canonical_json(data.made_of()))
    check_stream(str(checkpoint), read_json(checkpoint / STREAM), read_info(Path(data.pack)), made_of)


def _write_origin(config: Any, checkpoint: Path, step: int, recipe: str) -> None:
    resumed, restored = config.checkpoint.load, config.checkpoint.pretrained_checkpoint
    source = resumed or restored
    origin = history(
        read_info(Path(config.dataset.pack)),
        source=Path(source) if source else None,
        resumed=bool(resumed),
        recipe=recipe,
        steps=step,
        global_batch_size=config.train.global_batch_size,
        lora=None if config.peft is None else _adapters(config).described(),
    )
    write_origin(checkpoint, origin)


def _adapters(config: Any) -> Lora:
    """Those of a training of adapters, for the weights that it started from."""
    base = Path(config.checkpoint.pretrained_checkpoint)
    return Lora(
        rank=config.peft.dim,
        alpha=config.peft.alpha,
        dropout=config.peft.dropout,
        targets=list(config.peft.target_modules),
        embeddings=False,
        base=str(base),
        base_weights=_identity(base),
    )


@cache
def _identity(base: Path) -> str:
    return of_checkpoint(base)


def check_adapters(config: Any, embeddings: bool) -> None:
    """What would fail late, or train what nobody asked for.

    Raises:
        BadInput: adapters of random weights or of experts, with whole embeddings, or of a rank that tensor parallelism
            does not divide; a resumed training whose adapters were others, or that had none.
    """
    resumed = None if config.checkpoint.load is None else Path(config.checkpoint.load)
    there = read_lora(resumed) if resumed else None
    if config.peft is None:
        if there is not None:
            raise BadInput(f"{resumed}: was trained with {there.described()}; give lora= as before, or another dir=")
        return
    if config.checkpoint.pretrained_checkpoint is None:
        raise BadInput("lora: adapters go with trained weights; give restore=CHECKPOINT (kcpt convert import)")
    if embeddings or config.model.num_moe_experts is not None:
        what = "lora_embeddings" if embeddings else "lora: a mixture of experts"
        raise BadInput(f"{what}: is not there with backend=bridge; leave it out, or train with backend=nemo")
    check_rank(config.peft.dim, config.model.tensor_model_parallel_size)
    if resumed is not None:
        check_resumed_adapters(resumed, there, _adapters(config))
