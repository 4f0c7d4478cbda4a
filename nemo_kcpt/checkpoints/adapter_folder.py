"""A folder with adapters alone, as PEFT and vLLM load it beside the base model: `adapter_config.json` and safetensors.

Names are those of PEFT: `base_model.model.` before the Hugging Face name of the layer, `lora_A.weight` and
`lora_B.weight` behind it (huggingface/peft, docs/source/developer_guides/checkpoint.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.checkpoints.adapters import Adapters, Lora
from nemo_kcpt.checkpoints.mapping import megatron_parts, split
from nemo_kcpt.checkpoints.safetensors_file import write_safetensors
from nemo_kcpt.files import write_json
from nemo_kcpt.hf.model_shape import ModelShape

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."


def adapter_tensors(shape: ModelShape, adapters: Adapters) -> Iterator[tuple[str, Tensor]]:
    """PEFT's names and tensors, in the order of the model."""
    for part in megatron_parts(shape):
        if adapters.has(part):
            for source, whole in zip(part.sources, split(shape, part, adapters.reader.read(part))):
                yield f"{PREFIX}{source}", whole
        if (factors := adapters.factors(part)) is None:
            continue
        down, up = factors
        for source, rows in zip(part.sources, split(shape, part, up)):
            layer = PREFIX + source.removesuffix(".weight")
            yield f"{layer}.lora_A.weight", down
            yield f"{layer}.lora_B.weight", rows


def write_adapter(shape: ModelShape, adapters: Adapters, base_model: str, out: Path, dtype: str) -> list[Path]:
    """Write the folder's two files.

    Args:
        shape: the model.
        adapters: of a checkpoint.
        base_model: folder or name of the model that they go with, as PEFT is to find it.
        out: the folder.
        dtype: of the tensors.
    """
    tensors = dict(adapter_tensors(shape, adapters))
    sizes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    paths = [out / WEIGHTS, out / CONFIG]
    write_safetensors(paths[0], sizes, dtype, tensors.values())
    write_json(paths[1], peft_config(adapters.lora, list(tensors), base_model))
    return paths


def peft_config(lora: Lora, names: list[str], base_model: str) -> dict[str, Any]:
    """`adapter_config.json` for tensors of these names."""
    targets = {name.split(".")[-3] for name in names if name.endswith(".lora_A.weight")}
    whole = [name.removesuffix(".weight").split(".")[-1] for name in names if ".lora_" not in name]
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": sorted(targets),
        "modules_to_save": whole or None,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "use_dora": False,
        "use_rslora": False,
    }
