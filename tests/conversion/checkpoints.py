"""NeMo checkpoints of tiny Hugging Face Llamas, without NeMo's part: importing it takes 15 s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_kcpt.checkpoints import importing
from nemo_kcpt.hf.model_shape import EXPERTS, ModelShape


def model_yaml(shape: ModelShape, **more: Any) -> dict[str, Any]:
    """`context/model.yaml` as far as ours is read from it."""
    scaling = shape.rope_scaling
    config = {
        "family": shape.family.name,
        "sliding_window": shape.sliding_window,
        "query_scalar": shape.query_scalar,
        "num_layers": shape.num_layers,
        "hidden_size": shape.hidden_size,
        "ffn_hidden_size": shape.ffn_hidden_size,
        "num_attention_heads": shape.num_attention_heads,
        "num_query_groups": shape.num_query_groups,
        "kv_channels": shape.kv_channels,
        "vocab_rows": shape.vocab_rows,
        "seq_length": shape.positions,
        "rotary_base": shape.rotary_base,
        "layernorm_epsilon": shape.layernorm_epsilon,
        "share_embeddings_and_output_weights": shape.tied,
    }
    if scaling is not None:
        config |= {
            "rope_scaling_factor": scaling.factor,
            "rope_low_freq_factor": scaling.low_freq_factor,
            "rope_high_freq_factor": scaling.high_freq_factor,
            "rope_original_positions": scaling.original_positions,
        }
    if shape.num_moe_experts is not None:
        config |= {name: getattr(shape, name) for name in EXPERTS}
    return {"config": config | more}


def imported(hf: Path, out: Path, **more: Any) -> Path:
    """`kcpt convert import`."""
    importing.run(importing.Config(hf=hf, out=out, **more), False)
    return out
