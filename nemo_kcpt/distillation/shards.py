"""A distillation on disk: for each asked token of a pack the teacher's most likely tokens, in safetensors shards.

A shard holds the rows of consecutive windows, so that a killed stage loses one shard and a reader maps what it needs.
Of its tensors `ids` [rows, k] are token ids (uint16 where the vocabulary allows, else int32), most likely first,
`logprobs` [rows, k] their log-probabilities (float16 or float32), `rest` [rows] float32 the probability of all other
tokens together, `places` [rows] int32 the place in the window whose logits the row is about (the token before the one
that is predicted), `row_borders` [windows + 1] int64, and `blocks` int32 with `block_borders` [windows + 1] int64:
where each window's blocks begin and end, 0, …, seq_length, which is what the student's attention is confined to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemo_kcpt.files import atomic_write
from nemo_kcpt.records.distillations import read_distillation

SHARDS = "shard-*.safetensors"
OPEN_SHARDS = 16
"""Shards that a reader keeps mapped."""


def shard_path(folder: Path, number: int) -> Path:
    """File of a shard."""
    return folder / f"shard-{number:06d}.safetensors"


def write_shard(folder: Path, number: int, tensors: Mapping[str, NDArray[Any]], fingerprint: str) -> Path:
    """Write a shard, atomically, marked with the run that it belongs to."""
    from safetensors.numpy import save

    path = shard_path(folder, number)
    # Not save_file, whose files nobody else on a cluster may read (0600).
    with atomic_write(path, "wb") as stream:
        stream.write(save(dict(tensors), metadata={"fingerprint": fingerprint}))
    return path


def is_of(path: Path, fingerprint: str) -> bool:
    """Whether a shard is there, whole, and of this run."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return False
    try:
        with safe_open(path, framework="numpy") as stream:
            return bool((stream.metadata() or {}).get("fingerprint") == fingerprint)
    except SafetensorError:
        return False


def mean_rest(paths: Iterable[Path]) -> float:
    """The probability beyond the kept tokens, on average over all rows of these shards; 0 where they have none."""
    from safetensors import safe_open

    total, rows = 0.0, 0
    for path in paths:
        with safe_open(path, framework="numpy") as stream:
            rest = stream.get_tensor("rest")
            total, rows = total + float(rest.sum(dtype=np.float64)), rows + len(rest)
    return total / max(1, rows)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A window's rows: `places` int32 [n], `ids` int32 [n, k], `probabilities` float32 [n, k + 1].

    The last column of `probabilities` is the remaining mass; each row sums to 1.
    """

    places: NDArray[np.int32]
    ids: NDArray[np.int32]
    probabilities: NDArray[np.float32]


class Distillation:
    """A finished distillation, read window by window; memory stays at the mapped shards."""

    def __init__(self, folder: Path) -> None:
        self.info = read_distillation(folder)
        self._open = lru_cache(maxsize=OPEN_SHARDS)(self._opened)

    def __getstate__(self) -> Path:
        return self.info.folder

    def __setstate__(self, folder: Path) -> None:
        self.__init__(folder)  # type: ignore[misc]

    def _opened(self, number: int) -> Any:
        from safetensors import safe_open

        return safe_open(shard_path(self.info.folder, number), framework="numpy")

    def _part(self, window: int, borders: str, names: tuple[str, ...]) -> list[NDArray[Any]]:
        number, index = divmod(window, self.info.windows_per_shard)
        shard = self._open(number)
        start, end = (int(border) for border in shard.get_slice(borders)[index : index + 2])
        if start == end:  # safetensors refuses to slice a tensor without rows
            return [np.zeros((0, *shard.get_slice(name).get_shape()[1:]), np.float32) for name in names]
        return [shard.get_slice(name)[start:end] for name in names]

    def blocks(self, window: int) -> NDArray[np.int32]:
        """Borders of a window's blocks, int32: 0, …, seq_length."""
        (borders,) = self._part(window, "block_borders", ("blocks",))
        return borders

    def rows(self, window: int) -> Rows:
        """What the teacher says of a window's tokens."""
        places, ids, logprobs, rest = self._part(window, "row_borders", ("places", "ids", "logprobs", "rest"))
        mass = np.concatenate([np.exp(logprobs.astype(np.float32)), rest[:, None]], axis=1)
        # What float16 has rounded away or added.
        mass /= np.maximum(mass.sum(1, keepdims=True), np.finfo(np.float32).tiny)
        return Rows(places=places.astype(np.int32), ids=ids.astype(np.int32), probabilities=mass)
