"""Token ids of texts and conversations with the places of the tokens in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class TextIds:
    """A tokenised text: `ids` int32 [n] and the character at which each token starts, `starts` int32 [n]."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class ChatIds:
    """A tokenised conversation: `ids` int32 [n] and whether each token belongs to a reply, `reply` bool [n]."""

    ids: NDArray[np.int32]
    reply: NDArray[np.bool_]


def first_token(encoding: Any, position: int, length: int) -> int:
    """Number of the first token that starts at character `position` or after it."""
    while position < length:
        token = encoding.char_to_token(position)
        if token is not None:
            return (
                int(token) if encoding.token_to_chars(token)[0] >= position else _after(encoding, int(token), position)
            )
        position += 1
    return len(encoding)


def _after(encoding: Any, token: int, position: int) -> int:
    """The token after one that began before `position`; the bytes of one character start together."""
    while token < len(encoding) and encoding.token_to_chars(token)[0] < position:
        token += 1
    return token
