"""Special tokens of a Hugging Face tokenizer folder, from either of the files that may name them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Roles of tokens; a template sees those that are set."""
SPECIAL_MAP = "special_tokens_map.json"
"""Where folders written before transformers 4.34 name special tokens."""


def tokenizer_config(folder: Path) -> dict[str, Any]:
    """`tokenizer_config.json`, with the special tokens that an older folder names in another file alone.

    As transformers 4.57 and 5 read them: `special_tokens_map.json` stands above the other file unless that has
    `added_tokens_decoder`.

    Raises:
        BadInput: a file is missing or no JSON, or the map is no mapping.
    """
    config: dict[str, Any] = read_json(folder / "tokenizer_config.json")
    return config | _mapped_tokens(folder, config)


def _mapped_tokens(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """What `special_tokens_map.json` says otherwise than the configuration."""
    path = folder / SPECIAL_MAP
    if "added_tokens_decoder" in config or not path.is_file():
        return {}
    mapped = read_json(path)
    if not isinstance(mapped, dict):
        raise BadInput(f"{path}: expected a mapping of roles (eos_token, …) to tokens, found {type(mapped).__name__}")
    return {
        role: token
        for role, token in mapped.items()
        if role in SPECIAL_TOKENS and token_text(token) != token_text(config.get(role))
    }


def reads_map(folder: Path) -> bool:
    """Whether `special_tokens_map.json` changes what a folder's configuration says."""
    path = folder / "tokenizer_config.json"
    return path.is_file() and bool(_mapped_tokens(folder, read_json(path)))


def token_text(token: Any) -> Any:
    """A token as it is written, whether its file has a text or a mapping with `content`."""
    return token.get("content") if isinstance(token, dict) else token


def template_tokens(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a chat template sees of the special tokens: the roles that are set, the further ones as a list, and those
    that a model names itself."""
    tokens = {role: token_text(config.get(role)) for role in SPECIAL_TOKENS}
    further = config.get("additional_special_tokens")
    if isinstance(further, list):
        tokens["additional_special_tokens"] = [token_text(token) for token in further]
    for named in (config.get("extra_special_tokens"), config.get("model_specific_special_tokens")):
        if isinstance(named, dict):
            tokens |= {str(name): token_text(token) for name, token in named.items()}
    return {name: token for name, token in tokens.items() if token}
