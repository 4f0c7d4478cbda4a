"""How evenly a mixture of experts uses its experts, and what it drops, from what Megatron's routers do in a step.

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


class Dropped:
    """Share of the choices of an expert that a step's routers dropped, as experts have room for so many tokens only.

    Megatron-Core 0.15.3 drops the choices of least weight where `moe_expert_capacity_factor` is set (megatron/core/
    transformer/moe/moe_utils.py, `apply_router_token_dropping`), and counts none of them. Without it, as in all
    recipes, no token is dropped.
    """

    def __init__(self, model: torch.nn.Module, chosen: int) -> None:
        self.chosen = chosen
        self.counts = torch.zeros(2, dtype=torch.int64)  # choices, and those that were kept
        for module in model.modules():
            if isinstance(module, TopKRouter):
                module.register_forward_hook(self)

    @torch.no_grad()
    def __call__(self, router: torch.nn.Module, given: tuple[torch.Tensor], made: tuple[torch.Tensor, ...]) -> None:
        """Counts a training's forward pass of a router, which gives weights (tokens, experts), 0 for what it drops."""
        if router.training:
            weights = made[0]
            kept = weights.count_nonzero()
            self.counts = self.counts.to(kept.device) + torch.stack([kept.new_tensor(len(weights) * self.chosen), kept])

    def share(self) -> float:
        """The share on all ranks since it was last asked for; every rank calls it."""
        if torch.distributed.get_world_size() > 1:
            torch.distributed.all_reduce(self.counts)
        choices, kept = self.counts.tolist()
        self.counts.zero_()
        return (choices - kept) / max(1, choices)


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
    loss = float(tracker[BALANCE]["values"].sum()) / (layers * micro_batches)
    clear_aux_losses_tracker()
    return {"router_loss": loss}
