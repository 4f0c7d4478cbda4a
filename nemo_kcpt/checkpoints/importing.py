"""What an import does, without NeMo: whoever calls it brings what writes the `context/` folder."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_kcpt import plugins
from nemo_kcpt.checkpoints.checkpoint import CONTEXT, WEIGHTS
from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.mapping import Part, fuse, megatron_parts
from nemo_kcpt.checkpoints.origin import Origin, base_of, write_origin
from nemo_kcpt.checkpoints.target import appearing, check_space
from nemo_kcpt.checkpoints.torch_dist import write_weights
from nemo_kcpt.checkpoints.weights_identity import of_folder
from nemo_kcpt.config import MISSING, nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import sha256_file, sha256_text
from nemo_kcpt.hf.families import added_of
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.logs import LOG, output_into
from nemo_kcpt.progress import progress
from nemo_kcpt.recipe_calls import check_folder
from nemo_kcpt.runs import MANIFEST, shaping

if TYPE_CHECKING:
    from torch import Tensor, dtype

    WriteContext = Callable[[ModelShape, dtype, Path], list[Path]]

TOKENIZER = "tokenizer_json_sha256"
"""In the manifest: the tokenizer that the weights go with, which recipes compare a pack's with."""
KEEP = "keep"
TARGETS = (KEEP, "float32", "bfloat16")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
LOG_FILE = "nemo.log"
SPARE_BYTES = 64 << 20
"""Beside the tensors' bytes: their headers, the context, the manifest."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt convert import`."""

    hf: Path = Path(MISSING)
    """Hugging Face folder (docs/models.md): config.json, and model.safetensors or shards with their index."""
    out: Path = Path(MISSING)
    """Checkpoint folder to write (weights/ and context/); --to is short for it."""
    dtype: str = KEEP
    """keep (the folder's), float32 or bfloat16. Loading converts to the model's type in any case."""


def _type_to_write(source: HfFolder, wanted: str) -> str:
    if wanted not in TARGETS:
        raise BadInput(f"dtype: '{wanted}' is not one of {', '.join(TARGETS)}; {nearest(wanted, TARGETS)}")
    if wanted != KEEP:
        return wanted
    if len(source.dtypes) > 1:
        raise BadInput(
            f"{source.folder}: its tensors are of several types ({', '.join(sorted(source.dtypes))}); "
            "give dtype=float32 or dtype=bfloat16"
        )
    return next(iter(source.dtypes))


def _write(source: HfFolder, name: str, out: Path, write_context: WriteContext) -> list[Path]:
    import torch

    shutil.rmtree(out / CONTEXT, ignore_errors=True)  # of a run that was interrupted
    shape = source.shape
    parts = list(megatron_parts(shape))
    there = sum(path.stat().st_size for path in out.glob(f"{WEIGHTS}/*.distcp"))
    check_space(out, shape.parameters() * BYTES[name] + SPARE_BYTES - there, "the checkpoint")
    kind = getattr(torch, name)
    with progress() as bar:
        task = bar.add_task("import: million weights", total=round(shape.parameters() / 1e6))
        done = 0

        def seen(part: Part) -> None:
            nonlocal done
            done += math.prod(part.size)
            bar.update(task, completed=round(done / 1e6))

        def read(part: Part) -> Tensor:
            return fuse(shape, part, source.read)

        paths = write_weights(out / WEIGHTS, parts, shape.num_layers, kind, read, seen)
    with output_into(out / LOG_FILE):
        paths += write_context(shape, kind, out / CONTEXT)
    (out / LOG_FILE).unlink()
    return paths


def run(config: Config, redo: bool, write_context: WriteContext) -> None:
    """Import unless it is done; `write_context` is :func:`nemo_kcpt.models.context.write_context`."""
    check_folder(config.out, finished=MANIFEST)
    source = HfFolder(config.hf)
    name = _type_to_write(source, config.dtype)
    inputs: dict[str, Path | str] = {"hf": sha256_text(source.identity())}
    keys = shaping(config) | plugins.used(added_of(source.shape))
    with appearing("import", config.out, config=keys, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("convert import: %s is finished", config.out)
            return
        tokenizer = config.hf / "tokenizer.json"
        tokenizer_json = sha256_file(tokenizer) if tokenizer.is_file() else None
        current.counts[TOKENIZER] = tokenizer_json
        current.add(*_write(source, name, current.out, write_context))
        base = replace(base_of(config.hf, tokenizer_json), weights=of_folder(config.hf))
        current.add(write_origin(current.out, Origin(base=base)))
    LOG.info("convert import: %s, %.1f million weights in %s", config.out, source.shape.parameters() / 1e6, name)
