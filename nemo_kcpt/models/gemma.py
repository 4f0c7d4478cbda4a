"""What a Gemma 2 has beside a Llama: norms after attention and MLP, scaled embeddings, capped logits."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from megatron.core.tensor_parallel import ColumnParallelLinear, RowParallelLinear
from megatron.core.transformer.spec_utils import ModuleSpec
from megatron.core.transformer.transformer_config import TransformerConfig
from torch import Tensor
from torch.nn.functional import gelu, silu

from nemo_kcpt.models.rms_norm import SequenceParallelRMSNorm
from nemo_kcpt.models.sdpa_attention import SdpaAttention


def gelu_tanh(values: Tensor) -> Tensor:
    """GELU by its approximation with tanh (transformers' `gelu_pytorch_tanh`)."""
    return gelu(values, approximate="tanh")


ACTIVATIONS = {"silu": silu, "gelu_tanh": gelu_tanh}
"""By the name in our config."""


class PostNormRowParallelLinear(RowParallelLinear):
    """Megatron's local row-parallel layer with a norm on its output; Transformer Engine's is NeMo's."""

    def __init__(self, input_size: int, output_size: int, *, config: TransformerConfig, **options: Any) -> None:
        super().__init__(input_size, output_size, config=config, **options)
        self.post_layernorm = SequenceParallelRMSNorm(config, output_size, config.layernorm_epsilon)

    def forward(self, input_: Tensor) -> tuple[Tensor, Tensor | None]:
        """(…, hidden), normalised, and no bias."""
        output, bias = super().forward(input_)
        return self.post_layernorm(output), bias


def add_post_norms(layer: ModuleSpec) -> None:
    """Put the norms after attention and MLP into a local layer spec."""
    layer.submodules.self_attention.submodules.linear_proj = PostNormRowParallelLinear
    layer.submodules.mlp.submodules.linear_fc2 = PostNormRowParallelLinear


def gemma2_transformer_engine_spec(config: TransformerConfig) -> ModuleSpec:
    """NeMo's spec with our attention, which caps its scores as NeMo's does and knows packed windows."""
    from nemo.collections.llm.gpt.model.gemma2 import gemma2_layer_spec

    layer: ModuleSpec = deepcopy(gemma2_layer_spec(config))
    layer.submodules.self_attention.submodules.core_attention = SdpaAttention
    return layer


class _ScaledEmbedding:
    """An embedding whose output is multiplied by the square root of the hidden size, in the embedding's own type."""

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        embeddings = super().forward(*inputs, **named)  # type: ignore[misc]
        return embeddings * torch.tensor(self.config.hidden_size**0.5, dtype=embeddings.dtype)  # type: ignore[attr-defined]


class _CappedOutput(ColumnParallelLinear):
    """An output layer whose logits stay between plus and minus `final_logit_softcapping`."""

    def forward(self, *inputs: Any, **named: Any) -> tuple[Tensor, Tensor | None]:
        logits, bias = super().forward(*inputs, **named)
        cap = self.config.final_logit_softcapping
        return cap * torch.tanh(logits / cap), bias


def _extend(module: torch.nn.Module, first: type) -> None:
    """Let a built module be of a class that `first` comes first in."""
    own = module.__class__
    module.__class__ = type(own.__name__, (first, own), {})


def finish(model: torch.nn.Module, config: Any) -> None:
    """Scale the embeddings and cap the logits of a built model, on the pipeline stages that have them."""
    if config.scale_embeddings and model.pre_process:
        _extend(model.embedding, _ScaledEmbedding)
    if config.final_logit_softcapping and model.post_process:
        _extend(model.output_layer, _CappedOutput)
