"""NeMo's Megatron strategy, which here also trains on a CPU and looks before it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.trainer.states import TrainerFn
from nemo import lightning as nl
from nemo.lightning.ckpt_utils import ckpt_to_dir

from nemo_kcpt import cpu_backend, threads
from nemo_kcpt.errors import BadInput
from nemo_kcpt.planning.schedule import Schedule, check_schedule
from nemo_kcpt.training.lora import resumed_from, write_training_lora
from nemo_kcpt.training.origin import write_training_origin
from nemo_kcpt.training.start_checks import check_start


class KcptMegatronStrategy(nl.MegatronStrategy):
    """``nl.MegatronStrategy``; where there is no CUDA it trains in float32 on the CPU backend.

    What depends on the machine is settled when training starts and not in a recipe, which may have been written on a
    login node without a GPU.

    There is no ``__init__`` here on purpose: with ``*args, **kwargs`` NeMo's serializer would lose the arguments and
    leave ``context/model.yaml`` out of the checkpoint.
    """

    def _configure_launcher(self) -> None:
        """Called when the trainer is built, before any other process is started.

        Raises:
            BadInput: more processes than cores, on a machine without a GPU.
        """
        if isinstance(self.accelerator, CPUAccelerator) and self.num_processes > (os.cpu_count() or 1):
            raise BadInput(
                f"trainer.devices: {self.num_processes} were asked for, but this machine has no GPU that PyTorch can "
                f"use and only {os.cpu_count()} cores; give gpus=N (processes=N) of the recipe, or check the driver "
                "with nvidia-smi and `kcpt doctor`"
            )
        super()._configure_launcher()

    def connect(self, model: pl.LightningModule) -> None:
        """Takes the model; runs in every process, children of torchrun too."""
        if cpu_backend.activate():
            threads.settle()
            self._settle_for_cpu(model)
        super().connect(model)

    def _settle_for_cpu(self, model: pl.LightningModule) -> None:
        # NeMo's ProgressPrinter asks for the timers on rank 0 only and Megatron answers with an all-gather over all
        # ranks (megatron/core/timers.py): gloo then hangs at the next broadcast.
        self.timers = None
        self.pipeline_dtype = torch.float32
        if hasattr(self._precision_plugin, "dtype_config"):
            self.precision_plugin = nl.MegatronMixedPrecision(precision="32")
        # It would start a process that costs more than the save itself.
        self.async_save = False
        self.load_directly_on_device = self.parallel_load = False
        # The distributed optimizer's default format asserts on AdamW's `step`; this one is gathered over gloo.
        self.ckpt_optim_fully_reshardable = self.distrib_optim_fully_reshardable_mem_efficient = True
        optimizer = getattr(getattr(model, "optim", None), "config", None)
        for config in (self.ddp_config, optimizer):
            for overlap in ("overlap_grad_reduce", "overlap_param_gather"):
                if hasattr(config, overlap):
                    setattr(config, overlap, False)

    def setup(self, trainer: pl.Trainer) -> None:
        """Checks what would fail later, or not at all, then sets training up.

        Raises:
            BadInput: see :func:`nemo_kcpt.training.start_checks.check_start`.
        """
        if trainer.state.fn == TrainerFn.FITTING:
            check_start(trainer, self)
        super().setup(trainer)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any], selective_restore: bool = False) -> None:
        """Loads the optimizer of a checkpoint, which must have been trained on this schedule of the learning rate.

        Both ways to resume come by here, that of weights and that of adapters.

        Raises:
            BadInput: it was not.
        """
        if not selective_restore:
            for saved, config in zip(checkpoint.get("lr_schedulers", ()), self.trainer.lr_scheduler_configs):
                theirs, mine = _schedule(saved), _schedule(config.scheduler.state_dict())
                if theirs and mine:
                    check_schedule(resumed_from(self.trainer), theirs, mine, NAMES)
        super().load_optimizer_state_dict(checkpoint, selective_restore)

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any | None = None
    ) -> None:
        """Saves a checkpoint, and into it where its weights come from."""
        super().save_checkpoint(checkpoint, filepath, storage_options)
        if self.trainer.is_global_zero:
            write_training_origin(self.trainer, ckpt_to_dir(filepath))
            write_training_lora(self.trainer, ckpt_to_dir(filepath))


NAMES = {
    "steps": "trainer.max_steps",
    "warmup_steps": "optim.lr_scheduler.warmup_steps",
    "learning_rate": "optim.config.lr",
    "least_learning_rate": "optim.lr_scheduler.min_lr",
}


def _schedule(state: Mapping[str, Any]) -> Schedule | None:
    """That of NeMo's cosine; None of another scheduler."""
    if not {"max_steps", "warmup_steps", "base_lrs", "min_lr"} <= state.keys():
        return None
    return Schedule(
        steps=state["max_steps"],
        warmup_steps=state["warmup_steps"],
        learning_rate=max(state["base_lrs"]),
        least_learning_rate=state["min_lr"],
    )
