"""Gemma 2: norms before and after attention and MLP, capped scores and logits, a window in every other layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.families.base import (
    ATTENTION_NORM,
    DOWN,
    GATE_UP,
    MLP_NORM,
    PROJECTION,
    QKV,
    Family,
    ModelShape,
    Weight,
)
from nemo_kcpt.hf.families.windows import FULL, SLIDING

FULL_EVERY = 2
"""Every second layer sees the whole sequence, the others a window."""


def _read(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    layers = int(config["num_hidden_layers"])
    kinds = [SLIDING if layer % FULL_EVERY else FULL for layer in range(1, layers + 1)]
    if config.get("layer_types") not in (None, kinds):
        raise BadInput(f"{where}: layer_types is not {SLIDING} and {FULL} in turn; only that is known of a Gemma 2")
    window = config["sliding_window"]
    if type(window) is not int or window < 1:
        raise BadInput(f"{where}: sliding_window is {window!r}; a number of tokens was expected")
    return {"sliding_window": window, "query_scalar": float(config["query_pre_attn_scalar"])}


def _write(shape: ModelShape) -> dict[str, Any]:
    scalar = shape.query_scalar
    assert scalar is not None, "a Gemma 2's config has it"
    whole = int(scalar) if scalar.is_integer() else scalar
    return {"sliding_window": shape.sliding_window, "query_pre_attn_scalar": whole}


FAMILY = Family(
    name="gemma2",
    title="Gemma 2",
    architecture="Gemma2ForCausalLM",
    models="Gemma 2 2B, 9B, 27B, gemma-2-2b-jpn-it, Gemma-2-Llama-Swallow, gemma-2-baku-2b",
    layer=(
        ATTENTION_NORM,
        QKV,
        PROJECTION,
        Weight(
            ("self_attention.linear_proj.post_layernorm.weight",), {"post_attention_layernorm.weight": ("hidden_size",)}
        ),
        Weight(MLP_NORM.names, {"pre_feedforward_layernorm.weight": ("hidden_size",)}),
        GATE_UP,
        DOWN,
        Weight(("mlp.linear_fc2.post_layernorm.weight",), {"post_feedforward_layernorm.weight": ("hidden_size",)}),
    ),
    flags={
        "activation": "gelu_tanh",
        "layernorm_zero_centered_gamma": True,
        "post_norms": True,
        "scale_embeddings": True,
        "window_attn_skip_freq": FULL_EVERY,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    },
    defaults={
        "num_key_value_heads": 4,
        "head_dim": 256,
        "tie_word_embeddings": True,
        "sliding_window": 4096,
        "query_pre_attn_scalar": 256,
    },
    fixed={
        "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": False,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    },
    read=_read,
    write=_write,
)
