"""Tokens of a text: by a tokenizer, or estimated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nemo_kcpt.errors import BadInput


def token_counter(tokenizer: Path | None) -> tuple[Callable[[str], int], str]:
    """How many tokens a text has, and the unit's name: by a tokenizer, else an estimate that is rather too high."""
    if tokenizer is None:
        # Japanese text has up to about a token a character, other scripts a token for two to four.
        return (lambda text: len(text.encode("utf-8", "replace")) // 2 if not text.isascii() else len(text) // 2 + 1), (
            "estimated tokens"
        )
    from tokenizers import Tokenizer

    path = tokenizer / "tokenizer.json" if tokenizer.is_dir() else tokenizer
    try:
        loaded = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise BadInput(f"tokenizer={path}: not a tokenizer.json that can be read ({error})") from None
    return (lambda text: len(loaded.encode(text, add_special_tokens=False).ids)), "tokens"
