"""Whether a Hugging Face folder and a checkpoint hold the same weights, told by one small tensor of theirs.

That is the first layer's projection behind its attention, which every conversion keeps as it is and any training
changes; rounded to bfloat16, so that it does not matter in which type either was saved.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_kcpt.checkpoints.checkpoint import CheckpointReader
from nemo_kcpt.checkpoints.hf_weights import weight_files
from nemo_kcpt.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

HF_NAME = "layers.0.self_attn.o_proj.weight"
STACKED = "layers.self_attention.linear_proj.weight"
FIRST = "layers.0.self_attention.linear_proj.weight"


def _identity(tensor: Tensor) -> str:
    import torch

    rounded = tensor.to(torch.bfloat16).contiguous().view(torch.int16).numpy()
    return hashlib.sha256(rounded.tobytes()).hexdigest()


def of_folder(folder: Path) -> str:
    """Identity of a Hugging Face folder's weights, 64 hex digits.

    Raises:
        BadInput: no safetensors, or none of them holds such a tensor.
    """
    from safetensors import safe_open

    for path in weight_files(folder):
        with safe_open(path, framework="pt") as stream:
            for name in stream.keys():  # noqa: SIM118 - not a dict
                if name.endswith(HF_NAME):
                    return _identity(stream.get_tensor(name))
    raise BadInput(f"{folder}: no tensor {HF_NAME} in its safetensors; it is of an architecture that is not known here")


def of_checkpoint(checkpoint: Path) -> str:
    """Identity of a checkpoint's weights, 64 hex digits.

    Raises:
        BadInput: no checkpoint, or it has no such tensor.
    """
    reader = CheckpointReader(checkpoint)
    for key in reader.keys():  # noqa: SIM118 - not a dict
        if key.endswith(STACKED):
            size = reader.size(key)
            return _identity(reader.tensor(key, (0,) * len(size), (1, *size[1:]))[0])
        if key.endswith(FIRST):
            return _identity(reader.tensor(key))
    raise BadInput(f"{checkpoint}: no tensor {STACKED} in it; it is of an architecture that is not known here")
