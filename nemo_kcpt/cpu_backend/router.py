"""The router's product of a mixture of experts, without Transformer Engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear


def gating_linear(_original: Any) -> Callable[..., Tensor]:
    """Stands in for ``router_gating_linear``, which looks up a function of Transformer Engine before it decides."""

    def cpu_gating_linear(inp: Tensor, weight: Tensor, bias: Tensor | None, router_dtype: torch.dtype) -> Tensor:
        """Logits (…, experts) in `router_dtype` of hidden states (…, hidden size)."""
        return linear(inp.to(router_dtype), weight.to(router_dtype), None if bias is None else bias.to(router_dtype))

    return cpu_gating_linear
