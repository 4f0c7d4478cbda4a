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


def first_token(encoding: Any, place: int, length: int) -> int:
    """Number of the first token that starts at character `place` or after it."""
    while place < length:
        token = encoding.char_to_token(place)
        if token is not None:
            return int(token) if encoding.token_to_chars(token)[0] >= place else _after(encoding, int(token), place)
        place += 1
    return len(encoding)


def _after(encoding: Any, token: int, place: int) -> int:
    """The token after one that began before `place`; the bytes of one character start together."""
    while token < len(encoding) and encoding.token_to_chars(token)[0] < place:
        token += 1
    return token
