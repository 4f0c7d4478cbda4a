"""Whether a CPU multiplies numbers rounded to bfloat16 faster, and what has a model do so."""

from __future__ import annotations

import torch

from nemo_kcpt.models import bf16_linear
from nemo_kcpt.models.sdpa_attention import SdpaAttention


def rounds_faster() -> bool:
    """True where bfloat16 products are faster than float32 ones and oneDNN does not take them for "medium" itself."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16")) and not capabilities.get("amx_bf16")


def use_bf16_products(model: torch.nn.Module) -> bf16_linear.RoundedWeights:
    """Has linear layers and :class:`SdpaAttention` of `model` round their operands and results to bfloat16.

    Returns:
        Copies of the weights, to be cleared after each change of weights.
    """
    for module in model.modules():
        if isinstance(module, SdpaAttention):
            module.bf16_products = True
    return bf16_linear.use_in(model)
