"""Mistral: a Llama whose layers may each see a window of the sequence alone."""

from __future__ import annotations

from nemo_kcpt.hf.families import windows
from nemo_kcpt.hf.families.base import ATTENTION_NORM, DOWN, GATE_UP, MLP_NORM, PROJECTION, QKV, Family

FAMILY = Family(
    name="mistral",
    title="Mistral",
    architecture="MistralForCausalLM",
    models="Mistral 7B v0.1 to v0.3, Mistral Nemo, RakutenAI-7B, Japanese Stable LM Gamma, EvoLLM-JP",
    layer=(ATTENTION_NORM, QKV, PROJECTION, MLP_NORM, GATE_UP, DOWN),
    defaults={"num_key_value_heads": 8, "sliding_window": 4096},
    fixed={"hidden_act": "silu"},
    read=windows.read_every_layer,
    write=windows.write_every_layer,
)
