"""What a Hugging Face model's folder says of its limits: positions, longest reply, the arithmetic it was saved in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json

POSITIONS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
"""Names under which configs give the longest sequence; vLLM 0.32 takes the smallest of those that are there."""
ALREADY_SCALED = ("su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling", "default", "mrope")
"""Kinds of RoPE scaling whose `max_position_embeddings` is the scaled length, as vLLM 0.32 takes it."""
DTYPES = ("float32", "bfloat16", "float16")


def positions(folder: Path) -> int | None:
    """Tokens that prompt and answer may have together, None if the folder does not say.

    By the rule of vLLM's `_get_and_verify_max_len`: the smallest length in the config (or its `text_config`), times the
    factor of linear and dynamic RoPE scaling. The tokenizer's `model_max_length` does not count for models that write.
    """
    config = _config(folder)
    lengths = [value for name in POSITIONS if (value := _whole(config.get(name)))]
    if _whole(config.get("model_max_length")):
        lengths = [int(config["model_max_length"])]
    return int(min(lengths) * _factor(config)) if lengths else None


def vocabulary(folder: Path) -> int:
    """Rows of the output layer, by the config.

    Raises:
        BadInput: the config does not say.
    """
    rows = _whole(_config(folder).get("vocab_size"))
    if rows is None:
        raise BadInput(f"{folder / 'config.json'}: has no vocab_size; a Hugging Face model folder was expected")
    return rows


def longest_reply(folder: Path) -> int | None:
    """`max_new_tokens` of the folder's generation_config.json, to which vLLM's server holds every request."""
    return _whole(_mapping(folder / "generation_config.json").get("max_new_tokens"))


def dtype(folder: Path) -> str | None:
    """The arithmetic that the weights were saved in, None if the folder does not say or it is another one."""
    config = _config(folder)
    known = str(config.get("dtype") or config.get("torch_dtype") or "").removeprefix("torch.")
    return known if known in DTYPES else None


def _config(folder: Path) -> Mapping[str, Any]:
    config = _mapping(folder / "config.json")
    inner = config.get("text_config")
    return {**config, **inner} if isinstance(inner, dict) else config


def _factor(config: Mapping[str, Any]) -> float:
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(scaling, dict) or "gemma3" in str(config.get("model_type")):
        return 1.0
    # transformers 5: by kind of layer
    kinds = [kind for kind in scaling.values() if isinstance(kind, dict)] or [scaling]
    for kind in kinds:
        factor = kind.get("factor")
        if kind.get("rope_type", kind.get("type", "default")) not in ALREADY_SCALED and isinstance(
            factor, (int, float)
        ):
            return float(factor)
    return 1.0


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 1 else None


def _mapping(path: Path) -> Mapping[str, Any]:
    content = read_json(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}
