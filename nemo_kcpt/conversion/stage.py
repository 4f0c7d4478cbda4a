"""Export a NeMo checkpoint (torch_dist) of a Llama to a Hugging Face folder, and check the result.

The check builds the Megatron model from the same checkpoint and compares its float32 logits on a few prompts with those
of transformers' model: the largest absolute difference is printed and must be at most `tolerance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.config import MISSING
from nemo_kcpt.conversion.checkpoint import CheckpointReader, find_checkpoint, identity, read_shape
from nemo_kcpt.conversion.export import write_configs, write_weights
from nemo_kcpt.errors import KcptError
from nemo_kcpt.files import sha256_text, write_json
from nemo_kcpt.logs import LOG, output_into
from nemo_kcpt.packing.tokenise import PackTokenizer, tokenizer_inputs
from nemo_kcpt.runs import shaping, stage

PROMPTS = (
    "この論文が提案する手法の名前と、その学習に使ったデータの件数を答えてください。",
    "継続事前学習とは何ですか？",
    "Which base model was used, and what score did it reach in 2021?",
)
PARITY = "parity.json"


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt convert`."""

    checkpoint: Path = Path(MISSING)
    """A checkpoint (with weights/ and context/), or a training folder, whose newest finished checkpoint is taken."""
    out: Path = Path(MISSING)
    """Hugging Face folder to write."""
    tokenizer: Path = Path(MISSING)
    """Hugging Face tokenizer folder that the model was trained with."""
    check: bool = True
    """Compare logits with the Megatron model; needs NeMo and memory for both models."""
    tolerance: float = 1e-4
    """Largest absolute difference of a logit that passes, float32."""


def _check(config: Config, checkpoint: Path) -> dict[str, object]:
    tokenizer = PackTokenizer(config.tokenizer)
    prompts = [tokenizer.prompt_ids([{"role": "user", "content": text}]) for text in PROMPTS]
    with output_into(config.out / "nemo.log"):
        from nemo_kcpt.models.parity import logit_parity

        result = logit_parity(checkpoint, config.out, prompts)
    LOG.info(
        "convert: logits of Megatron and Hugging Face differ by at most %.1e, argmax equal at %d of %d positions",
        result["max_abs_diff"],
        result["argmax_equal"],
        result["positions"],
    )
    if not result["max_abs_diff"] <= config.tolerance:
        raise KcptError(
            f"{config.out}: logits differ from the Megatron model's by {result['max_abs_diff']:.2e}, more than "
            f"tolerance={config.tolerance}. The export is not trusted; report it with {checkpoint}/context/model.yaml"
        )
    return {**result, "tolerance": config.tolerance}


def run(config: Config, redo: bool = False) -> None:
    """Export unless it is done."""
    checkpoint = find_checkpoint(config.checkpoint)
    inputs: dict[str, Path | str] = {
        "checkpoint": sha256_text(identity(checkpoint)),
        **tokenizer_inputs(config.tokenizer),
    }
    with stage("convert", config.out, config=shaping(config), inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("convert: %s is finished", config.out)
            return
        shape, reader = read_shape(checkpoint), CheckpointReader(checkpoint)
        current.add(*write_weights(reader, shape, config.out))
        current.add(*write_configs(shape, config.tokenizer, config.out, "float32"))
        if config.check:
            write_json(config.out / PARITY, _check(config, checkpoint))
            current.add(config.out / PARITY)
        LOG.info("convert: %s", config.out)
