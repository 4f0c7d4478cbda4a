"""Config, model and tokenizer of a Hugging Face folder, as the train environment's transformers 4.57 must load them.

transformers 5 writes some things under names that 4.57 passes over without a word: `rope_parameters` (4.57 then takes a
RoPE base of 10,000 and no scaling), the tokenizer class `TokenizersBackend`, `extra_special_tokens` as a list. Whatever
loads a model or tokenizer in the train environment does so here: what 5 wrote is put into 4.57's words in memory, and
what has no such word is refused by name. The folder itself is never altered.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json
from nemo_kcpt.hf.remote_code import check_model_code, check_tokenizer_code
from nemo_kcpt.hf.v4_config import v4_config

NO_RULES = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "use_cache",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "output_logits",
    "return_dict_in_generate",
    "transformers_version",
    "_from_model_config",
    "cache_implementation",
)
"""Keys of a generation config that choose no token."""
GENERIC_CLASS = "PreTrainedTokenizerFast"
V5_GENERIC_CLASS = "TokenizersBackend"
ROTARY = "rotary_emb.inv_freq"
"""Buffers that old versions of transformers saved; they follow from the config."""
SHOWN = 3


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object; empty where it is missing.

    Raises:
        BadInput: it holds something else, or is not JSON.
    """
    content = read_json(path) if path.is_file() else {}
    if not isinstance(content, dict):
        raise BadInput(f"{path}: expected an object, found a {type(content).__name__}")
    return content


def load_config(folder: Path) -> Any:
    """transformers' config object of a model folder.

    Raises:
        BadInput: there is none, or see :func:`v4_config`.
    """
    from transformers import CONFIG_MAPPING

    path = folder / "config.json"
    if not path.is_file():
        raise BadInput(f"{path}: missing; a Hugging Face model folder is needed")
    given = read_object(path)
    check_model_code(folder, given)
    config = v4_config(given, str(path))
    config.pop("auto_map", None)
    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        raise BadInput(f"{path}: model_type '{kind}' is not known to transformers 4.57, which reads models here")
    try:
        return CONFIG_MAPPING[kind].from_dict({**config, "_name_or_path": str(folder)})
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: transformers cannot read it: {type(error).__name__}: {error}") from None


def load_causal_lm(folder: Path, dtype: str = "float32") -> Any:
    """The language model of a folder, in evaluation mode on the CPU, with no decoding rules of its own.

    Its generation config keeps the tokens that end a text (:func:`stop_ids`) and nothing else of the folder's
    `generation_config.json`: penalties, n-grams, beams, suppressed and forced tokens, least lengths.

    Args:
        folder: with `config.json` and safetensors.
        dtype: float32, bfloat16 or float16.

    Raises:
        BadInput: see :func:`load_config`; or the weights are damaged, or not those that the config asks for.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, GenerationConfig

    config = load_config(folder)
    # transformers' default attention passes over the cap of a Gemma 2's scores without a word.
    capped = {"attn_implementation": "eager"} if getattr(config, "attn_logit_softcapping", None) else {}
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **capped,
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BadInput(f"{folder}: transformers cannot load it: {reason}") from None
    unexpected = [name for name in report["unexpected_keys"] if not name.endswith(ROTARY)]
    for names, what in ((report["missing_keys"], "missing"), (unexpected, "not known")):
        if names:
            some = ", ".join(sorted(names)[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
            raise BadInput(
                f"{folder}: of its weights {some} {'is' if len(names) == 1 else 'are'} {what} for a model as in its "
                "config.json; download it again, or merge adapters first"
            )
    ends = stop_ids(folder)
    pad = min(ends, default=0)
    model.generation_config = GenerationConfig(eos_token_id=sorted(ends) or None, pad_token_id=pad, do_sample=False)
    return model.eval()


def stop_ids(folder: Path) -> set[int]:
    """Tokens that end a text, as vLLM has them: the generation config's (else the config's) and the tokenizer's."""
    generation = folder / "generation_config.json"
    given = read_object(generation if generation.is_file() else folder / "config.json").get("eos_token_id")
    ends = {end for end in (given if isinstance(given, list) else [given]) if isinstance(end, int)}
    config = read_object(folder / "tokenizer_config.json")
    word = _content(config.get("eos_token"))
    if isinstance(word, str) and (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        own = Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id(word)
        ends |= {own} if own is not None else set()
    return ends


def decoding_rules(folder: Path) -> dict[str, Any]:
    """The rules for choosing tokens that a folder's `generation_config.json` carries: penalties, sampling, lengths …"""
    given = read_object(folder / "generation_config.json")
    return {key: value for key, value in given.items() if key not in NO_RULES and value is not None}


def tokenizer_options(folder: Path) -> tuple[str, dict[str, Any]]:
    """Class and options with which transformers 4.57 reads a folder's tokenizer as version 5 does.

    Returns:
        The name of a class of transformers, and keyword arguments of its `from_pretrained` (plain JSON).

    Raises:
        BadInput: the tokenizer is of a kind that has no `tokenizer.json`, or needs code of its own.
    """
    path = folder / "tokenizer_config.json"
    config = read_object(path)
    name = str(config.get("tokenizer_class") or "")
    options: dict[str, Any] = {}
    own_code = check_tokenizer_code(folder, config) is not None
    if re.fullmatch(r"(SentencePiece|Python|MistralCommon)Backend", name):
        raise BadInput(
            f"{path}: tokenizer_class '{name}' of transformers 5 is not known to 4.57, which reads tokenizers here; "
            "save it as a fast tokenizer (tokenizer.json)"
        )
    if name == V5_GENERIC_CLASS and not (folder / "tokenizer.json").is_file():
        raise BadInput(f"{folder}: no tokenizer.json in it, which a tokenizer of class '{name}' needs")
    extra, named = config.get("extra_special_tokens"), config.get("model_specific_special_tokens")
    if isinstance(extra, list):
        more = [token for token in config.get("additional_special_tokens") or [] if token not in extra]
        options = {"extra_special_tokens": {}, "additional_special_tokens": [*map(_content, [*more, *extra])]}
    if isinstance(named, dict):
        tokens = {**named, **(extra if isinstance(extra, dict) else {})}
        options["extra_special_tokens"] = {key: _content(value) for key, value in tokens.items()}
    return (GENERIC_CLASS if own_code or name in (V5_GENERIC_CLASS, GENERIC_CLASS) else "AutoTokenizer"), options


def has_own_code(folder: Path) -> bool:
    """Whether a folder's tokenizer is code of its own, so that no `AutoTokenizer` loads it; `tokenizer.json` does.

    Raises:
        BadInput: see :func:`check_tokenizer_code`.
    """
    return check_tokenizer_code(folder, read_object(folder / "tokenizer_config.json")) is not None


def _content(token: Any) -> Any:
    return token["content"] if isinstance(token, dict) and "content" in token else token


def load_tokenizer(folder: Path) -> Any:
    """transformers' tokenizer of a folder; no code of the folder is run.

    Raises:
        BadInput: see :func:`tokenizer_options`, or its class is not known.
    """
    import transformers

    name, options = tokenizer_options(folder)
    # It warns of another class's name, which is meant here: both stand for tokenizer.json alone.
    logger = logging.getLogger("transformers.tokenization_utils_base")
    level = logger.level
    try:
        if name == GENERIC_CLASS:
            logger.setLevel(logging.ERROR)
        return getattr(transformers, name).from_pretrained(
            folder, trust_remote_code=False, local_files_only=True, **options
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BadInput(f"{folder}: transformers cannot load its tokenizer: {reason}") from None
    finally:
        logger.setLevel(level)
