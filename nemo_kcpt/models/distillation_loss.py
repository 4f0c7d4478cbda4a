"""Cross entropy on the written tokens and KL to a teacher's stored distributions, over a vocabulary split by ranks.

For each token, with the student's q and the teacher's p, of which the k most likely tokens K and the mass of all others
are stored (`kcpt distill`):

    loss = ce_weight · −log q(label) + kl_weight · T² · KL + z_loss · (log Z)²
    KL = Σ_K p log(p / q) + p_rest log(p_rest / q_rest),   q_rest = 1 − Σ_K q

with p and q at temperature T in the KL, whose gradient T² keeps as large as that of the cross entropy (Hinton et al.
2015, "Distilling the Knowledge in a Neural Network", §2). All others being one bucket, the KL is at most that of the
full distributions, and its gradient is q − p on K and q · (1 − p_rest / q_rest) elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.tensor_parallel.utils import VocabUtility
from torch import Tensor
from torch.distributed import ReduceOp, all_reduce

IDS, PROBABILITIES, PARTS = "teacher_ids", "teacher_probabilities", "loss_parts"
"""In a batch: what the teacher says, and what :func:`distillation_loss` leaves for :func:`sums_of_parts`."""


class _Mixture(torch.autograd.Function):
    """At temperature 1, on rows: logits (rows, vocabulary / ranks), labels (rows), ids (rows, k), p (rows, k + 1)."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, ids: Tensor, p: Tensor, ce_weight: float, kl_weight: float, z: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        group = parallel_state.get_tensor_model_parallel_group()
        exponentials = logits.float()  # float32 logits are overwritten, as in Megatron's own cross entropy
        highest = exponentials.amax(-1)
        all_reduce(highest, op=ReduceOp.MAX, group=group)
        exponentials -= highest.unsqueeze(-1)
        index = torch.cat([labels.unsqueeze(-1), ids], -1)
        inside, local = _local(index, exponentials.size(-1))
        picked = exponentials.gather(-1, local).where(inside, 0.0)
        exponentials.exp_()
        places = _places(inside[:, 1:], local[:, 1:])
        kept = exponentials[places]
        exponentials[places] = 0.0
        summed = torch.cat([picked, exponentials.sum(-1, keepdim=True)], -1)
        exponentials[places] = kept
        all_reduce(summed, group=group)
        top, rest = summed[:, 1:-1], summed[:, -1].clamp_min(torch.finfo(torch.float32).tiny)
        total = top.exp().sum(-1) + rest
        log_total = total.log()
        log_z = log_total + highest
        ce = log_total - summed[:, 0]
        log_q = torch.cat([top, rest.log().unsqueeze(-1)], -1) - log_total.unsqueeze(-1)
        kl = (torch.special.xlogy(p, p) - p * log_q).sum(-1)
        ctx.weights = ce_weight, kl_weight, z
        ctx.save_for_backward(exponentials, total, rest, log_z, p, inside, local)
        ctx.mark_non_differentiable(ce, kl)
        return ce_weight * ce + kl_weight * kl + z * log_z**2, ce, kl

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor, None, None, None, None, None, None]:
        exponentials, total, rest, log_z, p, inside, local = ctx.saved_tensors
        ce_weight, kl_weight, z = ctx.weights
        for_all = ce_weight + 2 * z * log_z
        taught = kl_weight * (p.sum(-1) > 0)
        places = _places(inside[:, 1:], local[:, 1:])
        # Set and not corrected: where q_rest is much less than p_rest, the two terms would be large and nearly equal.
        rows, columns = places
        of_top = exponentials[places] / total[rows] * (for_all + taught)[rows]
        of_top -= taught[rows] * p[rows, _kept(inside[:, 1:])]
        result = exponentials.mul_(((for_all + taught * (1 - p[:, -1] * total / rest)) / total).unsqueeze(-1))
        result[rows, columns] = of_top
        labels = local[:, 0]
        result[torch.arange(len(labels), device=labels.device), labels] -= ce_weight * inside[:, 0]
        return result.mul_(grad.unsqueeze(-1)), None, None, None, None, None, None


def _local(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Which vocabulary entries are this rank's, and their places among its `size`; 0 for those that are not."""
    first, end = VocabUtility.vocab_range_from_per_partition_vocab_size(
        size, parallel_state.get_tensor_model_parallel_rank(), parallel_state.get_tensor_model_parallel_world_size()
    )
    inside = (index >= first) & (index < end)
    return inside, (index - first).where(inside, 0)


def _places(inside: Tensor, local: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the entries that are this rank's, each once."""
    return inside.nonzero()[:, 0], local[inside]


def _kept(inside: Tensor) -> Tensor:
    """The place of each of them among the k."""
    return inside.nonzero()[:, 1]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What the loss is made of, from the model's config."""

    ce: float
    kl: float
    temperature: float
    z_loss: float


def distillation_loss(
    logits: Tensor, labels: Tensor, ids: Tensor, probabilities: Tensor, weights: Weights
) -> tuple[Tensor, Tensor]:
    """The loss of each token, and what it is made of.

    Args:
        logits: (…, vocabulary / tensor-parallel size), overwritten if float32.
        labels: (…), the written tokens.
        ids: (…, k), the teacher's tokens, different from each other in each row.
        probabilities: (…, k + 1), those of `ids` and of all others together; zeros for a token without a teacher.
        weights: of the parts.

    Returns:
        The loss, (…), and without gradient (…, 3): cross entropy, KL, and 1 where there is a teacher.
    """
    k, shape = ids.size(-1), labels.shape
    rows, target = logits.reshape(-1, logits.size(-1)), labels.reshape(-1)
    top, p = ids.reshape(-1, k).long(), probabilities.reshape(-1, k + 1)
    if weights.temperature == 1:
        loss, ce, kl = _Mixture.apply(rows, target, top, p, weights.ce, weights.kl, weights.z_loss)
    else:
        # Made first: what follows overwrites the logits.
        scaled = weights.kl * weights.temperature**2
        for_kl, _, kl = _Mixture.apply(rows / weights.temperature, target, top, p, 0.0, scaled, 0.0)
        for_ce, ce, _ = _Mixture.apply(rows, target, top[:, :0], p[:, :1] * 0, weights.ce, 0.0, weights.z_loss)
        loss = for_ce + for_kl
    parts = torch.stack([ce, kl, (p.sum(-1) > 0).float()], -1)
    return loss.view(shape), parts.view(*shape, 3)


def sums_of_parts(parts: Tensor, loss_mask: Tensor) -> Tensor:
    """Sums of a micro-batch, (4): cross entropy, tokens that bear loss, KL, and those of them that have a teacher.

    Args:
        parts: (…, 3), from :func:`distillation_loss`.
        loss_mask: (…).
    """
    ce, kl, taught = parts.view(-1, 3).unbind(-1)
    mask = loss_mask.view(-1).float()
    return torch.stack([term.sum() for term in (ce * mask, mask, kl * mask * taught, mask * taught)])
