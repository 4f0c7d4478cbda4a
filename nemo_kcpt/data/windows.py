"""A pack's windows as training samples, in an order that depends on the pack, the seed and the position alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, default_collate

from nemo_kcpt.distillation.shards import Distillation
from nemo_kcpt.packing.segments import INSTRUCTION, OUTPUT, REPLAY, TEXT
from nemo_kcpt.packing.store import iterate_table, open_tokens
from nemo_kcpt.records.packs import PackInfo, read_info

ALL, OUTPUTS, CONTENT = "all", "outputs", "content"
LOSS_ON = (ALL, OUTPUTS, CONTENT)
CAUSAL, BLOCK_DIAGONAL, SPLIT = "causal", "block_diagonal", "split"
ROUNDS = 2**32
"""Before the numbers of rounds of replay, among those of epochs."""
ATTENTION = (CAUSAL, BLOCK_DIAGONAL, SPLIT)


def epoch_order(windows: int, seed: int, epoch: int, replay: int = 0, passes: int = 1) -> np.ndarray:
    """The order in which epoch number `epoch` reads the windows: int64 [windows of an epoch], another one each epoch.

    A pure function of its arguments: data-parallel size, workers and micro-batch cannot change the stream. The last
    `replay` of the `windows` windows hold replay text; they are spread evenly, so that any n consecutive windows hold
    their share of them to within one window. With `passes` above 1 an epoch reads one of so many parts of them, and
    each is read once, and no window of them twice, until all parts were; a few may be left out of such a round where
    they cannot be divided.
    """
    random = np.random.Generator(np.random.Philox(key=(seed, epoch)))
    if not replay:
        return random.permutation(windows)
    own, general = random.permutation(windows - replay), windows - replay + random.permutation(replay)
    if passes > 1:
        turn, number = divmod(epoch, passes)
        shuffled = np.random.Generator(np.random.Philox(key=(seed, ROUNDS + turn))).permutation(replay)
        general = windows - replay + shuffled[: replay // passes * passes].reshape(passes, -1)[number]
    places = np.concatenate([(np.arange(len(part)) + 0.5) / max(1, len(part)) for part in (own, general)])
    return np.concatenate([own, general])[np.argsort(places, kind="stable")]


class _Ragged:
    """Arrays of different lengths, one after the other: two arrays in memory however many there are."""

    def __init__(self, parts: list[np.ndarray]) -> None:
        self._borders = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        self._values = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._values[self._borders[index] : self._borders[index + 1]]

    @property
    def longest(self) -> int:
        return int(np.diff(self._borders).max(initial=0))


def _bears_loss(loss: str, role: str, kind: str) -> bool:
    """Whether the tokens of a segment bear loss, with `loss` other than "all"."""
    if loss == CONTENT:
        return role != INSTRUCTION or kind == REPLAY
    return role == OUTPUT or (kind == REPLAY and role == TEXT)


class WindowDataset(Dataset[dict[str, torch.Tensor]]):
    """`samples` samples drawn from the pack in `folder`.

    Each item holds `tokens, labels` int64, `loss_mask` float32 and `position_ids` int64, all of shape [seq_length].
    Labels are the tokens shifted by one; the last position and padding carry no loss, nor does anything but replies
    with `loss="outputs"` (a label bears loss by the segment that the *label* is in; replayed text bears it always,
    replayed conversations by their replies). With `loss="content"` all but the prompts of the documents' pairs bears
    it: texts, replies, and replay whole.

    With `attention="block_diagonal"` positions restart at each document, no label is the first token of another
    document, and three more entries say where documents end, in the form that NeMo hands to Transformer Engine's packed
    attention (`get_packed_seq_params`): `cu_seqlens` int32 [borders], 0 … seq_length and then -1, as long for every
    window of the pack; `cu_seqlens_argmin` int32 [1], where the -1 begin; `max_seqlen` int32 [1], the longest document.
    There is no [seq, seq] mask anywhere. With `attention="split"` the documents are the blocks of the distillation:
    each pair, and each half of a passage, alone.

    With a `distillation` two more entries are what its teacher says of each label: `teacher_ids` int32 [seq_length, k],
    and `teacher_probabilities` float32 [seq_length, k + 1], the last of which is the mass of all other tokens. They are
    zeros where the teacher says nothing, with ids that differ from each other all the same.
    """

    def __init__(
        self,
        folder: Path,
        *,
        samples: int,
        seed: int,
        loss: str = "all",
        attention: str = CAUSAL,
        distillation: Path | None = None,
    ) -> None:
        self.info: PackInfo = read_info(folder)
        self._taught = None if distillation is None else Distillation(distillation)
        self._tokens = open_tokens(folder)
        self._samples, self._seed, self._loss, self._attention = samples, seed, loss, attention
        self._lengths, self._bearing, self._borders = self._read_table(folder)
        self._order: tuple[int, np.ndarray] | None = None

    def _read_table(self, folder: Path) -> tuple[np.ndarray, _Ragged, _Ragged]:
        """Real tokens per window; [n, 2] token spans that bear loss, unless all do; borders of documents."""
        lengths: list[int] = []
        bearing: list[np.ndarray] = []
        borders: list[np.ndarray] = []
        for row in iterate_table(folder):
            lengths.append(row["length"])
            if self._loss != ALL:
                ends = [*row["segment_starts"][1:], row["length"]]
                spans = [
                    (start, end)
                    for start, end, role, kind in zip(
                        row["segment_starts"], ends, row["segment_roles"], row["segment_kinds"]
                    )
                    if _bears_loss(self._loss, role, kind)
                ]
                bearing.append(np.array(spans, dtype=np.int32).reshape(-1, 2))
            if self._attention == BLOCK_DIAGONAL:
                padding = [self.info.seq_length] if row["length"] < self.info.seq_length else []
                borders.append(np.array([*row["cu_seqlens"], *padding], dtype=np.int32))
        return np.array(lengths, dtype=np.int32), _Ragged(bearing), _Ragged(borders)

    def __len__(self) -> int:
        return self._samples

    def window_of(self, sample: int) -> int:
        """Which window of the pack the sample with this global index is."""
        info = self.info
        epoch, index = divmod(sample, info.epoch_windows)
        if self._order is None or self._order[0] != epoch:
            order = epoch_order(info.windows, self._seed, epoch, info.replay_windows, info.replay_passes)
            self._order = (epoch, order)
        return int(self._order[1][index])

    def __getitem__(self, sample: int) -> dict[str, torch.Tensor]:
        window = self.window_of(int(sample))
        size = self.info.seq_length
        tokens = torch.from_numpy(np.asarray(self._tokens[window]).astype(np.int64))
        bears_loss = torch.zeros(size, dtype=torch.float32)
        if self._loss != ALL:
            for start, end in self._bearing[window]:
                bears_loss[start:end] = 1.0
        else:
            bears_loss[: self._lengths[window]] = 1.0
        item = {"position_ids": torch.arange(size, dtype=torch.int64)}
        if self._attention != CAUSAL:
            borders, longest = self._blocks(window)
            bears_loss[torch.from_numpy(borders[:-1].astype(np.int64))] = 0.0
            lengths = torch.from_numpy(np.diff(borders).astype(np.int64))
            starts = torch.from_numpy(borders[:-1].astype(np.int64))
            item["position_ids"] -= torch.repeat_interleave(starts, lengths)
            padded = np.full(longest + 1, -1, dtype=np.int32)
            padded[: len(borders)] = borders
            item["cu_seqlens"] = torch.from_numpy(padded)
            item["cu_seqlens_argmin"] = torch.tensor([len(borders)], dtype=torch.int32)
            item["max_seqlen"] = torch.tensor([int(lengths.max())], dtype=torch.int32)
        loss_mask = torch.roll(bears_loss, -1)
        loss_mask[-1] = 0.0
        item |= self._teacher(window)
        return {"tokens": tokens, "labels": torch.roll(tokens, -1), "loss_mask": loss_mask, **item}

    def _blocks(self, window: int) -> tuple[np.ndarray, int]:
        """Borders of what is attended to alone, 0 … seq_length, and their most in any window."""
        if self._attention == SPLIT:
            assert self._taught is not None
            return self._taught.blocks(window), self._taught.info.longest_blocks
        return self._borders[window], self._borders.longest

    def _teacher(self, window: int) -> dict[str, torch.Tensor]:
        if self._taught is None:
            return {}
        rows, size, k = self._taught.rows(window), self.info.seq_length, self._taught.info.k
        ids = np.tile(np.arange(k, dtype=np.int32), (size, 1))
        probabilities = np.zeros((size, k + 1), dtype=np.float32)
        ids[rows.places], probabilities[rows.places] = rows.ids, rows.probabilities
        return {"teacher_ids": torch.from_numpy(ids), "teacher_probabilities": torch.from_numpy(probabilities)}

    collate_fn = staticmethod(default_collate)
    """NeMo asks a dataset for it; all entries have the same shape in every sample."""
