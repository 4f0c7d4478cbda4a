"""Writing a safetensors file tensor by tensor.

The library's own `save_file` wants all tensors of a file in memory. The format (huggingface/safetensors, README,
"Format") is eight bytes with the header's length, a JSON header with each tensor's place, and the tensors' bytes; sizes
and types are known before the first tensor is read, so the header can come first. What is written is read back by the
library (`safe_open` checks the header against the file).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nemo_kcpt.files import publish

if TYPE_CHECKING:
    from torch import Tensor

TYPES = {"float32": ("F32", 4), "bfloat16": ("BF16", 2), "float16": ("F16", 2)}
"""By torch's name: safetensors' name, and bytes of an element."""
ALIGNMENT = 8
Item = TypeVar("Item")


def in_files(sizes: Iterable[tuple[Item, int]], largest: int) -> list[list[Item]]:
    """Tensors, each given with its bytes, file by file: of at most `largest` bytes, if a file has more than one."""
    files: list[list[Item]] = [[]]
    filled = 0
    for item, size in sizes:
        if files[-1] and filled + size > largest:
            files.append([])
            filled = 0
        files[-1].append(item)
        filled += size
    return files


def write_safetensors(
    path: Path, sizes: Mapping[str, tuple[int, ...]], dtype: str | Mapping[str, str], tensors: Iterable[Tensor]
) -> Path:
    """Write `path`, which appears when it is complete; one tensor is in memory at a time.

    Args:
        path: the file.
        sizes: names and sizes of the tensors, in their order.
        dtype: their type, a key of `TYPES`; or that of each, by its name.
        tensors: the tensors, in that order, of any type that has values.

    Returns:
        The path.
    """
    import torch

    types = dict.fromkeys(sizes, dtype) if isinstance(dtype, str) else dtype
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, size in sizes.items():
        kind, width = TYPES[types[name]]
        start, end = end, end + math.prod(size) * width
        header[name] = {"dtype": kind, "shape": list(size), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for (name, size), tensor in zip(sizes.items(), tensors, strict=True):
            assert tuple(tensor.shape) == size, f"{path}: {tuple(tensor.shape)} where {size} was announced"
            flat = tensor.to(getattr(torch, types[name])).contiguous().reshape(-1)
            stream.write(flat.view(torch.uint8).numpy().data)
    return publish(temporary, path)
