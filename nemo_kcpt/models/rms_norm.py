"""RMSNorm for local layers, under sequence parallelism and with Gemma's weights around zero."""

from __future__ import annotations

import torch
from megatron.core.transformer.transformer_config import TransformerConfig
from torch import Tensor
from torch.nn.functional import rms_norm


class SequenceParallelRMSNorm(torch.nn.RMSNorm):
    """``torch.nn.RMSNorm`` that also works under sequence parallelism, which Megatron's ``WrappedTorchNorm`` refuses.

    Under sequence parallelism each rank normalises its part of the sequence, so the weight's gradient must be summed
    over the tensor-parallel group; Megatron does that for parameters marked ``sequence_parallel``.

    Args:
        config: The model's configuration.
        hidden_size: Size of the last dimension.
        eps: Added to the mean square.
    """

    def __init__(self, config: TransformerConfig, hidden_size: int, eps: float = 1e-5) -> None:
        super().__init__(hidden_size, eps=eps, dtype=config.params_dtype)
        self.weight.sequence_parallel = config.sequence_parallel
        self.zero_centred = config.layernorm_zero_centered_gamma
        if self.zero_centred:
            torch.nn.init.zeros_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """(…, hidden size), each divided by its root mean square and scaled: by weight, or 1 + weight if centred."""
        weight = self.weight + 1 if self.zero_centred else self.weight
        return rms_norm(input, self.normalized_shape, weight, self.eps)
