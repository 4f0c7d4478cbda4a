"""Import a Hugging Face model folder into a NeMo checkpoint (torch_dist), which recipes take as restore=.

The folder must have config.json and safetensors; it is checked whole before anything is written. Tensors are read and
written one at a time, so memory follows the largest tensor and not the model. The checkpoint appears when it is
complete; an interrupted import resumes at the layer it was at.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nemo_kcpt.checkpoints import importing
from nemo_kcpt.checkpoints.importing import Config as Config
from nemo_kcpt.hf.model_shape import ModelShape

if TYPE_CHECKING:
    from torch import dtype


def _write_context(shape: ModelShape, kind: dtype, folder: Path) -> list[Path]:
    from nemo_kcpt.models.context import write_context

    return write_context(shape, kind, folder)


def run(config: Config, redo: bool = False) -> None:
    """Import unless it is done."""
    importing.run(config, redo, _write_context)
