"""Which models answer, as the key `models` names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput

DTYPES = ("float32", "bfloat16", "float16", "auto")
"""Arithmetic in which a model answers; auto: what its folder names."""


def parse_models(given: Any) -> dict[str, Path]:
    """Names and folders of `models`, in any of its three forms.

    Raises:
        BadInput: another form, a name given twice, or no model.
    """
    if isinstance(given, Mapping):
        pairs = [(str(name), str(folder)) for name, folder in given.items()]
    else:
        words = given.split(",") if isinstance(given, str) else list(given) if isinstance(given, Sequence) else [given]
        pairs = []
        for word in words:
            name, equals, folder = str(word).strip().partition("=")
            if not equals or not name or not folder:
                raise BadInput(f"models: '{word}' is not of the form NAME=FOLDER; see kcpt generate --help")
            pairs.append((name.strip(), folder.strip()))
    models = {name: Path(folder) for name, folder in pairs}
    if len(models) < len(pairs):
        raise BadInput("models: a name is given twice; every model needs a name of its own")
    if not models:
        raise BadInput("models: none given; give NAME=FOLDER")
    return models
