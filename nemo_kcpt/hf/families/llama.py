"""Llama 2 and 3, and whatever else has their architecture, as llm-jp-3, the dense llm-jp-4 and Sarashina2."""

from __future__ import annotations

from nemo_kcpt.hf.families.base import ATTENTION_NORM, DOWN, GATE_UP, MLP_NORM, PROJECTION, QKV, Family

FAMILY = Family(
    name="llama",
    title="Llama",
    architecture="LlamaForCausalLM",
    models="Llama 2, 3, 3.1, 3.2, 3.3 (text), llm-jp-3, llm-jp-4-8b, Llama-3.1-Swallow, Sarashina2, SmolLM2",
    layer=(ATTENTION_NORM, QKV, PROJECTION, MLP_NORM, GATE_UP, DOWN),
    fixed={"hidden_act": "silu", "attention_bias": False, "mlp_bias": False},
    ignored=frozenset({"pretraining_tp"}),
)
