"""Tiny Megatron-style weights: every element another number, in the names of either layer spec."""

from __future__ import annotations

from typing import Any

import torch

from nemo_kcpt.hf.families import families
from nemo_kcpt.hf.model_shape import ModelShape

TRANSFORMER_ENGINE = {
    "input_norm": "self_attention.linear_qkv.layer_norm_weight",
    "mlp_norm": "mlp.linear_fc1.layer_norm_weight",
}
LOCAL = {"input_norm": "input_layernorm.weight", "mlp_norm": "pre_mlp_layernorm.weight"}
SHAPES: dict[str, dict[str, Any]] = {
    "gqa": {},
    "mha": {"num_query_groups": 4},
    "mqa": {"num_query_groups": 1},
    "head size of its own": {"kv_channels": 6},
    "tied": {"tied": True},
    "padded vocabulary": {"vocab_rows": 13},
    "tied and padded": {"tied": True, "vocab_rows": 13, "num_query_groups": 1, "kv_channels": 3},
}
PADDED_ROWS = 16
"""Rows of the vocabulary in the checkpoint, padded for tensor parallelism."""


def make_shape(**more: Any) -> ModelShape:
    given: dict[str, Any] = {
        "family": families()["llama"],
        "num_layers": 3,
        "hidden_size": 8,
        "ffn_hidden_size": 10,
        "num_attention_heads": 4,
        "num_query_groups": 2,
        "kv_channels": 2,
        "vocab_rows": PADDED_ROWS,
        "positions": 32,
        "rotary_base": 10_000.0,
        "layernorm_epsilon": 1e-5,
        "tied": False,
    }
    return ModelShape(**given | more)


def layer_weights(shape: ModelShape, names: dict[str, str]) -> list[dict[str, torch.Tensor]]:
    """For each layer its tensors by Megatron's names."""
    qkv_rows = (shape.num_attention_heads + 2 * shape.num_query_groups) * shape.kv_channels
    sizes = {
        names["input_norm"]: (shape.hidden_size,),
        "self_attention.linear_qkv.weight": (qkv_rows, shape.hidden_size),
        "self_attention.linear_proj.weight": (shape.hidden_size, shape.num_attention_heads * shape.kv_channels),
        names["mlp_norm"]: (shape.hidden_size,),
        "mlp.linear_fc1.weight": (2 * shape.ffn_hidden_size, shape.hidden_size),
        "mlp.linear_fc2.weight": (shape.hidden_size, shape.ffn_hidden_size),
    }
    generator = torch.Generator().manual_seed(7)
    return [
        {name: torch.randn(size, generator=generator) for name, size in sizes.items()} for _ in range(shape.num_layers)
    ]


def state_dict(shape: ModelShape, names: dict[str, str], *, stacked: bool) -> dict[str, torch.Tensor]:
    """A checkpoint's tensors: layers stacked in one tensor, as torch_dist has them, or each under its number."""
    generator = torch.Generator().manual_seed(8)
    vocabulary = (PADDED_ROWS, shape.hidden_size)
    state = {
        "module.embedding.word_embeddings.weight": torch.randn(vocabulary, generator=generator),
        "module.decoder.final_layernorm.weight": torch.randn(shape.hidden_size, generator=generator),
    }
    if not shape.tied:
        state["module.output_layer.weight"] = torch.randn(vocabulary, generator=generator)
    layers = layer_weights(shape, names)
    for name in layers[0]:
        if stacked:
            state[f"module.decoder.layers.{name}"] = torch.stack([layer[name] for layer in layers])
        else:
            state |= {f"module.decoder.layers.{number}.{name}": layer[name] for number, layer in enumerate(layers)}
    return state
