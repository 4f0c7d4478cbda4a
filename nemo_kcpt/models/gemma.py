"""What a Gemma 2 has beside a Llama: norms after attention and MLP, scaled embeddings, capped logits."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from megatron.core.tensor_parallel import RowParallelLinear
from megatron.core.transformer.spec_utils import ModuleSpec
from megatron.core.transformer.transformer_config import TransformerConfig
from nemo.collections.common.parts.utils import extend_instance
from nemo.collections.llm.gpt.model.gemma2 import EmbeddingScalingMixin, Gemma2OutputLayer, gemma2_layer_spec
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
    layer: ModuleSpec = deepcopy(gemma2_layer_spec(config))
    layer.submodules.self_attention.submodules.core_attention = SdpaAttention
    return layer


def finish(model: torch.nn.Module, config: Any) -> None:
    """Scale the embeddings and cap the logits of a built model, on the pipeline stages that have them."""
    if config.scale_embeddings and model.pre_process:
        extend_instance(model.embedding, EmbeddingScalingMixin)
    if config.final_logit_softcapping and model.post_process:
        extend_instance(model.output_layer, Gemma2OutputLayer)
