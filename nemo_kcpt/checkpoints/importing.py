"""What an import does; no backend is needed for it."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_kcpt import plugins
from nemo_kcpt.checkpoints.context import write_context
from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.layout import BRIDGE, CONTEXT, NEMO, Layout, layout_named
from nemo_kcpt.checkpoints.mapping import Part, Reader, fuse, megatron_parts
from nemo_kcpt.checkpoints.origin import Origin, base_of, write_origin
from nemo_kcpt.checkpoints.run_config import write_run_config
from nemo_kcpt.checkpoints.target import appearing, check_space
from nemo_kcpt.checkpoints.torch_dist import write_weights
from nemo_kcpt.checkpoints.weights_identity import of_folder
from nemo_kcpt.config import MISSING, nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import sha256_file, sha256_text
from nemo_kcpt.hf.families import added_of
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.recipe_calls import check_folder
from nemo_kcpt.runs import MANIFEST, later, shaping

if TYPE_CHECKING:
    from torch import Tensor, dtype

TOKENIZER = "tokenizer_json_sha256"
"""In the manifest: the tokenizer that the weights go with, which recipes compare a pack's with."""
KEEP = "keep"
TARGETS = (KEEP, "float32", "bfloat16")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
SPARE_BYTES = 64 << 20
"""Beside the tensors' bytes: their headers, the context, the manifest."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt convert import`."""

    hf: Path = Path(MISSING)
    """Hugging Face folder (docs/models.md): config.json, and model.safetensors or shards with their index."""
    out: Path = Path(MISSING)
    """Checkpoint folder to write; --to is short for it."""
    dtype: str = KEEP
    """keep (the folder's), float32 or bfloat16. Loading converts to the model's type in any case."""
    backend: str = later(NEMO.backend)
    """Backend that trains it: nemo, or bridge (Megatron-Bridge, docs/backends.md); `kcpt convert switch` changes it."""


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


def write_checkpoint(shape: ModelShape, kind: dtype, read: Reader, layout: Layout, out: Path, what: str) -> list[Path]:
    """Write a checkpoint's tensors and the file that describes the model; what an interrupted call finished is kept.

    Args:
        shape: the model.
        kind: type of the tensors.
        read: gives a tensor, of the part's size and any type.
        layout: of the checkpoint.
        out: the checkpoint.
        what: the call's name, for its progress bar and messages.

    Raises:
        BadInput: there is no room for it.
    """
    shutil.rmtree(out / CONTEXT, ignore_errors=True)  # of a run that was interrupted
    parts = list(megatron_parts(shape))
    there = sum(path.stat().st_size for path in (out / layout.weights).glob("*.distcp"))
    size = shape.parameters() * BYTES[str(kind).removeprefix("torch.")]
    check_space(out, size + SPARE_BYTES - there, "the checkpoint")
    with progress() as bar:
        task = bar.add_task(f"{what}: million weights", total=round(shape.parameters() / 1e6))
        done = 0

        def seen(part: Part) -> None:
            nonlocal done
            done += math.prod(part.size)
            bar.update(task, completed=round(done / 1e6))

        paths = write_weights(out / layout.weights, parts, shape.num_layers, kind, read, seen, layout)
    if layout is BRIDGE:
        return paths + write_run_config(shape, kind, out)
    return paths + write_context(shape, kind, out / CONTEXT)


def run(config: Config, redo: bool) -> None:
    """Import unless it is done."""
    import torch

    check_folder(config.out, finished=MANIFEST)
    layout = layout_named(config.backend)
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
        shape = source.shape

        def read(part: Part) -> Tensor:
            return fuse(shape, part, source.read)

        kind = getattr(torch, name)
        current.add(*write_checkpoint(shape, kind, read, layout, current.out, "import"))
        base = replace(base_of(config.hf, tokenizer_json), weights=of_folder(config.hf))
        current.add(write_origin(current.out, Origin(base=base)))
    LOG.info("convert import: %s, %.1f million weights in %s", config.out, source.shape.parameters() / 1e6, name)
