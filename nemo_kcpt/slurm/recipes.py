"""The recipes' names and arguments, read from their source: importing them imports NeMo, which takes 13 s."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.planning.catalogue import RECIPES


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
    """Name, positional and named arguments of a factory's call, as `kcpt_tiny(pack='packs/raw-64')`."""
    try:
        call = ast.parse(text.strip() if "(" in text else f"{text.strip()}()", mode="eval").body
        assert isinstance(call, ast.Call)
        named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        values = [ast.literal_eval(value) for value in call.args]
    except (SyntaxError, ValueError, AssertionError):
        raise BadInput(
            f"{text}: not a recipe's call; expected name(argument='text', other=1) with quoted texts"
        ) from None
    for value in (*values, *named.values()):
        if isinstance(value, str) and set(value) & set(",\n"):
            raise BadInput(
                f"{text}: '{value}' holds a comma or a line end, at which NeMo's command line divides arguments"
            )
    return ast.unparse(call.func), values, named
