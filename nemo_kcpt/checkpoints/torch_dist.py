"""Writing a `torch_dist` checkpoint, as Megatron-Core and NeMo 2 load it, with one layer in memory at a time.

PyTorch's distributed-checkpoint writer does the writing. What a checkpoint holds beside tensors follows what
Megatron-Core 0.15 saves: `metadata.json`, `common.pt`, and for each linear layer an empty `_extra_state`, which its
loader asks for (Transformer Engine keeps the scales of fp8 there). The same tensors give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.checkpoints.mapping import Part
from nemo_kcpt.files import read_json, sync, write_json

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from torch.distributed.checkpoint.planner import WriteItem
    from torch.distributed.checkpoint.storage import WriteResult

FORMAT = {
    "sharded_backend": "torch_dist",
    "sharded_backend_version": 1,
    "common_backend": "torch",
    "common_backend_version": 1,
}
COMMON = {"content_metadata": {"singleton_local_shards": False, "chained_optim_avoid_prefix": True}}
"""Says that layers are stacked in one tensor, (layers, …), and experts in (layers, experts, …); without it NeMo assumes
an older layout and says so."""


def _tensor_item(part: Part, layers: int, kind: dtype) -> WriteItem:
    import torch
    from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorProperties
    from torch.distributed.checkpoint.planner import TensorWriteData, WriteItem, WriteItemType

    key = f"module.{part.name}" if part.layer is None else f"module.decoder.layers.{part.name}"
    stack = part.stack(layers)
    offsets = torch.Size([*(place for place, _ in stack), *(0 for _ in part.size)])
    return WriteItem(
        index=MetadataIndex(key, offsets),
        type=WriteItemType.SHARD,
        tensor_data=TensorWriteData(
            chunk=ChunkStorageMetadata(offsets=offsets, sizes=torch.Size([*(1 for _ in stack), *part.size])),
            properties=TensorProperties(dtype=kind),
            size=torch.Size([*(number for _, number in stack), *part.size]),
        ),
    )


def _extra_states(parts: list[Part], layers: int) -> Iterator[WriteItem]:
    from torch.distributed.checkpoint.metadata import MetadataIndex
    from torch.distributed.checkpoint.planner import WriteItem, WriteItemType

    for part in parts:
        if not part.is_linear:
            continue
        places, numbers = (".".join(map(str, one)) for one in zip(*part.stack(layers), strict=True))
        key = f"module.decoder.layers.{part.name.removesuffix('weight')}_extra_state/shard_{places}_{numbers}"
        yield WriteItem(index=MetadataIndex(key), type=WriteItemType.BYTE_IO)


def _record(results: list[WriteResult]) -> list[list[Any]]:
    """Where each item of a finished file stands, as JSON."""
    return [
        [
            one.index.fqn,
            one.index.offset,
            one.size_in_bytes,
            one.storage_data.relative_path,
            one.storage_data.offset,
            one.storage_data.length,
        ]
        for one in results
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


def write_weights(
    folder: Path,
    parts: list[Part],
    layers: int,
    kind: dtype,
    read: Callable[[Part], Tensor],
    seen: Callable[[Part], object] = lambda _: None,
) -> list[Path]:
    """Write the folder `weights/` of a checkpoint; `.metadata` comes last, so without it the folder is unfinished.

    Args:
        folder: to write; what an interrupted call has finished in it, for the same parts, is kept.
        parts: the model's tensors; those of a layer stand together and go into a file of their own.
        layers: their number.
        kind: type of the tensors.
        read: gives a tensor, of the part's size and any type, when it is its turn to be written.
        seen: is told of each part that is written, or was before.

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
            items.append(_tensor_item(part, layers, kind))
            by_index[items[-1].index.fqn, items[-1].index.offset] = part
        groups.append([*items, *_extra_states(own, layers)])

    class Planner(DefaultSavePlanner):
        """Plans tensors that are not there yet, and gets each when it is written."""

        def create_local_plan(self) -> SavePlan:
            self.plan = SavePlan([item for group in groups for item in group])
            return self.plan

        def resolve_data(self, write_item: WriteItem) -> Tensor | io.BytesIO:
            if write_item.type == WriteItemType.BYTE_IO:
                nothing = io.BytesIO()
                torch.save([None], nothing)
                return nothing
            part = by_index[write_item.index.fqn, write_item.index.offset]
            tensor = read(part).to(kind).contiguous()
            seen(part)
            return tensor[(None,) * len(part.stack(layers))]

    class Writer(FileSystemWriter):
        """A file for each group, since PyTorch's writer keeps what it writes until its file is complete."""

        def write_data(self, plan: SavePlan, planner: Planner) -> Any:
            results, items = [], iter(plan.items)
            for number, group in enumerate(groups):
                own = [next(items) for _ in group]
                record = folder / f".finished-{number}.json"
                if not record.is_file():
                    prefix = replace(plan.storage_data, prefix=f"__{number}_")
                    written = super().write_data(replace(plan, items=own, storage_data=prefix), planner).wait()
                    write_json(record, _record(written))
                else:
                    for item in own:
                        if item.type != WriteItemType.BYTE_IO:
                            seen(by_index[item.index.fqn, item.index.offset])
                results += _recorded(read_json(record), own)
            future: Any = torch.futures.Future()
            future.set_result(results)
            return future

        def storage_meta(self) -> StorageMeta:
            """Without a random id and the place, so that the same tensors give the same bytes."""
            return StorageMeta()

    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*.tmp"):  # by write_json of a call that was killed
        left.unlink()
    if not (folder / ".metadata").is_file():
        write_json(folder / "metadata.json", FORMAT)
        torch.save(COMMON, folder / "common.pt")
        sync(folder / "common.pt")
        planner = Planner(flatten_state_dict=False, flatten_sharded_tensors=False)
        # per_thread_copy_ahead: with CUDA there, a loader would be taken that sorts by size and reads ahead.
        save({}, storage_writer=Writer(folder, per_thread_copy_ahead=0), planner=planner, no_dist=True)
        sync(folder)  # else a power cut takes .metadata back, and the records below are gone
    for record in folder.glob(".finished-*.json"):
        record.unlink()
    return [path for path in folder.iterdir() if path.is_file()]
