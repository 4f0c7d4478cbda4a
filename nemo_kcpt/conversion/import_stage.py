"""Import a Hugging Face model folder into a checkpoint (torch_dist), which recipes take as restore=.

It is one of NeMo or, with backend=bridge, of Megatron-Bridge, which takes it as checkpoint.pretrained_checkpoint, too.
The folder must have config.json and safetensors; it is checked whole before anything is written. Tensors are read and
written one or two at a time, so memory follows the largest tensor and not the model. The checkpoint appears when it is
complete; an interrupted import resumes at the layer it was at.
"""

from __future__ import annotations

from nemo_kcpt.checkpoints import importing
from nemo_kcpt.checkpoints.importing import Config as Config


def run(config: Config, redo: bool = False) -> None:
    """Import unless it is done."""
    importing.run(config, redo)
