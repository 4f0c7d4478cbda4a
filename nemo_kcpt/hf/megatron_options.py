"""A shape as options of the model's config in Megatron, and so in checkpoints; NeMo is not needed to know them."""

from __future__ import annotations

from typing import Any

from nemo_kcpt.hf.model_shape import EXPERTS, ModelShape


def config_options(shape: ModelShape, seq_length: int, base: float) -> dict[str, Any]:
    """Keyword arguments of `KcptLlamaConfig` (nemo_kcpt/models/llama.py) for a model of `shape`.

    Args:
        shape: the model as it comes, whose positions and RoPE base are kept beside the new ones.
        seq_length: tokens of a window.
        base: the RoPE base to train with, from :func:`nemo_kcpt.planning.rope.rotary_base`.
    """
    scaling = shape.rope_scaling
    scaled = (
        {}
        if scaling is None
        else {
            "rope_scaling_factor": scaling.factor,
            "rope_low_freq_factor": scaling.low_freq_factor,
            "rope_high_freq_factor": scaling.high_freq_factor,
            "rope_original_positions": scaling.original_positions,
        }
    )
    return {
        "family": shape.family.name,
        "num_layers": shape.num_layers,
        "hidden_size": shape.hidden_size,
        "ffn_hidden_size": shape.ffn_hidden_size,
        "num_attention_heads": shape.num_attention_heads,
        "num_query_groups": shape.num_query_groups,
        "kv_channels": shape.kv_channels,
        "seq_length": seq_length,
        "rotary_base": base,
        "layernorm_epsilon": shape.layernorm_epsilon,
        "share_embeddings_and_output_weights": shape.tied,
        "vocab_rows": shape.vocab_rows,
        "sliding_window": shape.sliding_window,
        "query_scalar": shape.query_scalar,
        "base_positions": shape.positions,
        "base_rotary_base": shape.rotary_base,
        **scaled,
        **({} if shape.num_moe_experts is None else {name: getattr(shape, name) for name in EXPERTS}),
    }


def recompute_options(recompute: str) -> dict[str, Any]:
    """Fields of the model's config for what the backward pass computes again: none, selective or full."""
    if recompute == "full":
        return {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    return {"recompute_granularity": "selective"} if recompute == "selective" else {}
