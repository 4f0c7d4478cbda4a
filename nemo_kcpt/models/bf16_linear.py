"""Linear layers whose operands are rounded to bfloat16: for CPUs with AVX512-BF16 and no AMX.

`torch.set_float32_matmul_precision("medium")` asks oneDNN to do so by itself, which it does with AMX only. PyTorch has
no product on the CPU that takes bfloat16 and gives float32, so that a product's result, summed in float32, is rounded
to bfloat16 as well before it becomes float32 again, as under `torch.autocast`. Weights, gradients and optimizer stay
float32.
"""

from __future__ import annotations

from typing import Any

import torch
from megatron.core.tensor_parallel.layers import ColumnParallelLinear, RowParallelLinear
from megatron.core.tensor_parallel.mappings import (
    copy_to_tensor_model_parallel_region,
    gather_from_sequence_parallel_region,
)
from torch import Tensor

HALF = torch.bfloat16
ROWS, LARGE = 256, 2**24
"""A result of more than LARGE numbers becomes float32 in parts of ROWS rows, while they are in the cache: for logits of
1,024 x 49,152 that is as fast as the product alone, where one conversion of the whole takes half as long again."""


class RoundedWeights:
    """bfloat16 copies of weights, made once and kept until the weight changes or :meth:`clear` is called.

    Changes in place are noticed by the tensor's version, but neither torch's fused AdamW nor the distributed optimizer,
    which writes to a buffer under it, changes that: hence :meth:`clear` at each step.
    """

    def __init__(self) -> None:
        self._copies: dict[int, tuple[Tensor, int, Tensor]] = {}

    def of(self, weight: Tensor) -> Tensor:
        """The copy of `weight`."""
        known = self._copies.get(id(weight))
        if known is None or known[0] is not weight or known[1] != weight._version:
            known = (weight, weight._version, weight.detach().to(HALF))
            self._copies[id(weight)] = known
        return known[2]

    def clear(self) -> None:
        """Forgets all copies."""
        self._copies.clear()


def product(left: Tensor, right: Tensor) -> Tensor:
    """The product of two bfloat16 matrices, (m, k) and (k, n), as float32."""
    if left.size(0) * right.size(1) <= LARGE:
        return torch.mm(left, right).float()
    result = torch.empty(left.size(0), right.size(1), device=left.device)
    for rows, part in zip(result.split(ROWS), left.split(ROWS), strict=True):
        rows.copy_(torch.mm(part, right))
    return result


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, rounded: Tensor) -> Tensor:
        x = x.to(HALF)
        ctx.save_for_backward(x, rounded)
        return product(x, rounded.t())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, rounded = ctx.saved_tensors
        grad = grad.to(HALF)
        for_x = product(grad, rounded) if ctx.needs_input_grad[0] else None
        for_weight = torch.mm(grad.t(), x).float() if ctx.needs_input_grad[1] else None
        return for_x, for_weight, None


def linear(x: Tensor, weight: Tensor, rounded: Tensor) -> Tensor:
    """`x @ weight.T`, forward and backward with operands rounded to bfloat16.

    Args:
        x: (…, in), float32.
        weight: (out, in), float32; it gets the gradient.
        rounded: `weight` in bfloat16.

    Returns:
        (…, out), float32.
    """
    # Views are made outside: Megatron's cross entropy overwrites the logits, which a view from within would forbid.
    result: Tensor = _Linear.apply(x.reshape(-1, x.size(-1)), weight, rounded)
    return result.view(*x.shape[:-1], weight.size(0))  # not -1: an expert may get no token


def use_in(model: torch.nn.Module) -> RoundedWeights:
    """Has every linear layer of Megatron's in `model` compute so, the output layer included.

    Returns:
        The copies of the weights, to be cleared after each change of weights.
    """
    weights = RoundedWeights()

    def forward(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        gradient_accumulation_fusion: bool,
        allreduce_dgrad: bool,
        sequence_parallel: bool,
        grad_output_buffer: list[Tensor] | None = None,
        wgrad_deferral_limit: int | None = None,
        tp_group: Any = None,
        gtp_remat_size: int = 1,
    ) -> Tensor:
        """Stands in for Megatron's `linear_with_grad_accumulation_and_async_allreduce`."""
        del wgrad_deferral_limit
        if gradient_accumulation_fusion or grad_output_buffer is not None or gtp_remat_size != 1:
            raise ValueError(
                "bfloat16 products do not go with gradient_accumulation_fusion, defer_embedding_wgrad_compute or "
                "gtp_remat_size, which are CUDA's; leave them off"
            )
        if sequence_parallel:
            input = gather_from_sequence_parallel_region(input, tensor_parallel_output_grad=True, group=tp_group)
        elif allreduce_dgrad:
            input = copy_to_tensor_model_parallel_region(input, group=tp_group)
        result = linear(input, weight, weights.of(weight))
        return result if bias is None else result + bias

    for module in model.modules():
        if isinstance(module, ColumnParallelLinear | RowParallelLinear):
            module._forward_impl = forward
    return weights
