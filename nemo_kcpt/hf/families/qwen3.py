"""Qwen3, dense: a Llama with a norm on each head's query and key, and heads of a size of their own."""

from __future__ import annotations

from nemo_kcpt.hf.families import windows
from nemo_kcpt.hf.families.base import (
    ATTENTION_NORM,
    DOWN,
    GATE_UP,
    KEY_NORM,
    MLP_NORM,
    PROJECTION,
    QKV,
    QUERY_NORM,
    Family,
)

FAMILY = Family(
    name="qwen3",
    title="Qwen3",
    architecture="Qwen3ForCausalLM",
    models="Qwen3 from 0.6B to 32B, Qwen3-Swallow-8B",
    layer=(ATTENTION_NORM, QKV, QUERY_NORM, KEY_NORM, PROJECTION, MLP_NORM, GATE_UP, DOWN),
    flags={"qk_layernorm": True},
    defaults=windows.LATER_LAYERS_DEFAULTS | {"num_key_value_heads": 32, "head_dim": 128},
    fixed={"hidden_act": "silu", "attention_bias": False},
    read=windows.read_later_layers,
    write=windows.write_later_layers,
)
