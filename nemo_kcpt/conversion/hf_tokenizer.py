"""Tokenizer files for an exported model: as `PreTrainedTokenizerFast`, with the same ids under transformers 4 and 5.

Ids must not depend on code that a class name stands for. transformers 4 puts the beginning-of-sequence token of a
`LlamaTokenizerFast` in by code, 5 does so for every class where `add_bos_token` is set, and slow classes' names mean
other normalisation in both. So what the class does is written into `tokenizer.json`, whose rules both follow, and what
would do it again is left out of `tokenizer_config.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import atomic_write, read_json, write_json
from nemo_kcpt.packing.tokenise import PackTokenizer

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
KEPT = (
    *SPECIAL_TOKENS,
    "additional_special_tokens",
    "extra_special_tokens",
    "added_tokens_decoder",
    "chat_template",
    "clean_up_tokenization_spaces",
    "model_input_names",
    "model_max_length",
    "padding_side",
    "truncation_side",
)
"""Keys of `tokenizer_config.json` that mean the same to `PreTrainedTokenizerFast` in transformers 4 and 5."""
LLAMA_CLASSES = ("LlamaTokenizer", "LlamaTokenizerFast")
LARGEST = 10**12
"""transformers writes 10^30 as `model_max_length` where it knows none."""


def special_ids(tokenizer: PackTokenizer) -> dict[str, int]:
    """`bos_token_id`, `eos_token_id` and `pad_token_id`, where the tokenizer has them."""
    found = ((f"{role}_token_id", tokenizer.token_id(f"{role}_token")) for role in ("bos", "eos", "pad"))
    return {name: number for name, number in found if number is not None}


def _template(tokens: dict[str, tuple[str, int]], config: dict[str, Any]) -> dict[str, Any]:
    """The post-processor that transformers 4 gives a Llama tokenizer (`update_post_processor`)."""
    bos = tokens["bos"] if config.get("add_bos_token", True) else None
    eos = tokens["eos"] if config.get("add_eos_token", False) else None

    def sequence(name: str, number: int) -> list[dict[str, Any]]:
        around = [[{"SpecialToken": {"id": one[0], "type_id": number}}] if one else [] for one in (bos, eos)]
        return [*around[0], {"Sequence": {"id": name, "type_id": number}}, *around[1]]

    return {
        "type": "TemplateProcessing",
        "single": sequence("A", 0),
        "pair": [*sequence("A", 0), *sequence("B", 1)],
        "special_tokens": {one[0]: {"id": one[0], "ids": [one[1]], "tokens": [one[0]]} for one in (bos, eos) if one},
    }


def _with_class_rules(rules: dict[str, Any], tokenizer: PackTokenizer) -> dict[str, Any]:
    config, tokens = tokenizer.config, {}
    if config.get("tokenizer_class") not in LLAMA_CLASSES:
        return rules
    for role in ("bos", "eos"):
        number = tokenizer.token_id(f"{role}_token")
        if number is not None:
            given = config[f"{role}_token"]
            tokens[role] = (str(given["content"]) if isinstance(given, dict) else str(given), number)
        elif config.get(f"add_{role}_token", role == "bos"):
            raise BadInput(f"{tokenizer.folder}/tokenizer_config.json: add_{role}_token without a {role}_token; set it")
    return {**rules, "post_processor": _template(tokens, config)}


def write_tokenizer(source: Path, out: Path, positions: int) -> list[Path]:
    """Write `tokenizer.json`, `tokenizer_config.json` and, where `source` has them, map and chat template.

    Args:
        source: Hugging Face folder of a fast tokenizer.
        out: folder to write into.
        positions: of the model; a larger or unknown `model_max_length` becomes this.

    Returns:
        The files.

    Raises:
        BadInput: `source` has no fast tokenizer, or one that misses a special token which its own config names.
    """
    tokenizer = PackTokenizer(source)
    original = source / "tokenizer.json"
    rules = read_json(original)
    ours = _with_class_rules(rules, tokenizer)
    paths = [out / "tokenizer.json", out / "tokenizer_config.json"]
    with atomic_write(paths[0], "wb") as stream:
        # Byte for byte where nothing changes: packs are compared with models by this file's hash.
        stream.write(original.read_bytes() if ours == rules else json.dumps(ours, ensure_ascii=False).encode())
    config = {key: value for key, value in tokenizer.config.items() if key in KEPT}
    longest = config.get("model_max_length")
    if not (isinstance(longest, int) and longest < LARGEST) or longest > positions:
        config["model_max_length"] = positions
    write_json(paths[1], {**config, "tokenizer_class": "PreTrainedTokenizerFast"})
    for name in ("special_tokens_map.json", "chat_template.jinja"):
        if (source / name).is_file():
            paths.append(out / name)
            with atomic_write(paths[-1], "wb") as stream:
                stream.write((source / name).read_bytes())
    return paths
