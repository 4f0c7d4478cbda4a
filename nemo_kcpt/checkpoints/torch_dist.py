"""Writing a `torch_dist` checkpoint, as NeMo 2 and Megatron-Bridge load it, with one layer or two in memory at a time.

PyTorch's distributed-checkpoint writer does the writing. What a checkpoint holds beside tensors follows what
Megatron-Core saves: `metadata.json`, for each linear layer an empty `_extra_state`, which its loader asks for
(Transformer Engine keeps the scales of fp8 there), and what all ranks have in common: a file `common.pt` in 0.15, an
object among the tensors in 0.19. The same tensors give the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.checkpoints.layout import NEMO, Layout
from nemo_kcpt.checkpoints.mapping import Part
from nemo_kcpt.files import read_json, sync, write_json

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from torch.distributed.checkpoint.planner import WriteItem
    from torch.distributed.checkpoint.storage import WriteResult

COMMON_FILE, COMMON_OBJECT = "common.pt", "common_state/shard_0_1"
COMMON = {"content_metadata": {"singleton_local_shards": False, "chained_optim_avoid_prefix": True}}
"""Says that layers are stacked in one tensor, (layers, …), and experts in (layers, experts, …); without it Megatron
assumes an older layout and says so."""
BRIDGES_COMMON = {"checkpoint_version": 3.0, "iteration": 0, **COMMON}


def _tensor_item(part: Part, prefix: str, layers: int, kind: dtype) -> WriteItem:
    import torch
    from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorProperties
    from torch.distributed.checkpoint.planner import TensorWriteData, WriteItem, WriteItemType

    key = f"{prefix}{part.name}" if part.layer is None else f"{prefix}decoder.layers.{part.name}"
    stack = part.stack(layers)
    offsets = torch.Size([*(index for index, _ in stack), *(0 for _ in part.size)])
    return WriteItem(
        index=MetadataIndex(key, offsets),
        type=WriteItemType.SHARD,
        tensor_data=TensorWriteData(
            chunk=ChunkStorageMetadata(offsets=offsets, sizes=torch.Size([*(1 for _ in stack), *part.size])),
            properties=TensorProperties(dtype=kind),
            size=torch.Size([*(number for _, number in stack), *part.size]),
        ),
    )


def _object_item(key: str) -> WriteItem:
    from torch.distributed.checkpoint.metadata import MetadataIndex
    from torch.distributed.checkpoint.planner import WriteItem, WriteItemType

    return WriteItem(index=MetadataIndex(key), type=WriteItemType.BYTE_IO)


def _extra_states(parts: list[Part], prefix: str, layers: int) -> Iterator[WriteItem]:
    for part in parts:
        if not part.is_linear:
            continue
        places, numbers = (".".join(map(str, column)) for column in zip(*part.stack(layers), strict=True))
        yield _object_item(
            f"{prefix}decoder.layers.{part.name.removesuffix('weight')}_extra_state/shard_{places}_{numbers}"
        )


def _record(results: list[WriteResult]) -> list[list[Any]]:
    """Where each item of a finished file stands, as JSON."""
    return [
        [
            result.index.fqn,
            result.index.offset,
            result.size_in_bytes,
            result.storage_data.relative_path,
            result.storage_data.offset,
            result.storage_data.length,
        ]
        for result in results
    ]


def _recorded(record: list[list[Any]], items: list[WriteItem]) -> list[WriteResult]:
    """The results that :func:`_record` was given, for the same items."""
    import torch
    from torch.distributed.checkpoint.filesystem import _StorageInfo
    from torch.distributed.checkpoint.metadata import MetadataIndex
    from torch.distributed.checkpoint.storage import WriteResult

    own = {(item.index.fqn, item.index.offset): item.index for item in items}

    def index(key: str, offset: list[int] | None) -> MetadataIndex:
        return own[key, None if offset is None else torch.Size(offset)]

    return [
        WriteResult(
            index=index(key, box), size_in_bytes=size, storage_data=_StorageInfo(path, offset=offset, length=length)
        )
        for key, box, size, path, offset, length in record
    ]


def _at_once(parts: list[Part]) -> int:
    """How many files are written at a time: two where two layers take no more memory than two of the largest tensor."""
    sizes = [math.prod(part.size) for part in parts]
    layers: dict[int | None, int] = {}
    for part, size in zip(parts, sizes):
        if part.layer is not None:
            layers[part.layer] = layers.get(part.layer, 0) + size
    return 2 if max(layers.values(), default=0) <= max(sizes) else 1


def write_weights(
    folder: Path,
    parts: list[Part],
    layers: int,
    kind: dtype,
    read: Callable[[Part], Tensor],
    seen: Callable[[Part], object] = lambda _: None,
    layout: Layout = NEMO,
) -> list[Path]:
    """Write the tensors' files of a checkpoint; `.metadata` comes last, so without it the folder is unfinished.

    Args:
        folder: to write; what an interrupted call has finished in it, for the same parts, is kept.
        parts: the model's tensors; those of a layer stand together and go into a file of their own.
        layers: their number.
        kind: type of the tensors.
        read: gives a tensor, of the part's size and any type, when it is its turn to be written.
        seen: is called with each part that is written, or was before.
        layout: whose names and format it has.

    Returns:
        The files.
    """
    import torch
    from torch.distributed.checkpoint import DefaultSavePlanner, FileSystemWriter, save
    from torch.distributed.checkpoint.metadata import StorageMeta
    from torch.distributed.checkpoint.planner import SavePlan, WriteItemType

    by_index: dict[tuple[str, Any], Part] = {}
    groups: list[list[WriteItem]] = []
    for _, together in groupby(parts, key=lambda part: part.layer):
        items, own = [], list(together)
        for part in own:
            items.append(_tensor_item(part, layout.prefix, layers, kind))
            by_index[items[-1].index.fqn, items[-1].index.offset] = part
        groups.append([*items, *_extra_states(own, layout.prefix, layers)])
    has_file = "common_backend" in layout.format
    if not has_file:
        groups[0].append(_object_item(COMMON_OBJECT))

    class Planner(DefaultSavePlanner):
        """Plans tensors that are not there yet, and gets each when it is written."""

        def create_local_plan(self) -> SavePlan:
            self.plan = SavePlan([item for group in groups for item in group])
            return self.plan

        def resolve_data(self, write_item: WriteItem) -> Tensor | io.BytesIO:
            if write_item.type == WriteItemType.BYTE_IO:
                content = io.BytesIO()
                torch.save([BRIDGES_COMMON if write_item.index.fqn == COMMON_OBJECT else None], content)
                return content
            part = by_index[write_item.index.fqn, write_item.index.offset]
            tensor = read(part).to(kind).contiguous()
            seen(part)
            return tensor[(None,) * len(part.stack(layers))]

    class Writer(FileSystemWriter):
        """A file for each group, since PyTorch's writer keeps what it writes until its file is complete."""

        def write_data(self, plan: SavePlan, planner: Planner) -> Any:
            items = iter(plan.items)
            own = [[next(items) for _ in group] for group in groups]
            with ThreadPoolExecutor(_at_once(parts)) as pool:
                written = list(
                    pool.map(lambda number: self._write(number, own[number], plan, planner), range(len(own)))
                )
            future: Any = torch.futures.Future()
            future.set_result([result for results in written for result in results])
            return future

        def _write(self, number: int, own: list[WriteItem], plan: SavePlan, planner: Planner) -> list[WriteResult]:
            """The file of a group, unless it is there."""
            record = folder / f".finished-{number}.json"
            if not record.is_file():
                prefix = replace(plan.storage_data, prefix=f"__{number}_")
                written = super().write_data(replace(plan, items=own, storage_data=prefix), planner).wait()
                write_json(record, _record(written))
            else:
                for item in own:
                    if item.type != WriteItemType.BYTE_IO:
                        seen(by_index[item.index.fqn, item.index.offset])
            return _recorded(read_json(record), own)

        def storage_meta(self) -> StorageMeta:
            """Without a random id and the place, so that the same tensors give the same bytes."""
            return StorageMeta()

    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*.tmp"):  # by write_json of a call that was killed
        left.unlink()
    if not (folder / ".metadata").is_file():
        write_json(folder / "metadata.json", layout.format)
        if has_file:
            torch.save(COMMON, folder / COMMON_FILE)
            sync(folder / COMMON_FILE)
        planner = Planner(flatten_state_dict=False, flatten_sharded_tensors=False)
        # per_thread_copy_ahead: with CUDA there, a loader would be taken that sorts by size and reads ahead.
        save({}, storage_writer=Writer(folder, per_thread_copy_ahead=0), planner=planner, no_dist=True)
        sync(folder)  # else a power cut takes .metadata back, and the records below are gone
    for record in folder.glob(".finished-*.json"):
        record.unlink()
    names = [*(path.name for path in folder.glob("*.distcp")), ".metadata", "metadata.json", *[COMMON_FILE] * has_file]
    return [folder / name for name in names]
