"""The sizes and constants of a Llama, under Megatron's names: read from `config.json` and written to it; known models.

Pure data; importing it costs nothing, so the planner, the conversion and the recipes share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json
from nemo_kcpt.hf.load import rope


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """Llama 3.1's scaling of RoPE's low frequencies (transformers' `rope_type: llama3`)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_positions: int


@dataclass(frozen=True, kw_only=True)
class LlamaShape:
    """What a Llama `config.json` holds."""

    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_attention_heads: int
    num_query_groups: int
    """Key and value heads."""
    kv_channels: int
    """Size of a head."""
    vocab_rows: int
    positions: int
    """`max_position_embeddings`: the longest sequence that the model was trained for."""
    rotary_base: float
    """`rope_theta`."""
    layernorm_epsilon: float
    tied: bool
    """Whether embedding and output layer are one matrix."""
    rope_scaling: RopeScaling | None = None

    def hf_config(self) -> dict[str, Any]:
        """The model's part of `config.json`."""
        scaling = self.rope_scaling
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden_size,
            "intermediate_size": self.ffn_hidden_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_query_groups,
            "head_dim": self.kv_channels,
            "vocab_size": self.vocab_rows,
            "rms_norm_eps": self.layernorm_epsilon,
            "rope_theta": self.rotary_base,
            "rope_scaling": None
            if scaling is None
            else {
                "rope_type": "llama3",
                "factor": scaling.factor,
                "low_freq_factor": scaling.low_freq_factor,
                "high_freq_factor": scaling.high_freq_factor,
                "original_max_position_embeddings": scaling.original_positions,
            },
            "max_position_embeddings": self.positions,
            "tie_word_embeddings": self.tied,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
        }

    def parameters(self, *, embeddings: bool = True) -> int:
        """Number of weights; without `embeddings` those of layers and norms alone, as model cards count them."""
        attention = self.hidden_size * self.kv_channels * (2 * self.num_attention_heads + 2 * self.num_query_groups)
        layer = attention + 3 * self.hidden_size * self.ffn_hidden_size + 2 * self.hidden_size
        vocabulary = self.vocab_rows * self.hidden_size * (1 if self.tied else 2) if embeddings else 0
        return self.num_layers * layer + self.hidden_size + vocabulary

    def differences(self, other: LlamaShape) -> list[str]:
        """Names and both values of what makes the weights of the two not fit each other."""
        free = {"positions", "rotary_base", "rope_scaling"}
        pairs = [
            (field.name, getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
            if field.name not in free
        ]
        return [f"{name} {mine} against {theirs}" for name, mine, theirs in pairs if mine != theirs]


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


def shape_from_hf(config: Mapping[str, Any], where: str = "config.json") -> LlamaShape:
    """The shape that a `config.json` of transformers 4 or 5 describes.

    Args:
        config: its contents.
        where: its name, for error messages.

    Raises:
        BadInput: another architecture, biases, another activation, another RoPE scaling than Llama 3's, or a key is
            missing.
    """
    kind = config.get("model_type")
    if kind != "llama":
        raise BadInput(f"{where}: model_type is '{kind}'; the recipes and the conversion know 'llama' only")
    for key, expected in (("attention_bias", False), ("mlp_bias", False), ("hidden_act", "silu")):
        if config.get(key, expected) != expected:
            raise BadInput(f"{where}: {key} is {config[key]!r}; only {expected!r} is known")
    try:
        base, scaling = rope(config, where)
        share = {**config, **(config.get("rope_parameters") or {})}.get("partial_rotary_factor")
        if share not in (None, 1):
            raise BadInput(f"{where}: partial_rotary_factor is {share}; only RoPE over the whole head (1) is known")
        heads = int(config["num_attention_heads"])
        return LlamaShape(
            num_layers=int(config["num_hidden_layers"]),
            hidden_size=int(config["hidden_size"]),
            ffn_hidden_size=int(config["intermediate_size"]),
            num_attention_heads=heads,
            num_query_groups=int(config.get("num_key_value_heads") or heads),
            kv_channels=int(config.get("head_dim") or int(config["hidden_size"]) // heads),
            vocab_rows=int(config["vocab_size"]),
            positions=int(config["max_position_embeddings"]),
            rotary_base=_whole(base or 10000),
            layernorm_epsilon=float(config["rms_norm_eps"]),
            tied=bool(config.get("tie_word_embeddings", False)),
            rope_scaling=_rope_scaling(scaling, where),
        )
    except KeyError as error:
        raise BadInput(f"{where}: no {error}; a Llama's config has it") from None
    except (TypeError, ValueError, ArithmeticError) as error:
        raise BadInput(f"{where}: {error}") from None


def shape_from_megatron(config: Mapping[str, Any]) -> LlamaShape:
    """The shape that the fields of a `KcptLlamaConfig` describe, in memory or in a checkpoint's `context/model.yaml`.

    Positions and RoPE base are those of the training that the config is for.

    Raises:
        KeyError, TypeError: a field is missing or of another type.
    """
    heads = config["num_attention_heads"]
    scaling = config.get("rope_scaling_factor")
    return LlamaShape(
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
    )


def read_hf_shape(folder: Path) -> LlamaShape:
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
    return shape_from_hf(config, str(path))


_LLM_JP_3 = LlamaShape(
    num_layers=40,
    hidden_size=5120,
    ffn_hidden_size=13824,
    num_attention_heads=40,
    num_query_groups=40,
    kv_channels=128,
    vocab_rows=99584,
    positions=4096,
    rotary_base=10000,
    layernorm_epsilon=1e-5,
    tied=False,
)


def _sized(layers: int, hidden: int, ffn: int, heads: int) -> LlamaShape:
    return replace(
        _LLM_JP_3,
        num_layers=layers,
        hidden_size=hidden,
        ffn_hidden_size=ffn,
        num_attention_heads=heads,
        num_query_groups=heads,
    )


KNOWN: dict[str, LlamaShape] = {
    "llm-jp-3-1.8b": _sized(24, 2048, 7168, 16),
    "llm-jp-3-3.7b": _sized(28, 3072, 8192, 24),
    "llm-jp-3-7.2b": _sized(32, 4096, 11008, 32),
    "llm-jp-3-13b": _LLM_JP_3,
    "smollm2-135m": LlamaShape(
        num_layers=30,
        hidden_size=576,
        ffn_hidden_size=1536,
        num_attention_heads=9,
        num_query_groups=3,
        kv_channels=64,
        vocab_rows=49152,
        positions=8192,
        rotary_base=100000,
        layernorm_epsilon=1e-5,
        tied=True,
    ),
}
"""Models that have recipes of their own, base and instruct alike.

Sizes from each model's `config.json` on the Hugging Face hub (llm-jp/llm-jp-3-1.8b, -3.7b, -7.2b, -13b,
HuggingFaceTB/SmolLM2-135M) and, for llm-jp-3, held against the parameter counts on the model cards
(tests/test_llama_shape.py).
"""
