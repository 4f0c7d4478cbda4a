"""Folders whose card says that they load with code of their own: each leaves a mark if anybody runs it."""

from __future__ import annotations

from pathlib import Path

from nemo_kcpt.files import read_json, write_json

DECODES = "LlamaTokenizerFast:_decode"
"""A class as llm-jp-4's: only what ids become as text is its own."""


def with_own_tokenizer(folder: Path, canary: Path, kind: str = DECODES) -> Path:
    """Name a class of its own for the tokenizer; `kind` is BASE:METHOD."""
    base, method = kind.split(":")
    (folder / "tokenization_own.py").write_text(
        f"import pathlib\nfrom transformers import {base}\npathlib.Path({str(canary)!r}).touch()\n\n\n"
        f"class OwnTokenizer({base}):\n    def __init__(self, *args, **kwargs):\n"
        "        super().__init__(*args, **kwargs)\n\n"
        f"    def {method}(self, *args, **kwargs):\n        return super().{method}(*args, **kwargs)\n"
    )
    config = read_json(folder / "tokenizer_config.json")
    own = {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": [None, "tokenization_own.OwnTokenizer"]}}
    write_json(folder / "tokenizer_config.json", config | own)
    return folder


def with_own_model(folder: Path, canary: Path, architecture: str = "LlamaForCausalLM") -> Path:
    """Name classes of its own for config and model."""
    (folder / "modeling_own.py").write_text(
        "import pathlib\nfrom transformers import LlamaConfig, LlamaForCausalLM\n"
        f"pathlib.Path({str(canary)!r}).touch()\n\n\n"
        f"class OwnConfig(LlamaConfig):\n    pass\n\n\nclass {architecture}(LlamaForCausalLM):\n    pass\n"
    )
    config = read_json(folder / "config.json")
    named = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": f"modeling_own.{architecture}"}
    write_json(folder / "config.json", config | {"auto_map": named, "architectures": [architecture]})
    return folder
