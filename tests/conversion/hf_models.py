"""Tiny Hugging Face models of every family, made on the spot by transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

SIZES: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 203,
    "max_position_embeddings": 128,
    "rope_theta": 10_000,
    "rms_norm_eps": 1e-5,
}
ODD: dict[str, Any] = {
    "hidden_size": 45,
    "intermediate_size": 77,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 14,
}
"""Sizes that no power of two divides, and heads that are not hidden size / number."""
LLAMAS: dict[str, dict[str, Any]] = {
    "grouped queries": {},
    "multi-head": {"num_key_value_heads": 4, "rope_theta": 500_000},
    "one group": {"num_key_value_heads": 1},
    "tied": {"tie_word_embeddings": True},
    "wide heads": {"head_dim": 20},
    "narrow heads, tied": {"head_dim": 6, "tie_word_embeddings": True},
    "llama 3 scaling": {
        "rope_theta": 500_000,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    },
}

MOE: dict[str, Any] = {"model_type": "qwen3_moe", "head_dim": 20, "num_experts": 6, "num_experts_per_tok": 2}
MOE |= {"moe_intermediate_size": 28, "norm_topk_prob": True}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama odd": {**ODD},
    "qwen2": {"model_type": "qwen2"},
    "qwen2 tied": {"model_type": "qwen2", "tie_word_embeddings": True, "num_key_value_heads": 4},
    "qwen2 odd": {"model_type": "qwen2", **ODD},
    "qwen3": {"model_type": "qwen3", "head_dim": 20},
    "qwen3 tied": {"model_type": "qwen3", "tie_word_embeddings": True, "head_dim": 12, "num_key_value_heads": 4},
    "qwen3 odd": {"model_type": "qwen3", **ODD},
    "qwen3_moe tied": {**MOE, "tie_word_embeddings": True, "num_key_value_heads": 4},
    "qwen3_moe all of the softmax": {**MOE, "norm_topk_prob": False, "num_experts_per_tok": 1},
    "qwen3_moe odd": {**MOE, **ODD, "num_experts": 5, "num_experts_per_tok": 3, "moe_intermediate_size": 27},
    "qwen3_moe": MOE,
    "mistral": {"model_type": "mistral", "sliding_window": None},
    "mistral window": {"model_type": "mistral", "sliding_window": 16},
    "mistral odd and tied": {"model_type": "mistral", "sliding_window": 9, "tie_word_embeddings": True, **ODD},
    "gemma2": {"model_type": "gemma2", "head_dim": 12, "query_pre_attn_scalar": 18, "sliding_window": 16},
    "gemma2 untied": {
        "model_type": "gemma2",
        "head_dim": 20,
        "query_pre_attn_scalar": 20,
        "tie_word_embeddings": False,
        "num_key_value_heads": 4,
    },
    "gemma2 odd": {"model_type": "gemma2", **ODD, "query_pre_attn_scalar": 15, "sliding_window": 9},
    "qwen2 window": {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 16, "max_window_layers": 0},
}
KINDS = LLAMAS | FAMILIES


def save_model(folder: Path, dtype: torch.dtype = torch.float32, shards: str = "5GB", **more: Any) -> Path:
    """A model of `SIZES` and `more` with random weights, norms and biases too, in shards of at most this size."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    torch.manual_seed(5)
    sizes = SIZES | more
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[sizes.pop("model_type")](**sizes))
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("norm" in name), std=0.1)
    model.to(dtype).save_pretrained(folder, max_shard_size=shards)
    return folder
