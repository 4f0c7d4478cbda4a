"""A tiny deterministic data module and training run, shared by the tests of the training room."""

from __future__ import annotations

import os
import signal
from typing import Any

import lightning.pytorch as pl
import torch
from nemo.lightning.data import WrappedDataLoader
from nemo.lightning.pytorch.plugins import MegatronDataSampler
from torch.utils.data import Dataset

VOCABULARY = 96
SEQUENCE = 32
TAUGHT = 6
"""Tokens that the teacher names."""


class ToyDataset(Dataset):
    """Windows of tokens that count upwards in steps that depend on the index; two documents each if ``packed``.

    ``taught``: a teacher says something of two tokens in three, and of other tokens than those that are written.
    """

    def __init__(self, size: int = 4096, sequence: int = SEQUENCE, packed: bool = False, taught: bool = False) -> None:
        self.size, self.sequence, self.packed, self.taught = size, sequence, packed, taught

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        text = (torch.arange(self.sequence + 1) * (index % 5 + 1) + index * 7) % VOCABULARY
        item = {
            "tokens": text[:-1],
            "labels": text[1:],
            "position_ids": torch.arange(self.sequence),
            "loss_mask": torch.ones(self.sequence),
        }
        if self.packed:
            border = 3 + index % (self.sequence - 6)
            item["cu_seqlens"] = torch.tensor([0, border, self.sequence, -1], dtype=torch.int32)
        if self.taught:
            steps = torch.arange(TAUGHT)
            item["teacher_ids"] = ((text[:-1, None] * 5 + steps * 17) % VOCABULARY).int()
            mass = torch.cat([0.5 ** (steps + 1), 0.5 ** torch.tensor([TAUGHT])])
            item["teacher_probabilities"] = mass * ((torch.arange(self.sequence) + index) % 3 > 0)[:, None]
        return item


class RecordLosses(pl.Callback):
    """Keeps the training loss of each global step, counted from 1, and the loss of each validation."""

    def __init__(self) -> None:
        self.by_step: dict[int | str, float] = {}

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.by_step[f"validation after {trainer.global_step}"] = float(trainer.callback_metrics["val_loss"])

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self.by_step[trainer.global_step] = float(trainer.callback_metrics["reduced_train_loss"])
        for name, value in pl_module.loss_parts().items():
            self.by_step[f"{name} of {trainer.global_step}"] = value


class DieAt(pl.Callback):
    """Kills its process after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class ToyData(pl.LightningDataModule):
    """Serves :class:`ToyDataset` in order through NeMo's sampler, and goes on where a checkpoint stopped."""

    tokenizer = None

    def __init__(
        self,
        micro_batch_size: int = 2,
        global_batch_size: int = 4,
        sequence: int = SEQUENCE,
        packed: bool = False,
        taught: bool = False,
    ) -> None:
        super().__init__()
        self.micro_batch_size, self.global_batch_size, self.seq_length = micro_batch_size, global_batch_size, sequence
        self.dataset = ToyDataset(sequence=sequence, packed=packed, taught=taught)
        self.validation = ToyDataset(size=3 * global_batch_size, sequence=sequence, packed=packed)
        self.data_sampler = MegatronDataSampler(
            seq_len=sequence, micro_batch_size=micro_batch_size, global_batch_size=global_batch_size
        )

    def train_dataloader(self) -> WrappedDataLoader:
        # Else a second resume would count the first run's steps again.
        self.data_sampler.init_global_step = self.trainer.global_step
        return WrappedDataLoader(mode="train", dataset=self.dataset, num_workers=0)

    def val_dataloader(self) -> WrappedDataLoader:
        return WrappedDataLoader(mode="validation", dataset=self.validation, num_workers=0)

    def state_dict(self) -> dict[str, Any]:
        steps = self.trainer.global_step - self.data_sampler.init_global_step
        return {"consumed_samples": self.data_sampler.compute_consumed_samples(steps)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.data_sampler.init_consumed_samples = state_dict["consumed_samples"]
