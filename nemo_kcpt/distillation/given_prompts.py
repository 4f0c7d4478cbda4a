"""Prompts that a starting model is given to answer, before it makes any up: a user's own, or a list of ours."""

from __future__ import annotations

from pathlib import Path

from nemo_kcpt.errors import BadInput

SHIPPED = Path(__file__).parent / "prompts"
"""Short general prompts, a line each: LANGUAGE.txt."""


def shipped() -> list[str]:
    """Languages that there is a list for."""
    return sorted(path.stem for path in SHIPPED.glob("*.txt"))


def prompts_file(given: str) -> Path:
    """The file that `prompts=` means: a language of :func:`shipped`, or a path.

    Raises:
        BadInput: neither.
    """
    if given in shipped():
        return SHIPPED / f"{given}.txt"
    path = Path(given)
    if not path.is_file():
        raise BadInput(
            f"prompts: {given}: no such file; give a text file with a prompt on each line, JSON Lines with a field "
            f"prompt, or the language of a list that comes with nemo_kcpt: {', '.join(shipped())}"
        )
    return path
