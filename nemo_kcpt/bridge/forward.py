"""A training step's forward pass and loss in Megatron-Bridge's training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from megatron.bridge.training.losses import masked_next_token_loss
from megatron.bridge.training.state import GlobalState
from megatron.core import parallel_state
from megatron.core.utils import get_batch_on_this_cp_rank

from nemo_kcpt.models.distillation_loss import PARTS, sums_of_parts
from nemo_kcpt.models.forward import llama_forward_step

LOSS = "lm loss"
"""The Bridge's name."""


def _batch(data_iterator: Iterator[dict[str, torch.Tensor]] | None) -> dict[str, torch.Tensor]:
    """The next micro-batch on this rank's device, and of it the part of each window that this rank computes."""
    assert data_iterator is not None, "each pipeline stage reads the windows: all need where documents end"
    batch = dict(next(data_iterator))
    if torch.cuda.is_available():
        batch = {name: tensor.cuda(non_blocking=True) for name, tensor in batch.items()}
    if parallel_state.get_context_parallel_world_size() > 1 and "cu_seqlens" not in batch:
        batch = get_batch_on_this_cp_rank(batch)
    return batch


def forward_step(
    state: GlobalState, data_iterator: Iterator[dict[str, torch.Tensor]], model: torch.nn.Module
) -> tuple[torch.Tensor, Callable[..., Any]]:
    """The model on the next micro-batch, and the function that makes the loss of its output.

    Windows whose attention stops between documents, several of them in a micro-batch, and distillations go the way
    that they go in NeMo's training: :func:`nemo_kcpt.models.forward.llama_forward_step`.
    """
    batch: dict[str, Any] = _batch(data_iterator)
    output = llama_forward_step(model, batch)
    return output, partial(_loss, batch, state.cfg.rerun_state_machine.check_for_nan_in_loss)


def _loss(batch: dict[str, Any], check_for_nan: bool, output: torch.Tensor) -> tuple[Any, ...]:
    loss, tokens, reported = masked_next_token_loss(batch["loss_mask"], output, check_for_nan)
    if PARTS in batch:
        ce, bearing, kl, taught = sums_of_parts(batch[PARTS], batch["loss_mask"])
        reported["ce"], reported["kl"] = torch.stack([ce, bearing]), torch.stack([kl, taught])
    return loss, tokens, reported
