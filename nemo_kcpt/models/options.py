"""What the configs of both backends' models have in common: their fields, by the model's shape and the machine."""

from __future__ import annotations

from typing import Any

import torch

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.families import family_of
from nemo_kcpt.models.gemma import ACTIVATIONS, finish
from nemo_kcpt.models.router_loss import Dropped, weigh_alike_on_all_ranks
from nemo_kcpt.models.z_loss import cross_entropy_with_z_loss
from nemo_kcpt.planning.rope import check_positions


def settle_for_family(config: Any) -> None:
    """Set the fields in which the model's family differs from a Llama."""
    for name, value in family_of(config.family, "model.config.family").flags.items():
        setattr(config, name, value)
    config.activation_func = ACTIVATIONS[config.activation]
    if config.activation != "silu":  # of the gated ones Megatron fuses this alone
        config.bias_activation_fusion = False
    config.softmax_scale = None if config.query_scalar is None else config.query_scalar**-0.5
    # Megatron counts the tokens to the left of a token. A window that holds all of them is none.
    window = config.sliding_window
    config.window_size = (window - 1, 0) if window is not None and window < config.seq_length else None


def settle_for_cpu(config: Any) -> None:
    """Float32, and none of the fusions: they are CUDA kernels, or functions that torch.compile takes long for."""
    config.apply_rope_fusion = False
    config.bias_activation_fusion = False
    config.bias_dropout_fusion = False
    config.cross_entropy_loss_fusion = False
    config.gradient_accumulation_fusion = False
    config.masked_softmax_fusion = False
    config.persist_layer_norm = False
    config.moe_grouped_gemm = False
    config.moe_token_dispatcher_type = "allgather"
    config.use_cpu_initialization = True
    config.bf16 = config.fp16 = False
    config.params_dtype = config.pipeline_dtype = torch.float32


def check_windows(config: Any) -> None:
    """Refuse what a model cannot be trained with.

    Raises:
        BadInput: windows go beyond the positions that the RoPE base is good for, or a sliding window meets context
            parallelism.
    """
    if config.base_positions is not None and config.base_rotary_base is not None:
        check_positions(config.seq_length, config.rotary_base, config.base_positions, config.base_rotary_base)
    if config.window_size is not None and config.context_parallel_size > 1:
        raise BadInput(
            f"the model's sliding window of {config.sliding_window} tokens is shorter than windows of "
            f"{config.seq_length}, and does not go with context parallelism; set context_parallel_size=1"
        )


def finish_model(model: Any, config: Any) -> None:
    """Give a model that Megatron has built what its config asks for beyond Megatron's own fields."""
    finish(model, config)
    weigh_alike_on_all_ranks(model)
    limited = config.moe_expert_capacity_factor is not None
    model.dropped_tokens = Dropped(model, config.moe_router_topk) if limited else None
    if config.rope_scaling_factor is not None:
        # Megatron's own rope_scaling has the other three constants written out.
        rotary = model.rotary_pos_emb
        rotary.inv_freq = rotary._apply_scaling(
            rotary.inv_freq,
            factor=config.rope_scaling_factor,
            low_freq_factor=config.rope_low_freq_factor,
            high_freq_factor=config.rope_high_freq_factor,
            original_max_position_embeddings=config.rope_original_positions,
        )
    if config.z_loss:
        plain = model.compute_language_model_loss

        def loss(labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            if not model.training:
                return plain(labels, logits)
            return cross_entropy_with_z_loss(logits, labels, config.z_loss)

        model.compute_language_model_loss = loss
