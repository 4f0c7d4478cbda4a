"""Teachers and kinds of synthetic data that installed packages add: teacher=NAME and kinds=[…,NAME] ask for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt import plugins
from nemo_kcpt.plugins import Plugin
from nemo_kcpt.records.kinds import HUMAN, KINDS
from nemo_kcpt.runs import hash_files
from nemo_kcpt.text.language import PROMPT_LANGUAGES

TEACHERS = ("openai", "batch", "vllm", "rules", "template")
"""Ours."""


def teachers() -> dict[str, Plugin]:
    """Entry points of teachers, by name; each is called with the config of `kcpt synthesize` and gives a Teacher.

    Raises:
        KcptError: one has the name of one of ours.
    """
    return plugins.find(plugins.TEACHERS, TEACHERS)


def kinds() -> dict[str, Plugin]:
    """Entry points of kinds, by name; each names a folder with <kind>.ja.j2 and <kind>.en.j2.

    Raises:
        KcptError: one has the name of one of ours.
    """
    return plugins.find(plugins.KINDS, (*KINDS, HUMAN))


def kinds_of(names: Iterable[str], folder: Path | None) -> list[Plugin]:
    """Those of the kinds that installed packages add and that no prompt in the user's own folder stands for."""
    own = {path.name.split(".")[0] for path in folder.glob("*.j2")} if folder is not None else set()
    wanted = [name for name in names if name not in own]
    known = kinds() if wanted else {}
    return [known[name] for name in wanted if name in known]


def prompt_files(used: Iterable[Plugin]) -> dict[tuple[str, str], Path]:
    """(kind, language) -> prompt.

    Raises:
        KcptError: what an entry point names is no package, or lacks a language.
    """
    paths = {}
    for plugin in used:
        package = plugin.load(
            lambda module: bool(getattr(module, "__path__", ())), "a package, the folder of its prompts,"
        )
        for language in PROMPT_LANGUAGES:
            path = Path(next(iter(package.__path__))) / f"{plugin.name}.{language}.j2"
            if not path.is_file():
                raise plugin.fault(
                    f"{path}: no such file; a kind has a prompt for each of {', '.join(PROMPT_LANGUAGES)}"
                )
            paths[plugin.name, language] = path
    return paths


def shaping(teacher: str, used: Iterable[Plugin]) -> dict[str, Any]:
    """What of other packages enters the fingerprint; empty where nothing is used."""
    own = [teachers()[teacher]] if teacher not in TEACHERS else []
    return plugins.used([*own, *used])


def inputs(used: Iterable[Plugin]) -> Mapping[str, str]:
    """Hashes of the kinds' prompts, which a package under development changes without a new version."""
    return {f"prompt/{path.name}": hash_files(path) for path in prompt_files(used).values()}
