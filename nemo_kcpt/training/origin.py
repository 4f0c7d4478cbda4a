"""What a training writes beside its checkpoints' weights: where they come from (`nemo_kcpt.checkpoints.origin`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from nemo_kcpt.checkpoints.origin import write_origin
from nemo_kcpt.data.history import history
from nemo_kcpt.training.lora import checkpoint_of, lora_of
from nemo_kcpt.training.metrics import MetricsFile


def write_training_origin(trainer: pl.Trainer, checkpoint: Path) -> None:
    """Write `origin.json` into a checkpoint of `trainer`: that of the weights it started from, and this training.

    Nothing is written for a training on other data than our packs.
    """
    data: Any = getattr(trainer, "datamodule", None)
    info = getattr(data, "info", None)
    if info is None:
        return
    resumed = trainer.ckpt_path
    restored: Any = getattr(trainer.strategy, "restore_config", None)
    source = resumed or (restored.path if restored else None)
    recipes = [callback.recipe for callback in trainer.callbacks if isinstance(callback, MetricsFile)]
    peft = lora_of(trainer)
    origin = history(
        info,
        source=checkpoint_of(source) if source else None,
        resumed=bool(resumed),
        recipe=next(iter(recipes), ""),
        steps=trainer.global_step,
        global_batch_size=data.global_batch_size,
        lora=peft.described() if peft else None,
    )
    write_origin(checkpoint, origin)
