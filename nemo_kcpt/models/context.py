"""The `context/` folder of a checkpoint that no training wrote: what NeMo builds the model from when it loads it."""

from __future__ import annotations

from pathlib import Path

import torch
from nemo import lightning as nl
from nemo.lightning.io.pl import TrainerContext

from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.models.llama import KcptLlamaConfig, KcptLlamaModel, config_options


def write_context(shape: ModelShape, dtype: torch.dtype, folder: Path) -> list[Path]:
    """Write `io.json` and `model.yaml` with NeMo's own serialisation, as NeMo's importers do.

    Args:
        shape: the model; its positions and RoPE base are those of the config.
        dtype: of the weights; where there is a GPU, NeMo builds the model in it.
        folder: to write.

    Returns:
        The files.
    """
    options = config_options(shape, shape.positions, shape.rotary_base)
    config = KcptLlamaConfig(**options, bf16=dtype == torch.bfloat16, fp16=dtype == torch.float16, params_dtype=dtype)
    strategy = nl.MegatronStrategy(ckpt_save_optimizer=False, always_save_context=True)
    trainer = nl.Trainer(devices=1, accelerator="cpu", strategy=strategy)
    TrainerContext(model=KcptLlamaModel(config), trainer=trainer, extra={}).io_dump(folder, yaml_attrs=["model"])
    return sorted(path for path in folder.rglob("*") if path.is_file())
