"""Loggers, off unless asked for: `log.tensorboard=kcpt_tensorboard` and `log.wandb="kcpt_wandb(project='mine')"`.

Both write below the run's NeMo folder. W&B takes its key from the environment (`WANDB_API_KEY`).
"""

from typing import Optional

import nemo_run as run
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger


@run.cli.factory
def kcpt_tensorboard() -> run.Config[TensorBoardLogger]:
    """TensorBoard's event files in `DIR/nemo/tensorboard`."""
    return run.Config(TensorBoardLogger, save_dir="tensorboard", name="")


@run.cli.factory
def kcpt_wandb(project: str, name: Optional[str] = None) -> run.Config[WandbLogger]:
    """Weights & Biases; the package `wandb` must be installed."""
    return run.Config(WandbLogger, project=project, name=name, save_dir="wandb")
