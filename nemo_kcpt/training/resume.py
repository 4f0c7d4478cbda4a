"""Resuming: the checkpoint from which a training continues."""

from pathlib import Path
from typing import Optional

import lightning.pytorch as pl
from nemo import lightning as nl
from nemo.utils import logging

from nemo_kcpt.checkpoints.finished import check_complete, finished_checkpoints, unfinished_checkpoints
from nemo_kcpt.checkpoints.layout import NEMO, check_layout


class KcptAutoResume(nl.AutoResume):
    """``nl.AutoResume`` that takes the newest finished checkpoint, and starts again if the first was never finished.

    NeMo stops for ever where the only checkpoint was interrupted ("Please remove the checkpoint manually"), which after
    a preemption is a loss of nothing but the run's own start.

    A checkpoint's `context/io.json` is not read: NeMo calls whatever functions it names, to get a tokenizer that models
    trained on packs do not have.
    """

    def setup(self, trainer: pl.Trainer, model: Optional[pl.LightningModule] = None) -> None:
        """Set the paths to resume or restore from; called when training starts."""
        if self.restore_config is not None:
            self.restore_config.load_artifacts = False
        super().setup(trainer, model)

    def _find_trainer_ckpt_path(self) -> Optional[Path]:
        folder = Path(self.resume_from_directory or "")
        finished = finished_checkpoints(folder)
        if finished:
            check_layout(finished[-1], NEMO)
            check_complete(finished[-1])
            return finished[-1]
        skipped = ", ".join(path.name for path in unfinished_checkpoints(folder))
        if skipped:
            logging.warning(f"{folder}: {skipped}: its saving was interrupted, so it is not taken; starting again")
        return None
