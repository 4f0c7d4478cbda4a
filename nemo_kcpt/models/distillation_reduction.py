"""The distillation's loss over a step, in NeMo's training."""

from __future__ import annotations

from typing import Any

import torch
from megatron.core import parallel_state
from nemo.lightning import _strategy_lib
from nemo.lightning.megatron_parallel import MaskedTokenLossReduction
from torch import Tensor
from torch.distributed import all_reduce

from nemo_kcpt.models.distillation_loss import PARTS, sums_of_parts


class DistillationReduction(MaskedTokenLossReduction):
    """NeMo's reduction, which also keeps the sums of cross entropy and KL over a step, apart."""

    def __init__(self) -> None:
        super().__init__()
        self._sums: Tensor | None = None

    def forward(self, batch: dict[str, Any], forward_out: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The micro-batch's loss, and the sums of its parts under `loss_parts`."""
        loss, tokens, reduced = super().forward(batch, forward_out)
        reduced[PARTS] = sums_of_parts(batch[PARTS], batch["loss_mask"])
        return loss, tokens, reduced

    def reduce(self, losses_reduced_per_micro_batch: list[dict[str, Tensor]]) -> Tensor:
        """The step's loss; called on the last pipeline stage."""
        sums = torch.stack([losses[PARTS] for losses in losses_reduced_per_micro_batch]).sum(0)
        all_reduce(sums, group=parallel_state.get_data_parallel_group(with_context_parallel=True))
        self._sums = sums
        loss: Tensor = super().reduce(losses_reduced_per_micro_batch)
        return loss

    def parts(self) -> dict[str, float]:
        """Cross entropy and KL of the last step, per token that bears loss and per token with a teacher, in nats.

        Every rank calls it; the figures are right on global rank 0.
        """
        sums = self._sums if self._sums is not None else torch.zeros(4, device=torch.cuda.current_device())
        _strategy_lib._sync_from_last_pipeline_stage(sums)
        ce, tokens, kl, taught = sums.tolist()
        return {"ce": ce / max(1.0, tokens), "kl": kl / max(1.0, taught)}
