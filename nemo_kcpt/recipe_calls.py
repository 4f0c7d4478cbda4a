"""A recipe's call as NeMo's command line reads it: `kcpt_tiny(pack='runs/a/packs/raw-512',epochs=2)`.

nemo_run (0.11, `cli_parser.parse_factory`) looks at no quotes when it divides the arguments: it does so at every comma,
and its pattern for the whole ends at a line feed. Of a text it takes what stands between the outer quotes as it is, so
other quotes, brackets, blanks and backslashes may be in it, and an escape is none. A folder with a comma in its name
can therefore be given to no recipe, which is said when the folder is made, not after hours of work on what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nemo_kcpt.errors import BadInput

BREAKING = {",": "a comma", "\n": "a line feed"}
"""Characters that no text of a recipe's call may hold."""


def breaking(text: str) -> str:
    """What in a text breaks a recipe's call; empty if nothing does."""
    return " and ".join(name for character, name in BREAKING.items() if character in text)


def check_folder(folder: Path, *, finished: str = "") -> None:
    """Refuse a folder that is going to be made, and that no recipe could be given afterwards.

    Args:
        folder: as the user writes it; where it lies on the machine does not matter.
        finished: a file that is in the folder once it is done; what is done already is not refused.

    Raises:
        BadInput: a comma or a line feed in its name.
    """
    if (separators := breaking(str(folder))) and not (finished and (folder / finished).is_file()):
        raise BadInput(
            f"{str(folder)!r}: holds {separators}, where NeMo's command line divides a recipe's arguments, so no "
            "recipe could be given this folder (pack=, restore=, dir=); choose another name"
        )


def quoted(text: str) -> str:
    """A text as it is in a call: between single quotes, nothing escaped, whatever other quotes are in it."""
    return f"'{text}'"


def call(recipe: str, arguments: Mapping[str, object]) -> str:
    """A recipe with its arguments, as `nemo llm … --factory` takes it.

    Raises:
        BadInput: a text that cannot be given.
    """
    for name, value in arguments.items():
        if isinstance(value, str) and (separators := breaking(value)):
            raise BadInput(
                f"{recipe}: {name}={value!r} holds {separators}, where NeMo's command line divides arguments; "
                "rename the folder"
            )
    written = (
        f"{name}={quoted(value) if isinstance(value, str) else repr(value)}" for name, value in arguments.items()
    )
    return f"{recipe}({','.join(written)})"
