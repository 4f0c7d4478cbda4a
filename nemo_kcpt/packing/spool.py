"""Arrays with a little description, written to a temporary file and read again in any order.

Best-fit packing needs all lengths before the first window can be written. The tokens wait here, so that memory holds
8 bytes a bundle and not the corpus.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_HEAD = struct.Struct("<qq")


class Spool:
    """An open temporary file of entries, each a description (JSON) and an int32 array."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._end = 0
        self._at_end = True

    def append(self, about: Mapping[str, Any], values: NDArray[np.int32]) -> int:
        """Write an entry; returns its place."""
        if not self._at_end:
            self._stream.seek(self._end)
            self._at_end = True
        offset = self._end
        head, body = json.dumps(about, ensure_ascii=False).encode(), values.astype(np.int32, copy=False).tobytes()
        self._end += self._stream.write(_HEAD.pack(len(head), len(body)))
        self._end += self._stream.write(head)
        self._end += self._stream.write(body)
        return offset

    def read(self, offset: int) -> tuple[dict[str, Any], NDArray[np.int32]]:
        """The entry at a place that `append` gave."""
        self._at_end = False
        self._stream.seek(offset)
        head, body = _HEAD.unpack(self._stream.read(_HEAD.size))
        about = json.loads(self._stream.read(head))
        return about, np.frombuffer(self._stream.read(body), dtype=np.int32)


@contextmanager
def open_spool(path: Path) -> Iterator[Spool]:
    """A spool in a temporary file, which is deleted on leaving; a killed run's is deleted by the next (`.*.tmp`)."""
    try:
        with path.open("w+b") as stream:
            yield Spool(stream)
    finally:
        path.unlink(missing_ok=True)
