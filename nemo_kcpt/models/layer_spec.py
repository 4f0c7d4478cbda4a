"""The modules a layer is made of: Transformer Engine's on a GPU, else Megatron's local ones and our attention."""

from __future__ import annotations

import importlib.util
from copy import deepcopy

import torch
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.transformer.spec_utils import ModuleSpec
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules, get_num_layers_to_build
from megatron.core.transformer.transformer_config import TransformerConfig

from nemo_kcpt.models.gemma import add_post_norms, gemma2_transformer_engine_spec
from nemo_kcpt.models.rms_norm import SequenceParallelRMSNorm
from nemo_kcpt.models.sdpa_attention import SdpaAttention


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
    if not uses_transformer_engine():
        return local_block_spec(config, vp_stage)
    if getattr(config, "post_norms", False):
        return gemma2_transformer_engine_spec(config)
    from nemo.collections.llm.gpt.model.base import transformer_engine_layer_spec

    spec: ModuleSpec = transformer_engine_layer_spec(config)
    return spec


def local_block_spec(config: TransformerConfig, vp_stage: int | None = None) -> TransformerBlockSubmodules:
    """Megatron's local layers of this pipeline stage, with :class:`SdpaAttention` and :class:`SequenceParallelRMSNorm`.

    A whole block and not one layer, because with one layer Megatron takes ``WrappedTorchNorm`` as the final norm.
    """
    spec = get_gpt_layer_local_spec(
        num_experts=config.num_moe_experts, normalization=config.normalization, qk_layernorm=config.qk_layernorm
    )
    layer = deepcopy(spec)
    layer.submodules.input_layernorm = SequenceParallelRMSNorm
    layer.submodules.pre_mlp_layernorm = SequenceParallelRMSNorm
    attention = layer.submodules.self_attention.submodules
    attention.core_attention = SdpaAttention
    if config.qk_layernorm:
        attention.q_layernorm = attention.k_layernorm = SequenceParallelRMSNorm
    if config.num_moe_experts is not None:  # Transformer Engine's layers have the norm under this name in checkpoints
        del layer.submodules.sharded_state_dict_keys_map["pre_mlp_layernorm."]
    if getattr(config, "post_norms", False):
        add_post_norms(layer)
    return TransformerBlockSubmodules(
        layer_specs=[layer] * get_num_layers_to_build(config, vp_stage), layer_norm=SequenceParallelRMSNorm
    )
