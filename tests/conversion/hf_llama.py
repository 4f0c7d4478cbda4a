"""Tiny Hugging Face Llamas, made on the spot by transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

SIZES: dict[str, Any] = {
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
KINDS: dict[str, dict[str, Any]] = {
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


def save_llama(folder: Path, dtype: torch.dtype = torch.float32, shards: str = "5GB", **more: Any) -> Path:
    """A Llama of `SIZES` and `more` with random weights, norms too, in shards of at most this size."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(5)
    model = LlamaForCausalLM(LlamaConfig(**SIZES | more))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=0.1)
    model.to(dtype).save_pretrained(folder, max_shard_size=shards)
    return folder
