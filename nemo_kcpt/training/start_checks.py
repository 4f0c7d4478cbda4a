"""What is looked at before the first step, so that a run ends with a reason then and not hours later."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from nemo import lightning as nl

from nemo_kcpt.checkpoints.checkpoint import read_shape
from nemo_kcpt.checkpoints.finished import check_complete
from nemo_kcpt.checkpoints.layout import NEMO, WEIGHTS, check_layout
from nemo_kcpt.checkpoints.origin import read_origin
from nemo_kcpt.checkpoints.weights_identity import of_checkpoint
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.model_shape import ModelShape, shape_from_megatron
from nemo_kcpt.models.llama import KcptLlamaConfig
from nemo_kcpt.planning.layout import Layout, refusals
from nemo_kcpt.planning.memory import trained_parameters
from nemo_kcpt.training.lora import check_lora, lora_of

SPARE_BYTES = 1 << 30
"""Left free beside the checkpoints, for logs."""


def check_start(trainer: pl.Trainer, strategy: nl.MegatronStrategy) -> None:
    """All checks of a training of a :class:`KcptLlamaModel`; other models pass.

    Raises:
        BadInput: the layout does not divide the model or the batch; random weights that nobody asked for; weights of
            another architecture, or a checkpoint that is half there; a distillation by another model than the one that
            the training starts from; no room on the disk for the checkpoints.
    """
    config = getattr(trainer.lightning_module, "config", None)
    if not isinstance(config, KcptLlamaConfig):
        return
    shape = shape_from_megatron(vars(config))
    _check_layout(shape, config.seq_length, strategy, trainer)
    _check_weights(shape, config.from_scratch, strategy, trainer)
    _check_teacher(strategy, trainer)
    check_lora(trainer, strategy)
    if trainer.is_global_zero:
        _check_disk(shape, strategy, trainer)


def _check_layout(shape: ModelShape, seq_length: int, strategy: nl.MegatronStrategy, trainer: pl.Trainer) -> None:
    data: Any = getattr(trainer, "datamodule", None)
    micro_batch, global_batch = getattr(data, "micro_batch_size", 1), getattr(data, "global_batch_size", None)
    ranks, shared = strategy.world_size, _model_ranks(strategy)
    data_parallel = max(1, ranks // shared)
    layout = Layout(
        tensor_parallel=strategy.tensor_model_parallel_size,
        pipeline_parallel=strategy.pipeline_model_parallel_size,
        context_parallel=strategy.context_parallel_size,
        data_parallel=data_parallel,
        micro_batch_size=micro_batch,
        recompute="none",
        expert_parallel=strategy.expert_model_parallel_size or 1,
    )
    reasons = refusals(shape, seq_length, layout, global_batch or micro_batch * data_parallel, ranks)
    if reasons:
        raise BadInput(f"this layout cannot train this model: {'; '.join(reasons)}")


def _model_ranks(strategy: nl.MegatronStrategy) -> int:
    return strategy.tensor_model_parallel_size * strategy.pipeline_model_parallel_size * strategy.context_parallel_size


def _check_weights(shape: ModelShape, from_scratch: bool, strategy: nl.MegatronStrategy, trainer: pl.Trainer) -> None:
    resumed = trainer.ckpt_path
    source = resumed or (strategy.restore_config.path if strategy.restore_config else None)
    if source is None:
        if not from_scratch:
            raise BadInput(
                "the training would start from random weights: there is no checkpoint to resume and restore= was not "
                "given. Give restore='CHECKPOINT' (from `kcpt convert import HF_DIR --to CHECKPOINT`), or, for a model "
                "from scratch, model.config.from_scratch=True"
            )
        return
    path = Path(str(source))
    checkpoint = path.parent if path.name == WEIGHTS else path
    check_layout(checkpoint, NEMO)
    check_complete(checkpoint)
    differing = shape.differences(read_shape(checkpoint))
    if differing:
        raise BadInput(
            f"{checkpoint}: its weights are of another architecture: the model has {', '.join(differing)} there; "
            "take the recipe of that model (kcpt recipes), or kcpt_model with its Hugging Face folder"
        )


def _check_teacher(strategy: nl.MegatronStrategy, trainer: pl.Trainer) -> None:
    """The teacher is the model that the training starts from, or the one that it once came from.

    A resumed training has compared it when it started; its checkpoint names the distillation.
    """
    taught = getattr(getattr(trainer, "datamodule", None), "taught", None)
    if taught is None or trainer.ckpt_path:
        return
    if strategy.restore_config is None:
        raise BadInput(
            f"{taught.folder}: its teacher is a model, the training starts from random weights; give "
            "restore='CHECKPOINT' with that model's weights (kcpt convert import)"
        )
    path = Path(str(strategy.restore_config.path))
    checkpoint = path.parent if path.name == WEIGHTS else path
    base = read_origin(checkpoint).base
    if taught.weights not in (of_checkpoint(checkpoint), base.weights if base else None):
        raise BadInput(
            f"{taught.folder}: its teacher has other weights than {checkpoint}, and is not the model that these came "
            "from; give kcpt distill the Hugging Face folder that kcpt convert import took, or that kcpt convert "
            "export made of this checkpoint"
        )


def checkpoint_bytes(parameters: int, *, mixed_precision: bool) -> int:
    """Size of a checkpoint with its optimizer: weights, float32 main weights if those are bf16, and Adam's moments."""
    return parameters * (2 + 4 + 8 if mixed_precision else 4 + 8)


def _check_disk(shape: ModelShape, strategy: nl.MegatronStrategy, trainer: pl.Trainer) -> None:
    folder = getattr(trainer.checkpoint_callback, "dirpath", None)
    if folder is None:
        return
    existing = Path(folder)
    while not existing.exists():
        existing = existing.parent
    parameters = shape.parameters()
    mixed = strategy.precision_plugin.precision != "32-true"
    # The newest checkpoint is deleted only after the next one is complete; one may also be kept as the best.
    if (peft := lora_of(trainer)) is not None:
        parameters = trained_parameters(shape, peft.plan)
    copies = 2 + max(0, getattr(trainer.checkpoint_callback, "save_top_k", 0))
    there = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    needed = copies * checkpoint_bytes(parameters, mixed_precision=mixed) + SPARE_BYTES
    free = shutil.disk_usage(existing).free + there
    if free < needed:
        raise BadInput(
            f"{folder}: {copies} checkpoints at a time need {needed / 1e9:,.1f} GB, {free / 1e9:,.1f} GB are free; "
            "make room, or give dir= on another file system"
        )
