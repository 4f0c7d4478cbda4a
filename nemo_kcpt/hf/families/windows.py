"""Sliding windows in `config.json`: of every layer (Mistral), or of the layers from a certain one on (Qwen)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.families.base import ModelShape

FULL, SLIDING = "full_attention", "sliding_attention"
LATER_LAYERS_DEFAULTS = {"use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28}


def _window(config: Mapping[str, Any], kinds: list[str], where: str) -> dict[str, Any]:
    """`sliding_window` where the layers are of these kinds, which `layer_types` may give in other words."""
    given = config.get("layer_types")
    if given is not None and (not isinstance(given, list) or len(given) != len(kinds)):
        raise BadInput(f"{where}: layer_types is {str(given)[:60]}; the kinds of {len(kinds)} layers were expected")
    kinds = kinds if given is None else given
    if unknown := sorted({str(kind) for kind in kinds} - {FULL, SLIDING}):
        raise BadInput(f"{where}: layer_types has {', '.join(unknown)}; only {FULL} and {SLIDING} are known")
    if SLIDING not in kinds:
        return {"sliding_window": None}
    if FULL in kinds:
        raise BadInput(
            f"{where}: {kinds.count(SLIDING)} of {len(kinds)} layers see a sliding window and the others everything, "
            "which is not known for this family. If no sequence will be longer than the window, set "
            "use_sliding_window to false (and take out layer_types) in a copy of the folder"
        )
    window = config.get("sliding_window")
    if type(window) is not int or window < 1:
        raise BadInput(f"{where}: sliding_window is {window!r}; a number of tokens was expected, or null for none")
    return {"sliding_window": window}


def read_every_layer(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Mistral's: `sliding_window` is every layer's, null means none."""
    kind = FULL if config.get("sliding_window") is None else SLIDING
    return _window(config, [kind] * int(config["num_hidden_layers"]), where)


def write_every_layer(shape: ModelShape) -> dict[str, Any]:
    """What :func:`read_every_layer` reads."""
    return {"sliding_window": shape.sliding_window}


def read_later_layers(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Qwen's: with `use_sliding_window` the layers from `max_window_layers` on have `sliding_window`."""
    layers = int(config["num_hidden_layers"])
    has = bool(config["use_sliding_window"]) and config["sliding_window"] is not None
    first = max(0, min(layers, int(config["max_window_layers"]))) if has else layers
    return _window(config, [FULL] * first + [SLIDING] * (layers - first), where)


def write_later_layers(shape: ModelShape) -> dict[str, Any]:
    """What :func:`read_later_layers` reads."""
    return {
        "use_sliding_window": shape.sliding_window is not None,
        "sliding_window": shape.sliding_window,
        "max_window_layers": shape.num_layers if shape.sliding_window is None else 0,
    }
