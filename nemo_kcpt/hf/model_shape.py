"""The sizes and constants of a model, read from `config.json` and from checkpoints.

Pure data; importing it costs nothing, so the planner, the conversion and the recipes share it. What a family is, is in
:mod:`nemo_kcpt.hf.families`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json
from nemo_kcpt.hf.families import Family, ModelShape, RopeScaling, family_of
from nemo_kcpt.hf.remote_code import check_model_code
from nemo_kcpt.hf.v4_config import rope

__all__ = ["ModelShape", "RopeScaling", "read_hf_shape", "shape_from_hf", "shape_from_megatron"]

READ = frozenset(
    {
        "num_attention_heads",
        "num_hidden_layers",
        "hidden_size",
        "intermediate_size",
        "num_key_value_heads",
        "head_dim",
        "vocab_size",
        "max_position_embeddings",
        "rms_norm_eps",
        "tie_word_embeddings",
        "rope_theta",
        "rope_scaling",
        "rope_parameters",
        "partial_rotary_factor",
    }
)
"""Keys of `config.json` that are read of every family; its own `read` reads others."""
IGNORED = frozenset(
    {"initializer_range", "use_cache", "pad_token_id", "bos_token_id", "eos_token_id", "attention_dropout"}
)
"""Keys of transformers' classes that change nothing that a model computes from its weights."""
QUANTISED = "quantization_config"
EXPERTS = ("num_moe_experts", "moe_router_topk", "moe_ffn_hidden_size", "moe_router_pre_softmax", "moe_aux_loss_coeff")
"""Fields of a shape, and of Megatron's config, that a mixture of experts has."""


def _rope_scaling(given: Mapping[str, Any] | None, where: str) -> RopeScaling | None:
    if given is None:
        return None
    if given["rope_type"] != "llama3":
        raise BadInput(
            f"{where}: RoPE scaling of type '{given['rope_type']}'; only Llama 3's ('llama3') and none are known"
        )
    return RopeScaling(
        factor=float(given["factor"]),
        low_freq_factor=float(given["low_freq_factor"]),
        high_freq_factor=float(given["high_freq_factor"]),
        original_positions=int(given["original_max_position_embeddings"]),
    )


def _whole(value: float) -> float:
    """RoPE bases are whole numbers as good as always; as such they are written as config files have them."""
    return int(value) if float(value).is_integer() else float(value)


def _check_quantised(config: Mapping[str, Any], where: str) -> None:
    given = config.get(QUANTISED)
    if given is None:
        return
    method = str(given.get("quant_method", "unknown"))[:40] if isinstance(given, Mapping) else "unknown"
    raise BadInput(
        f"{where}: the weights are quantised ({QUANTISED}, method '{method}'), and training starts from those before "
        "quantisation. Take the folder of the model without FP8, AWQ, GPTQ, NF4 or the like in its name; if there is "
        "none, dequantise with transformers (model.dequantize(), where the method has it) and save_pretrained"
    )


def _check_fixed(family: Family, config: Mapping[str, Any], where: str) -> None:
    for key, expected in family.fixed.items():
        if config.get(key, expected) != expected:
            raise BadInput(f"{where}: {key} is {config[key]!r}; of a {family.title} only {expected!r} is known")


def shape_from_hf(config: Mapping[str, Any], where: str = "config.json") -> ModelShape:
    """The shape that a `config.json` of transformers 4 or 5 describes.

    Args:
        config: its contents.
        where: its name, for error messages.

    Raises:
        BadInput: a family that is not known, quantised weights, a value that the family's description does not know,
            another RoPE scaling than Llama 3's, RoPE over a part of the head, or a key is missing.
    """
    family = family_of(config.get("model_type"), where)
    _check_quantised(config, where)
    _check_fixed(family, config, where)
    given = {**family.defaults, **config}
    try:
        base, scaling = rope(config, where)
        share = {**given, **(config.get("rope_parameters") or {})}.get("partial_rotary_factor")
        if share not in (None, 1):
            raise BadInput(f"{where}: partial_rotary_factor is {share}; only RoPE over the whole head (1) is known")
        heads = int(given["num_attention_heads"])
        return ModelShape(
            family=family,
            num_layers=int(given["num_hidden_layers"]),
            hidden_size=int(given["hidden_size"]),
            ffn_hidden_size=int(given["intermediate_size"]),
            num_attention_heads=heads,
            num_query_groups=int(given.get("num_key_value_heads") or heads),
            kv_channels=int(given.get("head_dim") or int(given["hidden_size"]) // heads),
            vocab_rows=int(given["vocab_size"]),
            positions=int(given["max_position_embeddings"]),
            rotary_base=_whole(base or 10000),
            layernorm_epsilon=float(given["rms_norm_eps"]),
            tied=bool(given.get("tie_word_embeddings", False)),
            rope_scaling=_rope_scaling(scaling, where),
            **family.read(given, where),
        )
    except KeyError as error:
        raise BadInput(f"{where}: no {error}; a {family.title}'s config has it") from None
    except (TypeError, ValueError, ArithmeticError) as error:
        raise BadInput(f"{where}: {error}") from None


def shape_from_megatron(config: Mapping[str, Any], where: str = "the model's config") -> ModelShape:
    """The shape that the fields of a `KcptLlamaConfig` describe, in memory or in a checkpoint's `context/model.yaml`.

    Positions and RoPE base are those of the training that the config is for. Checkpoints of before there were other
    families than Llama name none.

    Raises:
        KeyError, TypeError: a field is missing or of another type.
        BadInput: a family that is not known here.
    """
    heads = config["num_attention_heads"]
    scaling = config.get("rope_scaling_factor")
    return ModelShape(
        family=family_of(config.get("family", "llama"), where),
        num_layers=config["num_layers"],
        hidden_size=config["hidden_size"],
        ffn_hidden_size=config["ffn_hidden_size"],
        num_attention_heads=heads,
        num_query_groups=config["num_query_groups"] or heads,
        kv_channels=config["kv_channels"] or config["hidden_size"] // heads,
        vocab_rows=int(config.get("vocab_rows") or config["vocab_size"]),
        positions=max(config["seq_length"], config.get("base_positions") or 0),
        rotary_base=config["rotary_base"],
        layernorm_epsilon=config["layernorm_epsilon"],
        tied=config["share_embeddings_and_output_weights"],
        rope_scaling=None
        if scaling is None
        else RopeScaling(
            factor=scaling,
            low_freq_factor=config["rope_low_freq_factor"],
            high_freq_factor=config["rope_high_freq_factor"],
            original_positions=config["rope_original_positions"],
        ),
        sliding_window=config.get("sliding_window"),
        query_scalar=config.get("query_scalar"),
        **_experts(config),
    )


def _experts(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a mixture of experts; Megatron's config has some of them without one, too."""
    if config.get("num_moe_experts") is None:
        return {}
    return {name: config[name] for name in EXPERTS}


def read_hf_shape(folder: Path) -> ModelShape:
    """The shape of the model in a Hugging Face folder.

    Raises:
        BadInput: it has no `config.json`, or one that :func:`shape_from_hf` refuses.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise BadInput(f"{path}: missing; a Hugging Face model folder is needed")
    config = read_json(path)
    if not isinstance(config, dict):
        raise BadInput(f"{path}: expected an object with the model's sizes, found a {type(config).__name__}")
    check_model_code(folder, config)
    return shape_from_hf(config, str(path))
