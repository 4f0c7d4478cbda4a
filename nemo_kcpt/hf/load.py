"""Config, model and tokenizer of a Hugging Face folder, as the train environment's transformers 4.57 must load them.

transformers 5 writes some things under names that 4.57 passes over without a word: `rope_parameters` (4.57 then takes a
RoPE base of 10,000 and no scaling), the tokenizer class `TokenizersBackend`, `extra_special_tokens` as a list. Whatever
loads a model or tokenizer in the train environment does so here: what 5 wrote is put into 4.57's words in memory, and
what has no such word is refused by name. The folder itself is never altered.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json
from nemo_kcpt.hf.remote_code import check_model_code, check_tokenizer_code

V4_ROPE_TYPES = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
"""Kinds of RoPE scaling that transformers 4.57 computes."""
ROPE_KEYS = (
    "rope_theta",
    "rope_type",
    "type",
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "truncate",
    "short_factor",
    "long_factor",
    "partial_rotary_factor",
    "original_max_position_embeddings",
)
"""Keys of RoPE parameters that mean the same in both versions."""
ROPE_NAMES = {
    "gpt_neox": {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"},
    "modernbert": {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"},
    "modernbert-decoder": {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"},
    "gemma3_text": {"full_attention": "rope_theta", "sliding_attention": "rope_local_base_freq"},
}
"""Where 4.57 keeps a RoPE base under another name than `rope_theta`: by parameter, or by kind of layer."""
SCALED_LAYERS = {"gemma3_text": "full_attention"}
"""The kind of layer that 4.57's `rope_scaling` is for, in models with several."""
SILENT = re.compile(r"_|unsloth_|transformers|dtype|torch_dtype|auto_map|architectures|name_or_path|mtp_layer_types")
"""Beginnings of a config's keys that shape no number."""
FLOATS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}
"""What transformers 5 writes as {"__float__": NAME}, since JSON has no such numbers."""
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


def rope(config: Mapping[str, Any], where: str) -> tuple[float | None, dict[str, Any] | None]:
    """RoPE base and scaling in a config's own words, of transformers 4 or 5; None for what it does not say.

    Raises:
        BadInput: the two versions' words contradict each other (4.57 and 5 would each believe another), or a parameter
            is not known.
    """
    given = config.get("rope_parameters")
    old = config.get("rope_scaling")
    for name, value in (("rope_parameters", given), ("rope_scaling", old)):
        if value is not None and not isinstance(value, Mapping):
            raise BadInput(f"{where}: {name} is {value!r}; an object with RoPE's parameters was expected")
        if layered := sorted(key for key, one in (value or {}).items() if isinstance(one, Mapping)):
            raise BadInput(
                f"{where}: {name} holds parameters for kinds of layers ({', '.join(layered)}), which is not known for "
                f"model_type '{config.get('model_type')}'"
            )
        if unknown := sorted(set(value or {}) - set(ROPE_KEYS)):
            raise BadInput(f"{where}: {name}: {', '.join(unknown)} is not known here; known are {', '.join(ROPE_KEYS)}")
    bases = {
        f"{name}rope_theta": float(source["rope_theta"])
        for name, source in (("", config), ("rope_parameters.", given), ("rope_scaling.", old))
        if source and source.get("rope_theta") is not None
    }
    if len(set(bases.values())) > 1:
        said = ", ".join(f"{name}={value:g}" for name, value in bases.items())
        raise BadInput(f"{where}: two RoPE bases ({said}); keep the one that the model was trained with")
    scalings = [found for found in map(_scaling, (old, given)) if found]
    if len(scalings) > 1 and scalings[0] != scalings[1]:
        raise BadInput(f"{where}: rope_scaling and rope_parameters differ; keep what the model was trained with")
    return next(iter(bases.values()), None), next(iter(scalings), None)


def _scaling(parameters: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The scaling alone, without base and share of the dimensions; None where there is none."""
    kind = (parameters or {}).get("rope_type", (parameters or {}).get("type", "default"))
    if parameters is None or kind == "default":
        return None
    left = ("rope_theta", "partial_rotary_factor", "type")
    return {**{key: value for key, value in parameters.items() if key not in left}, "rope_type": kind}


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object; empty where it is missing.

    Raises:
        BadInput: it holds something else, or is not JSON.
    """
    found = read_json(path) if path.is_file() else {}
    if not isinstance(found, dict):
        raise BadInput(f"{path}: expected an object, found a {type(found).__name__}")
    return found


def v4_config(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A `config.json` of transformers 4 or 5 in the words of 4.57; one of version 4 comes back as it is.

    Raises:
        BadInput: 4.57 does not know the model type, or has no word for something that version 5 wrote.
    """
    if "rope_parameters" not in config and not str(config.get("transformers_version", "")).startswith("5"):
        return dict(config)
    from transformers import CONFIG_MAPPING

    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        raise BadInput(
            f"{where}: model_type '{kind}' is not known to transformers 4.57, which reads models here; "
            "engine=vllm reads with version 5"
        )
    result = {key: _plain(value) for key, value in config.items() if key != "rope_parameters"}
    for key, value in config.items():
        if key.endswith("_config") and isinstance(value, Mapping) and "model_type" in value:
            result[key] = v4_config({"transformers_version": "5", **value}, f"{where}: {key}")
    known = known_keys(CONFIG_MAPPING[kind])
    result |= _v4_rope(config, known, where)
    if "layer_types" in result and "global_attn_every_n_layers" in known - {"layer_types"}:  # ModernBERT
        result["global_attn_every_n_layers"] = _every(result.pop("layer_types"), where)
    for key, value in result.items():
        neutral = value is None or value is False or value == [] or value == {}
        if key not in known and not neutral and not SILENT.match(key):
            raise BadInput(
                f"{where}: {key} was written by transformers 5 and is not known to 4.57, which reads models here. If "
                "it does not change what the model computes, take it out of a copy of the folder; engine=vllm reads it"
            )
    return result


def _every(layers: Any, where: str) -> int:
    """Every how many layers, from the first one on, one attends to the whole text."""
    whole = [kind == "full_attention" for kind in layers] if isinstance(layers, list) else []
    for every in range(1, len(whole) + 1):
        if whole == [place % every == 0 for place in range(len(whole))]:
            return every
    raise BadInput(
        f"{where}: layer_types is {layers!r}; transformers 4.57 knows full attention in every n-th layer only"
    )


def _plain(value: Any) -> Any:
    return FLOATS.get(value["__float__"], value) if isinstance(value, dict) and [*value] == ["__float__"] else value


def known_keys(kind: Any) -> set[str]:
    """Keys that 4.57's class for a config has a meaning for."""
    return {*inspect.signature(kind.__init__).parameters, *kind().to_dict(), *kind.attribute_map}


def _v4_rope(config: Mapping[str, Any], known: set[str], where: str) -> dict[str, Any]:
    """RoPE's parameters under the keys that 4.57 reads."""
    given = config.get("rope_parameters") or {}
    names = ROPE_NAMES.get(str(config.get("model_type")), {})
    nested = isinstance(given, Mapping)
    layers = {key: value for key, value in given.items() if isinstance(value, Mapping)} if nested else {}
    found: dict[str, Any] = {}
    if layers and set(layers) == set(given) <= set(names):
        for layer, parameters in layers.items():
            base, scaling = rope({"rope_parameters": parameters}, f"{where}: {layer}")
            found[names[layer]] = base
            if scaling and SCALED_LAYERS.get(str(config.get("model_type"))) == layer:
                found["rope_scaling"] = scaling
            elif scaling:
                raise BadInput(f"{where}: RoPE scaling of {layer}; transformers 4.57 knows none there")
    else:
        base, scaling = rope(config, where)
        share = given.get("partial_rotary_factor")
        shared = names.get("partial_rotary_factor", "partial_rotary_factor")
        found = {names.get("rope_theta", "rope_theta"): base, "rope_scaling": scaling}
        found |= {shared: share} if share is not None and (share != 1 or shared in known) else {}
        positions = (scaling or {}).get("original_max_position_embeddings")
        if "original_max_position_embeddings" in known and positions is not None:
            found["original_max_position_embeddings"] = positions
    found = {key: value for key, value in found.items() if value is not None or key == "rope_scaling" in known}
    if unknown := sorted(set(found) - known):
        raise BadInput(
            f"{where}: model_type '{config.get('model_type')}' has no {', '.join(unknown)} in transformers 4.57, which "
            "reads models here, so what transformers 5 wrote as rope_parameters cannot be kept; engine=vllm reads it"
        )
    scaling_kind = (found.get("rope_scaling") or {}).get("rope_type", "default")
    if scaling_kind not in V4_ROPE_TYPES:
        raise BadInput(f"{where}: RoPE scaling of type '{scaling_kind}'; known are {', '.join(V4_ROPE_TYPES)}")
    return found


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
    ends = {one for one in (given if isinstance(given, list) else [given]) if isinstance(one, int)}
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
        more = [one for one in config.get("additional_special_tokens") or [] if one not in extra]
        options = {"extra_special_tokens": {}, "additional_special_tokens": [*map(_content, [*more, *extra])]}
    if isinstance(named, dict):
        found = {**named, **(extra if isinstance(extra, dict) else {})}
        options["extra_special_tokens"] = {key: _content(value) for key, value in found.items()}
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
    told = logging.getLogger("transformers.tokenization_utils_base")
    level = told.level
    try:
        if name == GENERIC_CLASS:
            told.setLevel(logging.ERROR)
        return getattr(transformers, name).from_pretrained(
            folder, trust_remote_code=False, local_files_only=True, **options
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BadInput(f"{folder}: transformers cannot load its tokenizer: {reason}") from None
    finally:
        told.setLevel(level)
