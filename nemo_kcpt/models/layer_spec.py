"""The modules a layer is made of: Transformer Engine's on a GPU, else Megatron's local ones and our attention."""

from __future__ import annotations

import importlib.util
from copy import deepcopy

import torch
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.transformer.spec_utils import ModuleSpec
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules, get_num_layers_to_build
from megatron.core.transformer.transformer_config import TransformerConfig
from nemo.collections.llm.gpt.model.base import transformer_engine_layer_spec

from nemo_kcpt.models.sdpa_attention import SdpaAttention


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


def uses_transformer_engine() -> bool:
    """True where Transformer Engine is installed and CUDA is there."""
    return torch.cuda.is_available() and importlib.util.find_spec("transformer_engine") is not None


def llama_layer_spec(config: TransformerConfig, vp_stage: int | None = None) -> ModuleSpec | TransformerBlockSubmodules:
    """Chooses the modules when the model is built, so that one recipe serves GPUs and CPUs.

    Args:
        config: The model's configuration, parallel sizes set.
        vp_stage: Virtual pipeline stage.

    Returns:
        Transformer Engine's layer spec, or this pipeline stage's block of local layers.
    """
    if uses_transformer_engine():
        return transformer_engine_layer_spec(config)
    return local_block_spec(config, vp_stage)


def local_block_spec(config: TransformerConfig, vp_stage: int | None = None) -> TransformerBlockSubmodules:
    """Megatron's local layers of this pipeline stage, with :class:`SdpaAttention` and :class:`SequenceParallelRMSNorm`.

    A whole block and not one layer, because with one layer Megatron takes ``WrappedTorchNorm`` as the final norm.
    """
    spec = get_gpt_layer_local_spec(normalization=config.normalization, qk_layernorm=config.qk_layernorm)
    layer = deepcopy(spec)
    layer.submodules.input_layernorm = SequenceParallelRMSNorm
    layer.submodules.pre_mlp_layernorm = SequenceParallelRMSNorm
    attention = layer.submodules.self_attention.submodules
    attention.core_attention = SdpaAttention
    if config.qk_layernorm:
        attention.q_layernorm = attention.k_layernorm = SequenceParallelRMSNorm
    return TransformerBlockSubmodules(
        layer_specs=[layer] * get_num_layers_to_build(config, vp_stage), layer_norm=SequenceParallelRMSNorm
    )
