"""Qwen2 and Qwen2.5: a Llama with biases on query, key and value."""

from __future__ import annotations

from nemo_kcpt.hf.families import windows
from nemo_kcpt.hf.families.base import ATTENTION_NORM, DOWN, GATE_UP, MLP_NORM, PROJECTION, QKV, QKV_BIAS, Family

FAMILY = Family(
    name="qwen2",
    title="Qwen2",
    architecture="Qwen2ForCausalLM",
    models="Qwen2, Qwen2.5, Qwen2.5-Coder, TinySwallow-1.5B, ELYZA-Shortcut, ABEJA-Qwen2.5",
    layer=(ATTENTION_NORM, QKV, QKV_BIAS, PROJECTION, MLP_NORM, GATE_UP, DOWN),
    flags={"add_qkv_bias": True},
    defaults=windows.LATER_LAYERS_DEFAULTS | {"num_key_value_heads": 32},
    fixed={"hidden_act": "silu"},
    read=windows.read_later_layers,
    write=windows.write_later_layers,
)
