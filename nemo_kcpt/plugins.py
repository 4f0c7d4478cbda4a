"""What other installed packages add: readers, teachers, kinds of synthetic data, scorers, report parts, model families.

A package names what it adds as entry points (importlib.metadata) in the groups below; an entry point's name is the name
by which a key asks for it. CONTRIBUTING.md shows one of each.

Nothing of a package is imported before a key names what it adds (a reader also where none of ours reads the input, a
family where a model is of it), so that installing one changes no result that is there. What was used is in the stage's
manifest with its package's version, and so in its fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nemo_kcpt.errors import KcptError

READERS = "nemo_kcpt.readers"
TEACHERS = "nemo_kcpt.teachers"
KINDS = "nemo_kcpt.kinds"
SCORERS = "nemo_kcpt.scorers"
REPORT_PARTS = "nemo_kcpt.report_parts"
FAMILIES = "nemo_kcpt.families"
GROUPS = {
    READERS: "reader",
    TEACHERS: "teacher",
    KINDS: "kind",
    SCORERS: "scorer",
    REPORT_PARTS: "report part",
    FAMILIES: "family",
}
"""Group of entry points -> what one of them is."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Plugin:
    """One entry point of an installed package."""

    point: EntryPoint

    @property
    def name(self) -> str:
        """By which a key asks for it."""
        return self.point.name

    @property
    def what(self) -> str:
        """reader, teacher, kind, scorer, report part or family, with its name."""
        return f"{GROUPS[self.point.group]} {self.name}"

    @property
    def origin(self) -> str:
        """Name and version of its package."""
        package = self.point.dist
        return f"{package.name} {package.version}" if package is not None else "a package without metadata"

    def load(self, fits: Callable[[Any], bool], expected: str) -> Any:
        """What the entry point names, imported.

        Args:
            fits: whether an object is of the right form.
            expected: that form in words, for the message.

        Raises:
            KcptError: it cannot be imported, or has another form.
        """
        try:
            loaded = self.point.load()
        except Exception as error:  # whatever a module raises while it is imported
            raise self.fault(f"cannot be imported ({type(error).__name__}: {error})") from error
        if not fits(loaded):
            raise self.fault(f"is of type {type(loaded).__name__}; {expected} was expected")
        return loaded

    def fault(self, text: str) -> KcptError:
        """An error that names the package and the entry point."""
        return KcptError(
            f"{self.what} of {self.origin} (entry point {self.name} = {self.point.value} in {self.point.group}): "
            f"{text}. Correct or uninstall that package"
        )


def find(group: str, taken: Iterable[str] = ()) -> dict[str, Plugin]:
    """What installed packages add to a group, by name in alphabetical order; nothing is imported.

    Args:
        group: one of `GROUPS`.
        taken: names of our own.

    Raises:
        KcptError: a name that cannot be one, or that is taken, by us or by another package.
    """
    ours = set(taken)
    plugins: dict[str, Plugin] = {}
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        plugin = Plugin(point)
        if not _NAME.fullmatch(point.name):
            raise plugin.fault("a name is of small letters, digits and _, and begins with a letter")
        if point.name in ours:
            raise plugin.fault(f"nemo_kcpt has a {plugin.what} of its own; it needs another name")
        if point.name in plugins:
            raise plugin.fault(f"{plugins[point.name].origin} has a {plugin.what}, too; one needs another name")
        plugins[point.name] = plugin
    return plugins


def every() -> list[Plugin]:
    """What installed packages add, of all groups, whether it can be used or not."""
    return [
        Plugin(point) for group in GROUPS for point in sorted(entry_points(group=group), key=lambda entry: entry.name)
    ]


def used(plugins: Iterable[Plugin]) -> dict[str, dict[str, str]]:
    """What enters a stage's config for its fingerprint and manifest; empty where no plugin is used."""
    origins = {plugin.what: plugin.origin for plugin in plugins}
    return {"plugins": origins} if origins else {}
