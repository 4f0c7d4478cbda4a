"""The recipes' names and arguments, read from their source: importing them imports NeMo, which takes 13 s."""

from __future__ import annotations

import ast
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.planning.catalogue import RECIPES

_CALL = re.compile(r"([\w.]+)(?:\((.*)\))?")
_NAMED = re.compile(r"(\w+)\s*=\s*(.+)")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A registered recipe: its task (pretrain or finetune), its arguments, and the defaults that are plain values."""

    task: str
    arguments: tuple[str, ...]
    defaults: dict[str, Any]


def recipes_folder() -> Path:
    """Where the recipes are installed.

    Raises:
        BadInput: nemo_kcpt's recipes are not installed beside this Python.
    """
    found = importlib.util.find_spec("nemo_kcpt_recipes")
    if found is None or not found.submodule_search_locations:
        raise BadInput("nemo_kcpt is not installed in this environment; call it with .venv/bin/python")
    return Path(found.submodule_search_locations[0])


def recipes() -> dict[str, Recipe]:
    """The catalogue's recipes for GPUs and the functions registered with a target, by name, without importing NeMo."""
    found = _gpu_recipes()
    for path in sorted(recipes_folder().glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
                given = {word.arg: word.value for word in getattr(decorator, "keywords", [])}
                if "cli.factory" in ast.unparse(decorator) and "target" in given:
                    assert isinstance(node, ast.FunctionDef)
                    name = ast.literal_eval(given["name"]) if "name" in given else node.name
                    found[name] = _recipe(ast.unparse(given["target"]).rsplit(".", 1)[-1], node.args)
    return found


def _gpu_recipes() -> dict[str, Recipe]:
    """They share the arguments of a function that stands for all of them."""
    tree = ast.parse((recipes_folder() / "llama.py").read_text(encoding="utf-8"))
    shared = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "arguments")
    found = {}
    for entry in (entry for entry in RECIPES.values() if entry.on_gpus):
        recipe = _recipe(entry.task, shared.args)
        defaults = {**recipe.defaults, "pack": entry.default_pack, "dir": entry.default_dir}
        arguments = recipe.arguments if entry.from_folder else recipe.arguments[1:]
        found[entry.name] = Recipe(task=entry.task, arguments=arguments, defaults=defaults)
    return found


def _recipe(task: str, arguments: ast.arguments) -> Recipe:
    names = [argument.arg for argument in arguments.args]
    pairs = [*zip(reversed(names), reversed(arguments.defaults))]
    pairs += [
        (argument.arg, default) for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults) if default
    ]
    defaults = {name: default.value for name, default in pairs if isinstance(default, ast.Constant)}
    return Recipe(
        task=task, arguments=(*names, *(argument.arg for argument in arguments.kwonlyargs)), defaults=defaults
    )


def parse_call(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Name, positional and named arguments of a factory's call, as `kcpt_tiny(pack='packs/raw-64')`.

    Read as nemo_run reads it (`recipe_calls`): divided at every comma, and nothing escaped between quotes.

    Raises:
        BadInput: not a call; names what cannot be read.
    """
    found = _CALL.fullmatch(text.strip())
    parts = [part.strip() for part in (found[2] or "").split(",") if part.strip()] if found else []
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
            found = None
            break
        if key:
            named[key] = read
        else:
            values.append(read)
    if found is None:
        raise BadInput(f"{text}: not a recipe's call; expected name(argument='text', other=1) with quoted texts")
    return found[1], values, named
