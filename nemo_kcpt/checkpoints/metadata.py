"""A checkpoint's `.metadata`: where its tensors are, held against what a file can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_kcpt.checkpoints.unpickle import Refused, known_in_metadata, unpickled
from nemo_kcpt.errors import BadInput

METADATA_BYTES = 64 << 20
"""Largest `.metadata`; SmolLM2-135M's with its optimizer's state has 0.2 MB."""


def _read(path: Path) -> bytes:
    if path.stat().st_size > METADATA_BYTES:
        raise BadInput(
            f"{path}: {path.stat().st_size} bytes; no checkpoint's .metadata has more than {METADATA_BYTES}. "
            "Use a checkpoint from a source you trust"
        )
    return path.read_bytes()


def read_metadata(path: Path) -> Any:
    """The contents of a `.metadata` file, a `torch.distributed.checkpoint.metadata.Metadata` with plain fields.

    Raises:
        BadInput: it names something outside `ALLOWED`, of which nothing is run then, claims what no file can hold (a
            negative offset, a file outside its folder), or is damaged.
    """
    from torch.distributed.checkpoint.metadata import Metadata

    metadata = unpickled(_read(path), str(path), known_in_metadata(), {})
    if not isinstance(metadata, Metadata):
        raise BadInput(f"{path}: expected the metadata of a torch_dist checkpoint, found a {type(metadata).__name__}")
    try:
        _check_tensors(metadata)
        _check_places(metadata)
    except (Refused, AttributeError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: {str(error)[:300]}; use a checkpoint from a source you trust") from None
    return metadata


def _whole_numbers(values: Any) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def _check_tensors(metadata: Any) -> None:
    import torch
    from torch.distributed.checkpoint.metadata import BytesStorageMetadata

    for key, tensor in metadata.state_dict_metadata.items():
        if not isinstance(key, str):
            raise Refused("the name of a tensor is no text")
        if isinstance(tensor, BytesStorageMetadata):
            continue
        if not isinstance(tensor.properties.dtype, torch.dtype):
            raise Refused(f"{key[:100]} is of no type")
        boxes = [(part.offsets, part.sizes) for part in tensor.chunks]
        if not all(
            isinstance(size, torch.Size) for size in (tensor.size, *(vector for box in boxes for vector in box))
        ):
            raise Refused(f"{key[:100]} has a size that is none")
        for offsets, sizes in boxes:
            inside = len(offsets) == len(sizes) == len(tensor.size) and all(
                offset + size <= whole for offset, size, whole in zip(offsets, sizes, tensor.size)
            )
            if not inside or not _whole_numbers((*offsets, *sizes)):
                raise Refused(f"{key[:100]} has a part that is not in it, of size {tuple(sizes)} at {tuple(offsets)}")


def _check_places(metadata: Any) -> None:
    from torch.distributed.checkpoint.filesystem import _StorageInfo

    for storage in (metadata.storage_data or {}).values():
        if not isinstance(storage, _StorageInfo):
            raise Refused(f"a place in a file is a {type(storage).__name__}")
        name = storage.relative_path
        if not isinstance(name, str) or type(storage.offset) is not int or type(storage.length) is not int:
            raise Refused("a place in a file is no name with two numbers")
        if Path(name).name != name:
            raise Refused(f"a tensor is said to be in '{name[:100]}', which is not the name of a file in weights/")
        if not _whole_numbers((storage.offset, storage.length)):
            raise Refused(f"a tensor is said to be at byte {storage.offset}, {storage.length} long")
        if getattr(storage, "transform_descriptors", None):
            raise Refused("tensors are said to be packed, which NeMo never does")
