"""`run_config.yaml` of a checkpoint that no training of the Bridge wrote, made without the Bridge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.checkpoints.layout import RUN_CONFIG
from nemo_kcpt.files import atomic_write
from nemo_kcpt.hf.megatron_options import config_options
from nemo_kcpt.hf.model_shape import ModelShape

if TYPE_CHECKING:
    from torch import dtype

PROVIDER = "nemo_kcpt.bridge.model.KcptModelProvider"
"""What the Bridge makes of `model`, where it builds a model from a checkpoint alone."""


def run_config(shape: ModelShape, kind: dtype) -> dict[str, Any]:
    """What the Bridge reads of a checkpoint that trainings start from.

    Args:
        shape: the model; its positions and RoPE base are those of the config.
        kind: type of the weights.
    """
    import torch

    type_of = {"_target_": str(kind), "_call_": False}
    model = {
        "_target_": PROVIDER,
        **config_options(shape, shape.positions, shape.rotary_base),
        "tensor_model_parallel_size": 1,
        "pipeline_model_parallel_size": 1,
        "bf16": kind == torch.bfloat16,
        "fp16": kind == torch.float16,
        "params_dtype": type_of,
        "pipeline_dtype": type_of,
    }
    # The loader asks whether what a training has beside weights is there.
    return {"model": model, "checkpoint": {"save_optim": False, "save_rng": False, "fully_parallel_save": False}}


def write_run_config(shape: ModelShape, kind: dtype, checkpoint: Path) -> list[Path]:
    """Write it; without it the checkpoint is unfinished, so it comes after the weights. Returns the file."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Without anchors: each value is written where it belongs."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    path = checkpoint / RUN_CONFIG
    with atomic_write(path) as stream:
        stream.write(yaml.dump(run_config(shape, kind), Dumper=Dumper, sort_keys=False))
    return [path]
