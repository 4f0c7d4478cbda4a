"""Export a NeMo checkpoint (torch_dist) to a Hugging Face folder, and check the result.

Tensors are read and written one at a time, so memory follows the largest tensor and not the model. The folder appears
when it is complete; an interrupted export resumes at the shard it was at. The check builds the Megatron model from
the same checkpoint and compares its float32 logits on a few prompts with those of transformers' model: the largest
absolute difference is printed and must be at most `tolerance`. `kcpt convert verify` checks more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_kcpt.checkpoints import exporting
from nemo_kcpt.checkpoints.adapters import read_lora
from nemo_kcpt.checkpoints.exporting import Config as Config
from nemo_kcpt.conversion.verify.prompts import PROMPTS, ids_of
from nemo_kcpt.errors import KcptError
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.logs import LOG, output_into

LOG_FILE = "nemo.log"


def _memory_is_short(shape: ModelShape, out: Path) -> bool:
    """Whether both models in float32 do not fit into what is free, or NeMo is not installed: then says so."""
    import importlib.util

    import psutil

    needed, free = 2 * 4 * shape.parameters(), psutil.virtual_memory().available
    if importlib.util.find_spec("nemo") is None:
        LOG.warning("convert export: logits were not compared: NeMo is not installed here")
    elif needed > free:
        LOG.warning(
            "convert export: logits were not compared: both models need %.1f GB of memory, %.1f GB are free; "
            "`kcpt convert verify CKPT %s` compares on a larger machine",
            needed / 1e9,
            free / 1e9,
            out,
        )
    else:
        return False
    return True


def _compare(config: Config, checkpoint: Path, folder: Path) -> dict[str, object]:
    prompts = ids_of(PackTokenizer(folder), PROMPTS)
    with output_into(folder / LOG_FILE):
        from nemo_kcpt.conversion.verify.parity import logit_parity

        result = logit_parity(checkpoint, folder, prompts, config.base)
    LOG.info(
        "convert: logits of Megatron and Hugging Face differ by at most %.1e, argmax equal at %d of %d positions",
        result["max_abs_diff"],
        result["argmax_equal"],
        result["positions"],
    )
    if not result["max_abs_diff"] <= config.tolerance:
        raise KcptError(
            f"{folder}: logits differ from the Megatron model's by {result['max_abs_diff']:.2e} (argmax equal at "
            f"{result['argmax_equal']} of {result['positions']} positions), more than tolerance={config.tolerance}. "
            f"The export is not trusted; {_way_out(checkpoint)}"
        )
    (folder / LOG_FILE).unlink()
    return {**result, "tolerance": config.tolerance}


def _way_out(checkpoint: Path) -> str:
    report = f"report it with {checkpoint}/context/model.yaml"
    if read_lora(checkpoint) is None:
        return report
    return (
        "merged adapters are summed in another order than beside the weights, so float32 may differ by a few 1e-4 "
        f"where logits are large: with every argmax equal give tolerance=5e-4, else {report}"
    )


def run(config: Config, redo: bool = False) -> None:
    """Export unless it is done."""

    def compare(checkpoint: Path, folder: Path, shape: ModelShape) -> dict[str, Any] | None:
        return None if _memory_is_short(shape, config.out) else _compare(config, checkpoint, folder)

    exporting.run(config, redo, compare=compare)
