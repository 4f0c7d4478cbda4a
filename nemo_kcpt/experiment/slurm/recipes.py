"""The recipes' names and arguments without importing them, which imports NeMo and takes 13 s."""

from __future__ import annotations

import ast
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.planning.catalogue import RECIPES
from nemo_kcpt.planning.recipe_arguments import signature

_CALL = re.compile(r"([\w.]+)(?:\((.*)\))?")
_NAMED = re.compile(r"(\w+)\s*=\s*(.+)")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe: its task (pretrain or finetune), its arguments, and their defaults."""

    task: str
    arguments: tuple[str, ...]
    defaults: dict[str, Any]


def recipes_folder() -> Path:
    """Where the recipes are installed.

    Raises:
        BadInput: nemo_kcpt's recipes are not installed beside this Python.
    """
    spec = importlib.util.find_spec("nemo_kcpt_recipes")
    if spec is None or not spec.submodule_search_locations:
        raise BadInput("nemo_kcpt is not installed in this environment; call it with .venv/bin/python")
    return Path(spec.submodule_search_locations[0])


def recipes() -> dict[str, Recipe]:
    """The catalogue's recipes by name."""
    by_name = {}
    for entry in RECIPES.values():
        given = signature(entry).parameters
        defaults = {
            name: parameter.default for name, parameter in given.items() if parameter.default is not parameter.empty
        }
        by_name[entry.name] = Recipe(task=entry.task, arguments=tuple(given), defaults=defaults)
    return by_name


def parse_call(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Name, positional and named arguments of a factory's call, as `kcpt_tiny(pack='packs/raw-64')`.

    Read as nemo_run reads it (`recipe_calls`): divided at every comma, and nothing escaped between quotes.

    Raises:
        BadInput: not a call; names what cannot be read.
    """
    call = _CALL.fullmatch(text.strip())
    parts = [part.strip() for part in (call[2] or "").split(",") if part.strip()] if call else []
    values: list[Any] = []
    named: dict[str, Any] = {}
    for part in parts:
        key, value = match.groups() if (match := _NAMED.fullmatch(part)) else ("", part)
        if value[0] in "'\"" and (len(value) < 2 or value[-1] != value[0]):
            raise BadInput(
                f"{text}: the text {value} is not closed; NeMo's command line divides arguments at every comma, also "
                "between quotes: rename a folder with a comma in its name"
            )
        try:
            read = value[1:-1] if value[0] in "'\"" else ast.literal_eval(value)
        except (SyntaxError, ValueError):
            call = None
            break
        if key:
            named[key] = read
        else:
            values.append(read)
    if call is None:
        raise BadInput(f"{text}: not a recipe's call; expected name(argument='text', other=1) with quoted texts")
    return call[1], values, named
