"""Code that a Hugging Face folder brings along (`auto_map`): it is read, and never run.

A card that asks for `trust_remote_code` names classes in Python files beside the weights. A tokenizer's class is not
needed where `tokenizer.json` says what it does; what the class overrides is found in its source, and refused where that
makes other token ids. A model's class is not needed where `model_type` is one that transformers knows.
"""

from __future__ import annotations

import ast
import multiprocessing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.logs import LOG

TOKENIZER, MODEL = "AutoTokenizer", "AutoModelForCausalLM"
SLOW = ("PreTrainedTokenizer", "PythonBackend")
"""Base classes of tokenizers whose ids are made in Python."""
MAKES_IDS = frozenset(
    (
        "__call__",
        "encode",
        "encode_plus",
        "_encode_plus",
        "batch_encode_plus",
        "_batch_encode_plus",
        "tokenize",
        "_tokenize",
        "convert_tokens_to_ids",
        "_convert_token_to_id",
        "_convert_token_to_id_with_added_voc",
        "prepare_for_tokenization",
        "build_inputs_with_special_tokens",
        "prepare_for_model",
        "apply_chat_template",
    )
)
"""Methods of transformers' tokenizers by which text becomes ids."""


@dataclass(frozen=True)
class RemoteClass:
    """A class of a folder's own code: its name, the file if it is there, its bases, and the methods of its own."""

    name: str
    file: Path | None
    bases: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()


def remote_class(folder: Path, config: Mapping[str, Any], kind: str) -> RemoteClass | None:
    """The class that a config's `auto_map` names for `kind`; of a tokenizer's two the fast one.

    Nothing is run: the source is parsed.
    """
    named = config.get("auto_map")
    value = named.get(kind) if isinstance(named, dict) else named if kind == TOKENIZER else None
    names = [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, str) and entry]
    if not names:
        return None
    module, _, name = names[-1].partition(".")
    file = folder / f"{module}.py"
    if "--" in module or not module.isidentifier() or not file.is_file():
        return RemoteClass(names[-1], None)
    try:
        classes = {node.name: node for node in ast.parse(file.read_bytes()).body if isinstance(node, ast.ClassDef)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return RemoteClass(names[-1], None)
    family = list(_family(name, classes))
    bases = [base for node in family for base in _names(node.bases) if base not in classes]
    methods = [member.name for node in family for member in node.body if isinstance(member, ast.FunctionDef)]
    return RemoteClass(names[-1], file, tuple(dict.fromkeys(bases)), tuple(dict.fromkeys(methods)))


def _family(name: str, classes: Mapping[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
    """A class and those of its file that it comes from."""
    waiting, seen = [name], set[str]()
    while waiting:
        node = classes.get(waiting.pop())
        if node is not None and node.name not in seen:
            seen.add(node.name)
            yield node
            waiting += _names(node.bases)


def _names(bases: list[ast.expr]) -> list[str]:
    names = (getattr(base, "id", None) or getattr(base, "attr", None) for base in bases)
    return [name for name in names if isinstance(name, str)]


def check_tokenizer_code(folder: Path, config: Mapping[str, Any]) -> RemoteClass | None:
    """Whether a folder's tokenizer can be loaded without its own code; says so, once.

    Args:
        folder: of the tokenizer.
        config: its `tokenizer_config.json`.

    Returns:
        The class that is not run, None where there is none.

    Raises:
        BadInput: there is no `tokenizer.json`, or the class makes ids of its own after it.
    """
    remote = remote_class(folder, config, TOKENIZER)
    if remote is None:
        return None
    what = f"{folder}: its tokenizer is code of its own ({remote.name} in tokenizer_config.json), which is never run"
    if not (folder / "tokenizer.json").is_file():
        raise BadInput(
            f"{what}, and there is no tokenizer.json that says what it does. Take a copy of the model that has one, or "
            "write one where you have read that code and trust it: load the tokenizer with transformers and "
            "save_pretrained it as a fast one"
        )
    changed = sorted(MAKES_IDS & set(remote.methods))
    if changed and not set(SLOW) & set(remote.bases):
        raise BadInput(
            f"{what}, and it makes ids otherwise than tokenizer.json says: {remote.file} overrides "
            f"{', '.join(changed)}. Write what it does into a copy's tokenizer.json (normalizer, pre_tokenizer, "
            "post_processor), compare both on your texts, and take auto_map out of the copy's tokenizer_config.json"
        )
    _say(what, _why(remote))
    return remote


def _why(remote: RemoteClass) -> str:
    if remote.file is None:
        return "token ids are those of tokenizer.json. The code is not in the folder, so nobody looked at it"
    if set(SLOW) & set(remote.bases):
        return (
            "token ids are those of tokenizer.json. The class makes them in Python; compare a few texts if "
            "tokenizer.json was not made with it"
        )
    return f"token ids are those of tokenizer.json; it overrides none of what makes them ({', '.join(remote.methods)})"


@cache
def _say(what: str, why: str) -> None:
    if multiprocessing.parent_process() is None:
        LOG.warning("%s: %s", what, why)


def check_model_code(folder: Path, config: Mapping[str, Any]) -> RemoteClass | None:
    """Whether a folder's model can be loaded without its own code; says so, once.

    Args:
        folder: of the model.
        config: its `config.json`.

    Returns:
        The class that is not run, None where there is none.

    Raises:
        BadInput: its `architectures` name a class that is in that code alone.
    """
    remote = remote_class(folder, config, MODEL)
    if remote is None:
        return None
    own = remote.name.rpartition(".")[2]
    wanted = config.get("architectures")
    what = f"{folder}: its model is code of its own ({remote.name} in config.json), which is never run"
    if isinstance(wanted, list) and own in wanted and not _known(own):
        raise BadInput(
            f"{what}, and transformers has no class {own}. Take a copy of the model in a class of transformers "
            "(model_type and architectures in config.json, tensors under its names), as vendors often have one"
        )
    _say(what, f"it is read as transformers' own class for model_type '{config.get('model_type')}'")
    return remote


@cache
def _known(name: str) -> bool:
    """Whether transformers has a language model's class of this name."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
