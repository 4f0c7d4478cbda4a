"""Qwen3, mixtures of experts: a Qwen3 whose MLPs are experts, of which a router chooses some for each token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.families import windows
from nemo_kcpt.hf.families.base import (
    ATTENTION_NORM,
    KEY_NORM,
    MLP_NORM,
    PROJECTION,
    QKV,
    QUERY_NORM,
    ROUTER_NAME,
    Family,
    ModelShape,
    Weight,
)

EXPERTS = "mlp.experts.experts"
"""Where Megatron-Core keeps experts in a checkpoint, whether they are computed one by one or together."""


def _read(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    if config["mlp_only_layers"]:
        raise BadInput(
            f"{where}: mlp_only_layers is {str(config['mlp_only_layers'])[:60]}; only experts in every layer"
        )
    experts, chosen = int(config["num_experts"]), int(config["num_experts_per_tok"])
    if not 0 < chosen <= experts:
        raise BadInput(f"{where}: num_experts_per_tok is {chosen} of num_experts {experts}; 1 to all were expected")
    add_up = bool(config["norm_topk_prob"])
    if add_up and chosen == 1:
        raise BadInput(
            f"{where}: num_experts_per_tok is 1 and norm_topk_prob true, so that every weight is 1 and no router "
            "learns; Megatron does not build such a model"
        )
    return windows.read_every_layer({**config, "sliding_window": None}, where) | {
        "num_moe_experts": experts,
        "moe_router_topk": chosen,
        "moe_ffn_hidden_size": int(config["moe_intermediate_size"]),
        "moe_router_pre_softmax": not add_up,
        "moe_aux_loss_coeff": float(config["router_aux_loss_coef"]),
    }


def _write(shape: ModelShape) -> dict[str, Any]:
    return {
        "num_experts": shape.num_moe_experts,
        "num_experts_per_tok": shape.moe_router_topk,
        "moe_intermediate_size": shape.moe_ffn_hidden_size,
        "norm_topk_prob": not shape.moe_router_pre_softmax,
        "router_aux_loss_coef": shape.moe_aux_loss_coeff,
        "mlp_only_layers": [],
        "sliding_window": None,
    }


FAMILY = Family(
    name="qwen3_moe",
    title="Qwen3 MoE",
    architecture="Qwen3MoeForCausalLM",
    models="Qwen3-30B-A3B, Qwen3-235B-A22B, llm-jp-4-32b-a3b",
    layer=(
        ATTENTION_NORM,
        QKV,
        QUERY_NORM,
        KEY_NORM,
        PROJECTION,
        # Transformer Engine has no layer that fuses a norm with experts: its name is the local one.
        Weight(("pre_mlp_layernorm.weight", "mlp.linear_fc1.layer_norm_weight"), MLP_NORM.sources),
        Weight((ROUTER_NAME,), {"mlp.gate.weight": ("num_moe_experts", "hidden_size")}),
        Weight(
            (f"{EXPERTS}.linear_fc1.weight",),
            {
                "mlp.experts.{expert}.gate_proj.weight": ("moe_ffn_hidden_size", "hidden_size"),
                "mlp.experts.{expert}.up_proj.weight": ("moe_ffn_hidden_size", "hidden_size"),
            },
            "rows",
            of_experts=True,
        ),
        Weight(
            (f"{EXPERTS}.linear_fc2.weight",),
            {"mlp.experts.{expert}.down_proj.weight": ("hidden_size", "moe_ffn_hidden_size")},
            of_experts=True,
        ),
    ),
    flags={
        "qk_layernorm": True,
        "moe_router_dtype": "fp32",
        "moe_router_load_balancing_type": "aux_loss",
        "moe_grouped_gemm": True,
        "moe_token_dispatcher_type": "alltoall",
    },
    defaults={
        "num_key_value_heads": 4,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 768,
        "norm_topk_prob": False,
        "router_aux_loss_coef": 0.001,
        "mlp_only_layers": None,
    },
    fixed={"hidden_act": "silu", "attention_bias": False, "decoder_sparse_step": 1, "use_sliding_window": False},
    ignored=frozenset({"sliding_window", "output_router_logits"}),
    read=_read,
    write=_write,
)
