"""A pack's windows as training samples, in an order that depends on seed and position alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from nemo_kcpt.packing.segments import OUTPUT
from nemo_kcpt.packing.store import PackInfo, iterate_table, open_tokens, read_info

LOSS_ON = ("all", "outputs")


def epoch_order(windows: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which epoch number `epoch` reads the `windows` windows: int64 [windows], another one each epoch.

    A pure function of its arguments: data-parallel size, workers and micro-batch cannot change the stream.
    """
    return np.random.Generator(np.random.Philox(key=(seed, epoch))).permutation(windows)


class WindowDataset(Dataset[dict[str, torch.Tensor]]):
    """`samples` samples drawn from the pack in `folder`.

    Each item holds `tokens, labels` int64, `loss_mask` float32 and `position_ids` int64, all of shape [seq_length].
    Labels are the tokens shifted by one; the last position and padding carry no loss, nor does anything but replies
    with `loss="outputs"` (a label bears loss by the segment that the *label* stands in).
    """

    def __init__(self, folder: Path, *, samples: int, seed: int, loss: str = "all") -> None:
        self.info: PackInfo = read_info(folder)
        self._tokens = open_tokens(folder)
        self._samples, self._seed, self._loss = samples, seed, loss
        self._lengths, self._replies = self._read_table(folder)
        self._order: tuple[int, np.ndarray] | None = None

    def _read_table(self, folder: Path) -> tuple[np.ndarray, list[np.ndarray]]:
        """Real tokens per window and, where loss is on outputs only, the [n, 2] token spans of replies."""
        lengths: list[int] = []
        replies: list[np.ndarray] = []
        for row in iterate_table(folder):
            lengths.append(row["length"])
            if self._loss == "outputs":
                ends = [*row["segment_starts"][1:], row["length"]]
                spans = [
                    (start, end)
                    for start, end, role in zip(row["segment_starts"], ends, row["segment_roles"])
                    if role == OUTPUT
                ]
                replies.append(np.array(spans, dtype=np.int32).reshape(-1, 2))
        return np.array(lengths, dtype=np.int32), replies

    def __len__(self) -> int:
        return self._samples

    def _window(self, sample: int) -> int:
        epoch, place = divmod(sample, self.info.windows)
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, epoch_order(self.info.windows, self._seed, epoch))
        return int(self._order[1][place])

    def __getitem__(self, sample: int) -> dict[str, torch.Tensor]:
        window = self._window(int(sample))
        tokens = torch.from_numpy(np.asarray(self._tokens[window]).astype(np.int64))
        labels = torch.roll(tokens, -1)
        bears_loss = torch.zeros(self.info.seq_length, dtype=torch.float32)
        if self._loss == "outputs":
            for start, end in self._replies[window]:
                bears_loss[start:end] = 1.0
        else:
            bears_loss[: self._lengths[window]] = 1.0
        loss_mask = torch.roll(bears_loss, -1)
        loss_mask[-1] = 0.0
        return {
            "tokens": tokens,
            "labels": labels,
            "loss_mask": loss_mask,
            "position_ids": torch.arange(self.info.seq_length, dtype=torch.int64),
        }
