"""Reading a checkpoint without NeMo and without the Bridge: its model's shape and its tensors.

A checkpoint may come from anybody: its pickles are looked at in :mod:`nemo_kcpt.checkpoints.unpickle`, its files in
:mod:`nemo_kcpt.checkpoints.finished`, its names and sizes here, before PyTorch, Megatron or NeMo load it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.checkpoints.layout import BRIDGE, layout_of, weights_folder
from nemo_kcpt.checkpoints.mapping import Part
from nemo_kcpt.checkpoints.metadata import read_metadata
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.model_shape import ModelShape, shape_from_megatron

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from torch.distributed.checkpoint import LoadPlanner

LAYERS = "decoder.layers."
"""How the names of the layers' tensors begin."""
MOST_LAYERS, LARGEST_SIZE = 10_000, 1 << 31
MOST_EXPERTS = 1_000_000
"""Experts in all layers of a model: far beyond any there is, and few enough to be listed."""


def read_shape(checkpoint: Path) -> ModelShape:
    """The model's shape, from the file that describes the model in its layout; what that names is never called.

    Raises:
        BadInput: the file is missing, is not YAML, lacks what a model needs, is of a family that is not
            known, or has sizes that no model has.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML's data types, without merging: merges of merges grow beyond all memory."""

        def flatten_mapping(self, node: Any) -> None:
            if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
                raise yaml.YAMLError("it merges mappings, which no training writes")

    layout = layout_of(checkpoint)
    path = checkpoint / layout.config
    if not path.is_file():
        raise BadInput(f"{path}: missing; the checkpoint was saved without its context and cannot be exported")
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), Loader)[layout.section].items()
        # Single values only: comparing or printing lists of lists of lists could take for ever.
        single = {key: value for key, value in config if not isinstance(value, (list, dict))}
        if layout is BRIDGE and "family" not in single:  # NeMo checkpoints of ours once had none, and were Llamas
            raise BadInput(
                f"{path}: the model has no `family`, so a recipe of the Bridge's own trained it; export it with "
                "AutoBridge.export_ckpt of Megatron-Bridge, and `kcpt convert import` takes what that makes"
            )
        shape = shape_from_megatron(single, str(path))
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: not the config of a model of ours, {str(error)[:200]} is missing") from None
    for field in fields(shape):
        value, most = getattr(shape, field.name), MOST_LAYERS if field.name == "num_layers" else LARGEST_SIZE
        optional = field.type == "int | None" and value is None
        if field.type in ("int", "int | None") and not optional and (type(value) is not int or not 0 < value <= most):
            raise BadInput(f"{path}: {field.name} is {str(value)[:40]}; expected a whole number from 1 to {most}")
    if shape.num_moe_experts is not None:
        _check_experts(shape, shape.num_moe_experts, path)
    return shape


def _check_experts(shape: ModelShape, experts: int, path: Path) -> None:
    if shape.num_layers * experts > MOST_EXPERTS:
        raise BadInput(f"{path}: {experts} experts in {shape.num_layers} layers; no model has that many")
    if shape.moe_ffn_hidden_size is None or not 0 < (shape.moe_router_topk or 0) <= experts:
        raise BadInput(
            f"{path}: {experts} experts of size {shape.moe_ffn_hidden_size}, of which moe_router_topk="
            f"{shape.moe_router_topk} are chosen; a size and a number from 1 to {experts} were expected"
        )


@cache
def _planner() -> Callable[[Tensor], LoadPlanner]:
    """The class of what tells PyTorch's reader where in a tensor a part goes.

    There is one of it: a class holds itself, and one for each tensor would hold that until the garbage is collected.
    """
    from torch.distributed._shard._utils import narrow_tensor_by_index
    from torch.distributed.checkpoint import DefaultLoadPlanner
    from torch.distributed.checkpoint.planner import ReadItem

    class Planner(DefaultLoadPlanner):
        def __init__(self, tensor: Tensor) -> None:
            super().__init__()
            self.tensor = tensor

        def resolve_tensor(self, read_item: ReadItem) -> Tensor:
            return narrow_tensor_by_index(self.tensor, read_item.dest_offsets, read_item.lengths)

    return Planner


class CheckpointReader:
    """Tensors of a torch_dist checkpoint by name, one at a time, from any TP x PP x DP layout.

    PyTorch's distributed-checkpoint reader does the reading, and puts the parts that ranks have saved together.

    Raises:
        BadInput: no torch_dist checkpoint, or a `.metadata` that `read_metadata` refuses.
    """

    def __init__(self, checkpoint: Path) -> None:
        from torch.distributed.checkpoint import FileSystemReader
        from torch.distributed.checkpoint.metadata import StorageMeta

        self.layout = layout_of(checkpoint)
        path = weights_folder(checkpoint) / ".metadata"
        if not path.is_file():
            raise BadInput(f"{path}: missing; {checkpoint} is not a finished torch_dist checkpoint")

        class SafeReader(FileSystemReader):
            """PyTorch's reader, with its unpickling of `.metadata` replaced by the restricted one."""

            def read_metadata(self, *args: Any, **kwargs: Any) -> Any:
                metadata = read_metadata(path)
                if getattr(metadata, "storage_meta", None) is None:
                    metadata.storage_meta = StorageMeta()
                metadata.storage_meta.load_id = self.load_id
                return metadata

        self.folder = checkpoint
        self._reader = SafeReader(path.parent)
        metadata = self._reader.read_metadata()
        self._reader.set_up_storage_reader(metadata, is_coordinator=True)
        self._metadata = metadata.state_dict_metadata

    def keys(self) -> list[str]:
        """Names of the model's tensors."""
        return [key for key, meta in self._metadata.items() if self.layout.is_of_model(key) and hasattr(meta, "size")]

    def has(self, name: str) -> bool:
        """Whether it has a tensor of the model of this name, which is a key without what the layout puts before it."""
        return f"{self.layout.prefix}{name}" in self._metadata

    def size(self, key: str) -> tuple[int, ...]:
        """Size of a tensor, by its key."""
        return tuple(self._metadata[key].size)

    @property
    def dtypes(self) -> set[dtype]:
        """Types of the model's tensors."""
        return {self._metadata[key].properties.dtype for key in self.keys()}

    def tensor(self, key: str, offsets: tuple[int, ...] | None = None, sizes: tuple[int, ...] | None = None) -> Tensor:
        """A tensor by its key in the checkpoint, or the box of it that starts at `offsets` and has `sizes`.

        Raises:
            BadInput: the checkpoint's files do not hold all of it.
        """
        import torch
        from torch.distributed.checkpoint.metadata import ChunkStorageMetadata
        from torch.distributed.checkpoint.planner import LoadPlan
        from torch.distributed.checkpoint.planner_helpers import create_read_items_for_chunk_list

        meta: Any = self._metadata[key]
        wanted = torch.Size(meta.size if sizes is None else sizes)
        start = torch.Size([0] * len(wanted) if offsets is None else offsets)
        items = create_read_items_for_chunk_list(key, meta, [ChunkStorageMetadata(offsets=start, sizes=wanted)])
        there = sum(item.lengths.numel() for item in items)
        stored = sum(self._reader.storage_data[item.storage_index].length for item in items)
        if there != wanted.numel() or stored < there * meta.properties.dtype.itemsize:
            raise BadInput(f"{self.folder}: {key} is not whole in it; take another checkpoint, or copy it again")
        tensor = torch.empty(wanted, dtype=meta.properties.dtype)
        self._reader.read_data(LoadPlan(items), _planner()(tensor)).wait()
        return tensor

    def read(self, part: Part) -> Tensor:
        """A tensor of the model, of `part.size`; of a stacked one no more than the layer, or the expert, is read.

        Raises:
            BadInput: the checkpoint has it under none of its names, or in another size.
        """
        expert = () if part.expert is None else (part.expert,)
        for name in part.names:
            if part.layer is None:
                places: tuple[tuple[str, tuple[int, ...]], ...] = ((name, ()),)
            else:
                places = ((f"{LAYERS}{name}", (part.layer, *expert)), (f"{LAYERS}{part.layer}.{name}", expert))
            for own, index in places:
                key = f"{self.layout.prefix}{own}"
                if key in self._metadata:
                    self._check_size(key, part, index)
                    box = (*(1 for _ in index), *part.size)
                    return self.tensor(key, (*index, *(0 for _ in part.size)), box).reshape(part.size)
        if part.layer is None and any(".adapter." in key for key in self.keys()):
            raise BadInput(
                f"{self.folder}: holds adapters alone, and no lora.json that says which; take a checkpoint of a recipe "
                "with lora="
            )
        raise BadInput(
            f"{self.folder}: the checkpoint has no tensor {' or '.join(part.names)}{part.where}; it is damaged or of "
            "another architecture"
        )

    def _check_size(self, key: str, part: Part, index: tuple[int, ...]) -> None:
        """`index` is that of the layer, and the expert, in the dimensions before the tensor's own."""
        size = tuple(getattr(self._metadata[key], "size", ()))
        own = size[len(index) :]
        if part.experts is not None and size[len(index) - 1 : len(index)] != (part.experts,):
            raise BadInput(
                f"{self.folder}: {key} is of size {size}, the model's config has {part.experts} experts of "
                f"{part.size} a layer; experts are missing or of another model"
            )
        if part.padded and own[1:] == part.size[1:]:
            if own[0] >= part.size[0]:
                return
            raise BadInput(
                f"{self.folder}: {key} has {own[0]} vocabulary rows, the model's config {part.size[0]}; "
                "the checkpoint is damaged"
            )
        if own != part.size or any(number <= at for number, at in zip(size, index)):
            each = "" if not index else " a layer" if part.expert is None else " an expert"
            raise BadInput(
                f"{self.folder}: {key} is of size {size}, the model's config makes it {part.size}{each}; the "
                "checkpoint is damaged"
            )
