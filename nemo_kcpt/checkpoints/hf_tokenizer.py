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
from nemo_kcpt.hf.chat_template import ADDITIONAL, DATE, SEPARATE, named_templates, with_date
from nemo_kcpt.hf.remote_code import TOKENIZER, remote_class
from nemo_kcpt.hf.special_tokens import SPECIAL_MAP
from nemo_kcpt.hf.tokenizer import PackTokenizer

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
KEPT = (
    *SPECIAL_TOKENS,
    "additional_special_tokens",
    "extra_special_tokens",
    "added_tokens_decoder",
    "chat_template",
    "clean_up_tokenization_spaces",
    "model_max_length",
    "padding_side",
    "truncation_side",
)
"""Keys of `tokenizer_config.json` that mean the same to `PreTrainedTokenizerFast` in transformers 4 and 5."""
LLAMA_CLASSES = ("LlamaTokenizer", "LlamaTokenizerFast")
INPUTS = ["input_ids", "attention_mask"]
"""What a Llama takes; `PreTrainedTokenizerFast` of transformers 4.57 adds token_type_ids, at which `generate` fails."""
LARGEST = 10**12
"""transformers writes 10^30 as `model_max_length` where it knows none."""


def special_ids(tokenizer: PackTokenizer) -> dict[str, int]:
    """`bos_token_id`, `eos_token_id` and `pad_token_id`, where the tokenizer has them."""
    ids = ((f"{role}_token_id", tokenizer.token_id(f"{role}_token")) for role in ("bos", "eos", "pad"))
    return {name: number for name, number in ids if number is not None}


def _template(tokens: dict[str, tuple[str, int]], config: dict[str, Any]) -> dict[str, Any]:
    """The post-processor that transformers 4 gives a Llama tokenizer (`update_post_processor`)."""
    bos = tokens["bos"] if config.get("add_bos_token", True) else None
    eos = tokens["eos"] if config.get("add_eos_token", False) else None

    def sequence(name: str, number: int) -> list[dict[str, Any]]:
        around = [[{"SpecialToken": {"id": token[0], "type_id": number}}] if token else [] for token in (bos, eos)]
        return [*around[0], {"Sequence": {"id": name, "type_id": number}}, *around[1]]

    return {
        "type": "TemplateProcessing",
        "single": sequence("A", 0),
        "pair": [*sequence("A", 0), *sequence("B", 1)],
        "special_tokens": {
            token[0]: {"id": token[0], "ids": [token[1]], "tokens": [token[0]]} for token in (bos, eos) if token
        },
    }


def with_class_rules(rules: dict[str, Any], tokenizer: PackTokenizer) -> dict[str, Any]:
    """A `tokenizer.json` with what the tokenizer's class does in code.

    Raises:
        BadInput: a token that the class puts in is not set.
    """
    config, tokens = tokenizer.config, {}
    own_code = remote_class(tokenizer.folder, config, TOKENIZER)
    classes = {config.get("tokenizer_class"), *(own_code.bases if own_code else ())}
    if not classes & set(LLAMA_CLASSES):
        return rules
    for role in ("bos", "eos"):
        number = tokenizer.token_id(f"{role}_token")
        if number is not None:
            given = config[f"{role}_token"]
            tokens[role] = (str(given["content"]) if isinstance(given, dict) else str(given), number)
        elif config.get(f"add_{role}_token", role == "bos"):
            raise BadInput(f"{tokenizer.folder}/tokenizer_config.json: add_{role}_token without a {role}_token; set it")
    return {**rules, "post_processor": _template(tokens, config)}


def _special_tokens(config: dict[str, Any]) -> dict[str, Any]:
    """Further special tokens in words that transformers 4.57 and 5 both read: a list under the older name, names as a
    mapping under the newer."""
    extra, named = config.get("extra_special_tokens"), config.get("model_specific_special_tokens")
    entries: dict[str, Any] = {}
    if isinstance(extra, list):
        older = [token for token in config.get("additional_special_tokens") or [] if token not in extra]
        entries["additional_special_tokens"] = [*older, *extra]
    names = {**(extra if isinstance(extra, dict) else {}), **(named if isinstance(named, dict) else {})}
    return entries | ({"extra_special_tokens": names} if names else {})


def _write_template(tokenizer: PackTokenizer, out: Path, given: str, day: str) -> tuple[list[Path], bool]:
    """Write the chat template's files; returns them and whether they replace the config's template.

    Everything stays where it was, byte for byte, unless training had another template, or one that writes a date: that
    date is then written into it.
    """
    source, texts = tokenizer.folder, dict[str, str]()
    if given:
        texts[SEPARATE] = with_date(given, day)
    elif tokenizer.has_template and with_date(tokenizer.chat_template, day) != tokenizer.chat_template:
        texts[SEPARATE] = with_date(tokenizer.chat_template, day)
        for name, text in named_templates(source, tokenizer.config).items():
            if name != "default":
                texts[f"{ADDITIONAL}/{name}.jinja"] = with_date(text, day)
    files = {name: text.encode() for name, text in texts.items()}
    if not texts:
        kept = [path for path in (source / SEPARATE, *sorted((source / ADDITIONAL).glob("*.jinja"))) if path.is_file()]
        files = {path.relative_to(source).as_posix(): path.read_bytes() for path in kept}
    for name, content in files.items():
        with atomic_write(out / name, "wb") as stream:
            stream.write(content)
    return [out / name for name in files], bool(texts)


def write_tokenizer(source: Path, out: Path, positions: int, template: str = "", day: str = DATE) -> list[Path]:
    """Write `tokenizer.json`, `tokenizer_config.json` and, where there are any, special tokens and chat template.

    Args:
        source: Hugging Face folder of a fast tokenizer.
        out: folder to write into.
        positions: of the model; a larger or unknown `model_max_length` becomes this.
        template: chat template of the training, if it was not the tokenizer's own.
        day: the date that a template writes which would write today's.

    Returns:
        The files.

    Raises:
        BadInput: `source` has no fast tokenizer, or one that misses a special token which its own config names.
    """
    tokenizer = PackTokenizer(source)
    original = source / "tokenizer.json"
    rules = read_json(original)
    ours = with_class_rules(rules, tokenizer)
    paths = [out / "tokenizer.json", out / "tokenizer_config.json"]
    with atomic_write(paths[0], "wb") as stream:
        # Byte for byte where nothing changes: packs are compared with models by this file's hash.
        stream.write(original.read_bytes() if ours == rules else json.dumps(ours, ensure_ascii=False).encode())
    config = {key: value for key, value in tokenizer.config.items() if key in KEPT}
    longest = config.get("model_max_length")
    if not (isinstance(longest, int) and longest < LARGEST) or longest > positions:
        config["model_max_length"] = positions
    if {"extra_special_tokens", "model_specific_special_tokens"} & tokenizer.config.keys():
        config.pop("extra_special_tokens", None)
        config |= _special_tokens(tokenizer.config)
    templates, moved = _write_template(tokenizer, out, template, day)
    if moved:
        config.pop("chat_template", None)
    write_json(paths[1], {**config, "model_input_names": INPUTS, "tokenizer_class": "PreTrainedTokenizerFast"})
    if (source / SPECIAL_MAP).is_file():
        paths.append(out / SPECIAL_MAP)
        with atomic_write(paths[-1], "wb") as stream:
            stream.write((source / SPECIAL_MAP).read_bytes())
    return paths + templates
