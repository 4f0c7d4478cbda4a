"""Python packages that an encoder's tokenizer needs and that are not installed, by name and command."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from nemo_kcpt.files import read_json

_DICTIONARIES = {"ipadic": "ipadic", "unidic_lite": "unidic-lite", "unidic": "unidic"}
"""transformers' name of a MeCab dictionary, which is also its module -> the package on PyPI."""


def lacking(folder: Path, error: BaseException) -> str:
    """What to install so that the encoder in `folder` loads, as part of an error's text; empty if it's no package.

    Japanese BERTs (tohoku-nlp/bert-base-japanese…) cut words by MeCab, which is in fugashi, with a dictionary that
    tokenizer_config.json names; this project installs neither.

    Args:
        folder: the encoder's.
        error: what loading it raised.
    """
    if not isinstance(error, ImportError):
        return ""
    wanted = {module: package for module, package in _japanese(folder).items() if find_spec(module) is None}
    if not wanted and error.name:
        wanted = {error.name: error.name.partition(".")[0]}
    if not wanted:
        return ""
    names = " and ".join(wanted.values())
    many = len(wanted) > 1
    return (
        f"needs the Python package{'s' * many} {names}, which {'are' if many else 'is'} not installed; run "
        f"`{sys.executable} -m pip install {' '.join(wanted.values())}`, or give another encoder, or encoder=none"
    )


def _japanese(folder: Path) -> dict[str, str]:
    """Module -> package of what cuts words for a BertJapaneseTokenizer."""
    path = folder / "tokenizer_config.json"
    settings = read_json(path) if path.is_file() else {}
    if not isinstance(settings, dict):
        return {}
    kind = settings.get("word_tokenizer_type")
    if kind == "sudachi":
        return {"sudachipy": "sudachipy", "sudachidict_core": "sudachidict_core"}
    if kind == "jumanpp":
        return {"rhoknp": "rhoknp"}
    if kind != "mecab":
        return {}
    options = settings.get("mecab_kwargs")
    dictionary = (options if isinstance(options, dict) else {}).get("mecab_dic", "unidic_lite")
    return {"fugashi": "fugashi"} | ({dictionary: _DICTIONARIES[dictionary]} if dictionary in _DICTIONARIES else {})
