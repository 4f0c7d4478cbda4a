"""A pack's windows for Megatron-Bridge, in the order in which NeMo reads them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from megatron.bridge.data.base import DatasetBuildContext, DatasetProvider

from nemo_kcpt.data.taught import check_distillation
from nemo_kcpt.data.windows import BLOCK_DIAGONAL, SPLIT, WindowDataset
from nemo_kcpt.records.packs import read_info


class ValidationWindows(WindowDataset):
    """The same windows for each validation: the Bridge reads on where the validation before has ended.

    Args:
        length: samples of all validations.
        windows: as for :class:`WindowDataset`; its `samples` are those of one.
    """

    def __init__(self, *folder: Path, length: int, **windows: Any) -> None:
        super().__init__(*folder, **windows)
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return super().__getitem__(index % super().__len__())


@dataclass
class PackProvider(DatasetProvider):
    """Windows of a pack: which one a sample is depends on the pack, the seed and the sample's global index alone.

    The Bridge's sampler gives each data-parallel rank its share of the global indices and skips those consumed before.
    Fields are those of :class:`nemo_kcpt.data.packed.PackedPretrainingDataModule`.
    """

    pack: str = ""
    loss: str = "all"
    attention: str = "causal"
    seed: int = 1234
    validation: str | None = None
    validation_samples: int = 0
    """Samples of one validation: every window, and as many once more as fill the last global batch."""
    distillation: str | None = None
    see_passage: bool = False
    dataloader_type: str = "single"
    num_workers: int = 0
    pin_memory: bool = False
    skip_getting_attention_mask_from_dataset: bool = True

    def made_of(self) -> dict[str, Any]:
        """What the stream of samples is made of, name by name, as a NeMo checkpoint has it."""
        info = read_info(Path(self.pack))
        own = {"data.seed": self.seed, "data.loss": self.loss, "data.attention": self.attention}
        taught = check_distillation(info, self.distillation, self.attention, self.see_passage)
        if taught is not None:
            own["data.distillation"] = taught.fingerprint
        return {**info.made_of, **own}

    def build_datasets(
        self, context: DatasetBuildContext
    ) -> tuple[WindowDataset, WindowDataset | None, WindowDataset | None]:
        """Training and validation windows; a test set is none, but Megatron asks for one where it validates."""
        distillation = None if self.distillation is None else Path(self.distillation)
        train = WindowDataset(
            Path(self.pack),
            samples=context.train_samples,
            seed=self.seed,
            loss=self.loss,
            attention=self.attention,
            distillation=distillation,
        )
        if self.validation is None:
            return train, None, None
        validation = ValidationWindows(
            Path(self.validation),
            length=max(context.valid_samples, self.validation_samples),
            samples=self.validation_samples,
            seed=self.seed,
            loss=self.loss,
            attention=BLOCK_DIAGONAL if self.attention == SPLIT else self.attention,
        )
        return train, validation, None


def validation_steps(pack: str, global_batch_size: int) -> int:
    """Global batches that hold every window of a validation pack."""
    return math.ceil(read_info(Path(pack)).epoch_windows / global_batch_size)
