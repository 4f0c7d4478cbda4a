"""Which checkpoints of a training are finished, and whether all of one is there.

A checkpoint may come from anybody: before PyTorch, Megatron or NeMo load it, its files, and what its pickles name, are
looked at here.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nemo_kcpt.checkpoints.archive import Slice, check_archive
from nemo_kcpt.checkpoints.layout import (
    BRIDGE,
    ITERATION,
    STREAM,
    TRACKER,
    UNFINISHED,
    WEIGHTS,
    Layout,
    layout_of,
    weights_folder,
)
from nemo_kcpt.checkpoints.metadata import read_metadata
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json

ARCHIVES = ("common.pt", "train_state.pt")
"""Files of `torch.save` that loaders open, where they are there."""


def _is_finished(checkpoint: Path) -> bool:
    marker = checkpoint.with_name(checkpoint.name + UNFINISHED)
    return not layout_of(checkpoint).missing(checkpoint) and not marker.exists()


def _age(checkpoint: Path) -> int:
    """What puts the checkpoints of a training in order: the Bridge's by their step, NeMo's by when they were saved."""
    named = ITERATION.fullmatch(checkpoint.name)
    return int(named[1]) if named else (weights_folder(checkpoint) / ".metadata").stat().st_mtime_ns


def finished_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder` whose saving was not interrupted, oldest first."""
    entries = [entry for entry in (folder.iterdir() if folder.is_dir() else ()) if _is_finished(entry)]
    return sorted(entries, key=_age)


def unfinished_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder` whose saving was interrupted."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry for entry in entries if entry.is_dir() and not _is_finished(entry))


def training_checkpoints(path: Path) -> Path:
    """The folder of a training's checkpoints: `checkpoints/` in it, or itself, as the Bridge's own `save=` has it."""
    return path if (path / TRACKER).is_file() else path / "checkpoints"


def find_checkpoint(path: Path) -> Path:
    """The checkpoint that `path` means: itself, or the newest finished one of a training folder.

    Raises:
        BadInput: there is none, only one whose saving was interrupted, or one that is half there.
    """
    folder = training_checkpoints(path)
    candidates = finished_checkpoints(folder)
    if (path / WEIGHTS).is_dir() or (path / ".metadata").is_file():
        checkpoint = path
    elif candidates:
        checkpoint = candidates[-1]
    elif layout_of(path) is BRIDGE:  # half of one, which is said below
        checkpoint = path
    else:
        halves = ", ".join(entry.name for entry in unfinished_checkpoints(folder))
        raise BadInput(
            f"{path}: no finished checkpoint in it; expected {path}/weights or {folder}/*/weights of NeMo, or of "
            f"Megatron-Bridge {path}/{BRIDGE.config} or {folder}/iter_*/{BRIDGE.config}"
            + (f" (the saving of {halves} was interrupted)" if halves else "")
        )
    check_complete(checkpoint)
    return checkpoint


def check_complete(checkpoint: Path) -> None:
    """Look at all of a checkpoint but its numbers, before anything else loads it.

    Every pickle in it is held against the lists in :mod:`nemo_kcpt.checkpoints.unpickle`, and what `.metadata` says is
    in its files against their sizes. Takes a fraction of a millisecond for each part of a tensor.

    Raises:
        BadInput: its saving was interrupted; a file is missing or too short, as after an interrupted copy; a pickle
            names what no checkpoint needs; a file is a link out of the checkpoint.
    """
    layout = layout_of(checkpoint)
    if not _is_finished(checkpoint):
        missing = layout.missing(checkpoint)
        what = f"{', '.join(missing)} missing" if missing else f"{checkpoint.name}{UNFINISHED} is beside it"
        what += ", which trainings of ours write last" if STREAM in missing else ""
        raise BadInput(
            f"{checkpoint}: half written: its saving was interrupted ({what}); take another checkpoint, or delete it"
        )
    folder = checkpoint / layout.weights
    _check_files(folder, layout)
    metadata = read_metadata(folder / ".metadata")
    for name in ARCHIVES:
        path = folder / name
        if path.is_file():
            with path.open("rb") as stream:
                check_archive(stream, path.stat().st_size, str(path))
    _check_parts(folder, metadata)


def _check_files(folder: Path, layout: Layout) -> None:
    """Nothing but files of its own is in `folder`, in the format whose loader reads no other files."""
    for path in folder.iterdir():
        allowed = path.is_file() or (path.is_dir() and path.name in layout.folders)
        if path.resolve().parent != folder.resolve() or not allowed:
            raise BadInput(
                f"{path}: a folder, or a link out of {folder}; a checkpoint has files of its own only. Copy the file "
                "itself there, or use a checkpoint from a source you trust"
            )
    config = folder / "metadata.json"
    if config.is_file() and read_json(config) != layout.format:
        raise BadInput(
            f"{config}: not of the format torch_dist as {layout.title} writes it, which alone is read; expected "
            f"{layout.format}"
        )


def _check_parts(folder: Path, metadata: Any) -> None:
    """The parts of tensors are where `.metadata` says, as large as it says, one after the other, and nothing else."""
    tensors = {key: meta for key, meta in metadata.state_dict_metadata.items() if hasattr(meta, "chunks")}
    sizes = {
        (key, part.offsets): math.prod(part.sizes) * meta.properties.dtype.itemsize
        for key, meta in tensors.items()
        for part in meta.chunks
    }
    files: dict[str, list[tuple[Any, Any]]] = {}
    for index, storage in (metadata.storage_data or {}).items():
        files.setdefault(storage.relative_path, []).append((index, storage))
    for name, parts in files.items():
        path = folder / name
        needed = max(storage.offset + storage.length for _, storage in parts)
        size = path.stat().st_size if path.is_file() else 0
        if size < needed:
            raise BadInput(
                f"{path}: {size} bytes, the checkpoint's .metadata says at least {needed}; it is half there: copy it "
                "again, or take another checkpoint"
            )
        end = 0
        with path.open("rb") as stream:
            for index, storage in sorted(parts, key=lambda part: part[1].offset):
                where = f"{path}, {index.fqn} at byte {storage.offset}"
                expected = sizes.get((index.fqn, index.offset)) if index.fqn in tensors else 0
                if storage.offset < end or expected is None or storage.length < expected:
                    raise BadInput(
                        f"{where}: {storage.length} bytes from there, .metadata has {expected or 'none'} for this "
                        f"part, and the part before it ends at byte {end}. Use a checkpoint from a source you trust"
                    )
                end = storage.offset + storage.length
                part = Slice(stream, storage.offset, storage.length)
                check_archive(part, storage.length, where, state="_extra_state" in index.fqn)


def identity(checkpoint: Path) -> str:
    """Names, sizes and times of the checkpoint's files: tells trainings apart without reading gigabytes."""
    entries = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    return "; ".join(
        f"{path.relative_to(checkpoint)} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in entries
    )
