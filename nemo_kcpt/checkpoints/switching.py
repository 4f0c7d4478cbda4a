"""What takes a checkpoint's weights from one backend to the other, without either of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt import plugins
from nemo_kcpt.checkpoints import importing
from nemo_kcpt.checkpoints.adapters import read_lora
from nemo_kcpt.checkpoints.checkpoint import CheckpointReader, read_shape
from nemo_kcpt.checkpoints.finished import find_checkpoint, identity
from nemo_kcpt.checkpoints.layout import LAYOUTS, layout_named, layout_of
from nemo_kcpt.checkpoints.origin import read_origin, write_origin
from nemo_kcpt.checkpoints.target import appearing
from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import sha256_text
from nemo_kcpt.hf.families import added_of
from nemo_kcpt.logs import LOG
from nemo_kcpt.recipe_calls import check_folder
from nemo_kcpt.runs import MANIFEST, shaping


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt convert switch`."""

    checkpoint: Path = Path(MISSING)
    """A checkpoint of either backend, or a training folder, whose newest finished checkpoint is taken."""
    out: Path = Path(MISSING)
    """Checkpoint folder to write; --to is short for it."""
    backend: str | None = None
    """Backend of the training, nemo or bridge; default: the other one than the checkpoint's."""


def run(config: Config, redo: bool) -> None:
    """Write the checkpoint for the other backend unless it is done.

    Raises:
        BadInput: there is no checkpoint, it is of that backend already, or holds adapters alone.
    """
    check_folder(config.out, finished=MANIFEST)
    checkpoint = find_checkpoint(config.checkpoint)
    source = layout_of(checkpoint)
    other = next(layout for layout in LAYOUTS.values() if layout is not source)
    target = other if config.backend is None else layout_named(config.backend)
    if target is source:
        raise BadInput(
            f"{checkpoint}: is of {source.title} already; trainings with backend={source.backend} take it as it is"
        )
    if read_lora(checkpoint) is not None:
        raise BadInput(
            f"{checkpoint}: holds adapters alone; `kcpt convert export {checkpoint} --to FOLDER` merges them into the "
            f"weights, and `kcpt convert import FOLDER backend={target.backend}` takes those"
        )
    shape, reader, origin = read_shape(checkpoint), CheckpointReader(checkpoint), read_origin(checkpoint)
    if len(reader.dtypes) != 1:
        dtypes = ", ".join(sorted(map(str, reader.dtypes)))
        raise BadInput(f"{checkpoint}: its tensors are of {dtypes or 'no type'}; a checkpoint of one type was expected")
    keys = shaping(config) | {"backend": target.backend} | plugins.used(added_of(shape))
    inputs: dict[str, Path | str] = {"checkpoint": sha256_text(identity(checkpoint))}
    with appearing("switch", config.out, config=keys, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("convert switch: %s is finished", config.out)
            return
        kind = next(iter(reader.dtypes))
        current.add(*importing.write_checkpoint(shape, kind, reader.read, target, current.out, "switch"))
        current.counts[importing.TOKENIZER] = origin.tokenizer_json
        current.add(write_origin(current.out, origin))
    LOG.info("convert switch: %s, %.1f million weights for %s", config.out, shape.parameters() / 1e6, target.title)
