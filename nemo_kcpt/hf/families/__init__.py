"""Families of models: one module each, with a `FAMILY` that describes it.

A new family is one file here and a line in the tests' list: whatever module of this folder has a `FAMILY` is found.
Installed packages may add others (plugins.py).
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from nemo_kcpt import plugins
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.families import base, windows
from nemo_kcpt.hf.families.base import Family, ModelShape, RopeScaling, Weight
from nemo_kcpt.plugins import Plugin

__all__ = [
    "Family",
    "ModelShape",
    "RopeScaling",
    "Weight",
    "added",
    "added_of",
    "base",
    "families",
    "family_of",
    "windows",
]


@lru_cache(maxsize=1)
def families() -> dict[str, Family]:
    """`model_type` -> family, of every module in this folder that has one: ours."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return {module.FAMILY.name: module.FAMILY for module in modules if hasattr(module, "FAMILY")}


def added() -> dict[str, Plugin]:
    """`model_type` -> entry point of the families that installed packages add.

    Raises:
        KcptError: one has the name of one of ours.
    """
    return plugins.find(plugins.FAMILIES, families())


def _load(plugin: Plugin) -> Family:
    family: Family = plugin.load(lambda value: isinstance(value, Family), "a nemo_kcpt.hf.families.Family")
    if family.name != plugin.name:
        raise plugin.fault(f"its family is called {family.name}; the entry point needs the same name")
    return family


def added_of(shape: ModelShape) -> list[Plugin]:
    """The package that adds the family of a model, if one does."""
    return [] if shape.family.name in families() else [added()[shape.family.name]]


def family_of(name: object, where: str) -> Family:
    """The family of a `model_type`, ours or one that an installed package adds.

    Args:
        name: as `config.json` or a checkpoint has it.
        where: the file, for error messages.

    Raises:
        BadInput: there is none.
        KcptError: the package's cannot be used.
    """
    if name in families():
        return families()[str(name)]
    others = added()
    if name in others:
        return _load(others[str(name)])
    raise BadInput(
        f"{where}: model_type is '{str(name)[:60]}'; the recipes and the conversion know "
        f"{', '.join((*families(), *others))}. docs/models.md lists them; CONTRIBUTING.md shows how to describe another"
    )
