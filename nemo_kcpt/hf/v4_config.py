"""A model's config in the words of transformers 4.57, which the train environment has, whichever version wrote it.

What transformers 5 wrote is put into 4.57's words; what has no such word is refused by name.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from nemo_kcpt.errors import BadInput

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
        if layered := sorted(key for key, parameter in (value or {}).items() if isinstance(parameter, Mapping)):
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
    scalings = [scaling for scaling in map(_scaling, (old, given)) if scaling]
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
        if whole == [index % every == 0 for index in range(len(whole))]:
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
    settings: dict[str, Any] = {}
    if layers and set(layers) == set(given) <= set(names):
        for layer, parameters in layers.items():
            base, scaling = rope({"rope_parameters": parameters}, f"{where}: {layer}")
            settings[names[layer]] = base
            if scaling and SCALED_LAYERS.get(str(config.get("model_type"))) == layer:
                settings["rope_scaling"] = scaling
            elif scaling:
                raise BadInput(f"{where}: RoPE scaling of {layer}; transformers 4.57 knows none there")
    else:
        base, scaling = rope(config, where)
        share = given.get("partial_rotary_factor")
        shared = names.get("partial_rotary_factor", "partial_rotary_factor")
        settings = {names.get("rope_theta", "rope_theta"): base, "rope_scaling": scaling}
        settings |= {shared: share} if share is not None and (share != 1 or shared in known) else {}
        positions = (scaling or {}).get("original_max_position_embeddings")
        if "original_max_position_embeddings" in known and positions is not None:
            settings["original_max_position_embeddings"] = positions
    settings = {key: value for key, value in settings.items() if value is not None or key == "rope_scaling" in known}
    if unknown := sorted(set(settings) - known):
        raise BadInput(
            f"{where}: model_type '{config.get('model_type')}' has no {', '.join(unknown)} in transformers 4.57, which "
            "reads models here, so what transformers 5 wrote as rope_parameters cannot be kept; engine=vllm reads it"
        )
    scaling_kind = (settings.get("rope_scaling") or {}).get("rope_type", "default")
    if scaling_kind not in V4_ROPE_TYPES:
        raise BadInput(f"{where}: RoPE scaling of type '{scaling_kind}'; known are {', '.join(V4_ROPE_TYPES)}")
    return settings
