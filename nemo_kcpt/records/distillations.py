"""A distillation's manifest: what a recipe and a trainer must know of it before its shards are opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.errors import BadInput
from nemo_kcpt.runs import MANIFEST, read_manifest

STAGE = "distill"


@dataclass(frozen=True, kw_only=True)
class DistillationInfo:
    """What a trainer must know of a distillation before opening it."""

    folder: Path
    fingerprint: str
    pack: str
    """Fingerprint of the pack."""
    tokenizer_sha256: str
    vocab_rows: int
    """Rows of the teacher's output layer."""
    weights: str
    """See :func:`nemo_kcpt.checkpoints.origin.weights_identity`."""
    k: int
    temperature: float
    passage: bool
    windows: int
    windows_per_shard: int
    longest_blocks: int
    """Most borders of blocks in one window."""


def read_distillation(folder: Path) -> DistillationInfo:
    """The manifest of a distillation, checked.

    Raises:
        BadInput: not a finished distillation, or a file's size is not what the manifest says.
    """
    if not (folder / MANIFEST).is_file():
        raise BadInput(f"{folder}: not a finished distillation (no {MANIFEST}); make one with kcpt distill")
    manifest = read_manifest(folder)
    if manifest["stage"] != STAGE:
        raise BadInput(f"{folder}: was made by kcpt {manifest['stage']}; the folder of a kcpt distill was expected")
    for name, entry in manifest["outputs"].items():
        size = (folder / name).stat().st_size if (folder / name).is_file() else 0
        if size != entry["bytes"]:
            raise BadInput(
                f"{folder / name}: {size} bytes, the manifest says {entry['bytes']}; "
                "make the distillation again with kcpt distill --redo"
            )
    counts = manifest["counts"]
    names = ("pack", "tokenizer_sha256", "vocab_rows", "weights", "k", "windows", "windows_per_shard", "longest_blocks")
    try:
        return DistillationInfo(
            folder=folder,
            fingerprint=manifest["fingerprint"],
            temperature=manifest["config"]["temperature"],
            passage=manifest["config"]["passage"],
            **{name: counts[name] for name in names},
        )
    except KeyError as error:
        raise BadInput(
            f"{folder / MANIFEST}: has no {error}; the file was damaged: make it again with kcpt distill --redo"
        ) from None
