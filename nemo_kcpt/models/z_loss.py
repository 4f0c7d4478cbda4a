"""Cross entropy over a vocabulary split by tensor parallelism, with the z-loss that Megatron-Core lacks."""

from __future__ import annotations

from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.tensor_parallel.cross_entropy import VocabParallelCrossEntropy
from megatron.core.tensor_parallel.utils import VocabUtility
from torch.distributed import ReduceOp, all_reduce


class _CrossEntropyWithZLoss(torch.autograd.Function):
    """Megatron's own steps (megatron/core/tensor_parallel/cross_entropy.py), with log Z kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, target: torch.Tensor, coefficient: float) -> torch.Tensor:
        group = parallel_state.get_tensor_model_parallel_group()
        logits, highest = VocabParallelCrossEntropy.calculate_logits_max(logits)
        all_reduce(highest, op=ReduceOp.MAX, group=group)
        first, end = VocabUtility.vocab_range_from_per_partition_vocab_size(
            logits.size(-1),
            parallel_state.get_tensor_model_parallel_rank(),
            parallel_state.get_tensor_model_parallel_world_size(),
        )
        elsewhere, masked_target, predicted, total, exponentials = VocabParallelCrossEntropy.calculate_predicted_logits(
            logits, target, highest, first, end
        )
        for summed in (predicted, total):
            all_reduce(summed, group=group)
        softmax, loss = VocabParallelCrossEntropy.calculate_cross_entropy_loss(exponentials, predicted, total)
        log_z = total.log() + highest
        ctx.coefficient = coefficient
        ctx.save_for_backward(softmax, elsewhere, masked_target, log_z)
        return loss + coefficient * log_z**2

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        softmax, elsewhere, masked_target, log_z = ctx.saved_tensors
        grad = softmax.mul_((1 + 2 * ctx.coefficient * log_z).unsqueeze(-1))
        rows = grad.view(-1, grad.size(-1))
        rows[torch.arange(len(rows), device=rows.device), masked_target] -= 1.0 - elsewhere.view(-1).float()
        return grad.mul_(grad_output.unsqueeze(-1)), None, None


def cross_entropy_with_z_loss(logits: torch.Tensor, labels: torch.Tensor, coefficient: float) -> torch.Tensor:
    """-log p(label) + coefficient · (log Z)², Z being the sum of the exponentials of all logits.

    Keeps logits from drifting (Chowdhery et al. 2022, PaLM, §5, with 1e-4). Memory is that of Megatron's unfused cross
    entropy: the logits' buffer becomes the softmax.

    Args:
        logits: (sequence, micro-batch, vocabulary / tensor-parallel size), overwritten if float32.
        labels: (micro-batch, sequence).
        coefficient: of the z-loss.

    Returns:
        The loss of each token, (micro-batch, sequence).
    """
    target = labels.transpose(0, 1).contiguous()
    loss: torch.Tensor = _CrossEntropyWithZLoss.apply(logits, target, coefficient)
    return loss.transpose(0, 1).contiguous()
