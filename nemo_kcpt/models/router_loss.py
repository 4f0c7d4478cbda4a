"""How evenly a mixture of experts uses its experts, from what Megatron's routers have kept of a step.

NeMo has the code to log it and does not call it (nemo/lightning/pytorch/strategies/megatron_strategy.py:858): ranks
without an entry would leave the others waiting. In the families here every layer has experts, and so has every rank.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from megatron.core.transformer.moe.moe_utils import (
    clear_aux_losses_tracker,
    get_moe_layer_wise_logging_tracker,
    reduce_aux_losses_tracker_across_ranks,
)
from megatron.core.transformer.moe.router import TopKRouter

BALANCE = "load_balancing_loss"
"""Megatron's name."""


def weigh_alike_on_all_ranks(model: torch.nn.Module) -> None:
    """Has the routers' loss count the same however many ranks share a sequence.

    With `calculate_per_token_loss` Megatron-Core 0.15.3 multiplies a rank's part of that loss by the rank's own tokens
    (megatron/core/transformer/moe/router.py, `attach_and_log_load_balancing_loss`), and the sum of gradients is divided
    by all tokens: where tensor- or context-parallel ranks share them, the loss counts 1 / ranks of its coefficient.
    """
    for module in model.modules():
        if isinstance(module, TopKRouter):
            module.get_aux_loss_coeff = _Scaled(module.get_aux_loss_coeff, module.tp_cp_group.size())


class _Scaled:
    """A router's coefficients times `factor`."""

    def __init__(self, coefficient: Callable[[str], float], factor: int) -> None:
        self.coefficient, self.factor = coefficient, factor

    def __call__(self, name: str) -> float:
        return self.coefficient(name) * self.factor


@torch.no_grad()
def router_loss(layers: int, micro_batches: int) -> dict[str, float]:
    """`router_loss` of the training step that has just ended; empty where no such loss is trained.

    experts · Σ (share of the choices · mean probability) over a layer's experts (Fedus et al. 2021, Switch
    Transformers, equation 4, without its coefficient), the mean over layers, micro-batches and data-parallel ranks: 1
    where all experts get the same, experts / chosen where all tokens go to the same ones. Every rank calls it.

    Args:
        layers: of the model.
        micro_batches: of the step, on a rank.
    """
    tracker = get_moe_layer_wise_logging_tracker()
    if BALANCE not in tracker:
        return {}
    reduce_aux_losses_tracker_across_ranks([BALANCE])
    found = float(tracker[BALANCE]["values"].sum()) / (layers * micro_batches)
    clear_aux_losses_tracker()
    return {"router_loss": found}
