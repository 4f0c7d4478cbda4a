"""What a training writes beside its checkpoints' weights: where they come from (`nemo_kcpt.checkpoints.origin`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from nemo_kcpt.checkpoints.checkpoint import WEIGHTS
from nemo_kcpt.checkpoints.origin import Origin, Training, read_origin, write_origin
from nemo_kcpt.hf.chat_template import DATE
from nemo_kcpt.packing.stage import TEMPLATE
from nemo_kcpt.training.lora import lora_of
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
    path = Path(str(source)) if source else Path()
    earlier = read_origin(path.parent if path.name == WEIGHTS else path) if source else Origin()
    before = earlier.trainings[:-1] if resumed else earlier.trainings  # the last of a resumed one is this training
    recipes = [callback.recipe for callback in trainer.callbacks if isinstance(callback, MetricsFile)]
    template = info.folder / TEMPLATE
    own = Training(
        recipe=next(iter(recipes), ""),
        steps=trainer.global_step,
        pack=info.fingerprint,
        mode=info.mode,
        seq_length=info.seq_length,
        tokens=trainer.global_step * data.global_batch_size * data.seq_length,
        tokenizer_json=info.made_of.get("input tokenizer.json"),
        system=info.made_of.get("system") or "",
        chat_template=template.read_text(encoding="utf-8") if template.is_file() else None,
        lora=peft.described() if (peft := lora_of(trainer)) else None,
        template_date=info.made_of.get("template_date", DATE),
    )
    write_origin(checkpoint, replace(earlier, trainings=[*before, own]))
