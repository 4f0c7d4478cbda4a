"""NeMo's Megatron strategy, which here also trains on a CPU."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from nemo import lightning as nl

from nemo_kcpt.training import cpu_backend


class KcptMegatronStrategy(nl.MegatronStrategy):
    """``nl.MegatronStrategy``; where there is no CUDA it switches the CPU backend on before it takes the model.

    There is no ``__init__`` here on purpose: with ``*args, **kwargs`` NeMo's serializer would lose the arguments and
    leave ``context/model.yaml`` out of the checkpoint.
    """

    def connect(self, model: pl.LightningModule) -> None:
        """Takes the model; runs in every process, children of torchrun too.

        The timers go on a CPU because NeMo's ``ProgressPrinter`` asks for them on rank 0 only and Megatron answers with
        an all-gather over all ranks (``megatron/core/timers.py``): gloo then hangs at the next broadcast.
        """
        if cpu_backend.activate():
            self.timers = None
        super().connect(model)


def cpu_strategy_options() -> dict[str, Any]:
    """Keyword arguments that :class:`KcptMegatronStrategy` needs on a CPU; an empty dict where CUDA is there.

    The distributed optimizer's default checkpoint format asserts on AdamW's ``step``, so the fully reshardable one is
    taken, gathered over gloo. Asynchronous saving would start a process that costs more than the save itself.
    """
    if torch.cuda.is_available():
        return {}
    return {
        "pipeline_dtype": torch.float32,
        "ckpt_async_save": False,
        "ckpt_load_directly_on_device": False,
        "ckpt_parallel_load": False,
        "ckpt_optim_fully_reshardable": True,
        "distrib_optim_fully_reshardable_mem_efficient": True,
    }
