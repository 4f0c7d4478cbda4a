"""Deterministic choices from sha256: the same on every Python version, process and PYTHONHASHSEED."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def digest(*key: object) -> int:
    """A 64-bit number from the key's parts."""
    payload = "\x1f".join(str(part) for part in key).encode()
    return int.from_bytes(hashlib.sha256(payload).digest()[:8], "big")


def pick(options: Sequence[T], *key: object) -> T:
    """One of `options`, chosen by the key."""
    return options[digest(*key) % len(options)]


def shuffled(options: Sequence[T], *key: object) -> list[T]:
    """`options` in an order chosen by the key."""
    order = sorted(range(len(options)), key=lambda index: digest(*key, index))
    return [options[index] for index in order]
