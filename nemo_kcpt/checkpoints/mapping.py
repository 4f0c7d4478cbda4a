"""Where each Hugging Face tensor comes from in a Megatron model, and the other way round.

Which tensors there are is in the description of the model's family (:mod:`nemo_kcpt.hf.families`); how they are joined
is here. Norms carry Transformer Engine's names where that layer spec was used, in memory and in every checkpoint, and
the local spec's names in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemo_kcpt.hf.families.base import EMBEDDING, FINAL_NORM, OUTPUT, Join, ModelShape, Weight

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Part:
    """A tensor of Megatron's, by name and layer (None outside the layers), and the Hugging Face tensors it is made of.

    Args:
        names: that it may have, the first as checkpoints have it.
        layer: from 0.
        expert: of the layer, from 0, and `experts`, their number; None where it is no expert's.
        size: of the tensor; in a checkpoint, where layers and experts are stacked, that of one. Without padding.
        sources: one name, query, key and value, or gate and up projection.
        join: how the sources make the tensor.
        padded: whether it may have more rows in a checkpoint: Megatron pads the vocabulary for tensor parallelism.
    """

    names: tuple[str, ...]
    layer: int | None
    size: tuple[int, ...]
    sources: tuple[str, ...]
    join: Join = "same"
    padded: bool = False
    expert: int | None = None
    experts: int | None = None

    @property
    def name(self) -> str:
        """As checkpoints have it."""
        return self.names[0]

    @property
    def is_linear(self) -> bool:
        """Whether it is the matrix of one of a layer's linear modules."""
        return self.layer is not None and len(self.size) > 1 and self.name.split(".")[-2].startswith("linear_")

    @property
    def where(self) -> str:
        """Its layer and expert, for error messages."""
        layer = "" if self.layer is None else f" of layer {self.layer}"
        return layer if self.expert is None else f" of expert {self.expert}{layer}"

    def stack(self, layers: int) -> tuple[tuple[int, int], ...]:
        """Its place, and how many places there are, in each dimension that a checkpoint has before its own."""
        dimensions = [(self.layer, layers), (self.expert, self.experts)]
        return tuple((index, number) for index, number in dimensions if index is not None and number is not None)


Reader = Callable[[Part], "Tensor"]
"""Gives a tensor of `part.size` from a checkpoint."""


def _of_layer(shape: ModelShape, layer: int) -> Iterator[tuple[Weight, int | None, dict[str, tuple[int, ...]]]]:
    """A layer's weights, with the expert's number and the names and sizes of their sources."""
    for weight in shape.family.layer:
        sizes = weight.sizes(shape)
        for expert in range(weight.copies(shape)) if weight.of_experts else (None,):
            names = {name: name if expert is None else name.format(expert=expert) for name in sizes}
            yield weight, expert, {f"model.layers.{layer}.{names[name]}": size for name, size in sizes.items()}


def _in_order(shape: ModelShape) -> Iterator[tuple[Weight, int | None, int | None, dict[str, tuple[int, ...]]]]:
    """Each weight with its layer, its expert, and the names and sizes of its sources."""
    yield EMBEDDING, None, None, EMBEDDING.sizes(shape)
    for layer in range(shape.num_layers):
        for weight, expert, sizes in _of_layer(shape, layer):
            yield weight, layer, expert, sizes
    for weight in (FINAL_NORM, OUTPUT):
        if weight in shape.outside:
            yield weight, None, None, weight.sizes(shape)


def hf_sizes(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    """Names and sizes of all tensors of the Hugging Face model, in the order of :func:`megatron_parts`."""
    return {name: size for _, _, _, sizes in _in_order(shape) for name, size in sizes.items()}


def megatron_parts(shape: ModelShape) -> Iterator[Part]:
    """All tensors of the Megatron model in its order, under the names that checkpoints of every layer spec have."""
    for weight, layer, expert, sizes in _in_order(shape):
        rows = sum(size[0] for size in sizes.values())
        rest = next(iter(sizes.values()))[1:]
        yield Part(
            names=weight.names,
            layer=layer,
            size=(rows, *rest),
            sources=tuple(sizes),
            join=weight.join,
            padded=weight in (EMBEDDING, OUTPUT),
            expert=expert,
            experts=None if expert is None else shape.num_moe_experts,
        )


def split_qkv(shape: ModelShape, fused: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`linear_qkv` [(heads + 2 groups) · size, …] as q [heads · size, …], k and v [groups · size, …]."""
    per_group, rest = shape.num_attention_heads // shape.num_query_groups, fused.shape[1:]
    grouped = fused.reshape(shape.num_query_groups, per_group + 2, shape.kv_channels, *rest)
    query = grouped[:, :per_group].reshape(-1, *rest)
    key = grouped[:, per_group].reshape(-1, *rest)
    value = grouped[:, per_group + 1].reshape(-1, *rest)
    return query, key, value


def fuse_qkv(shape: ModelShape, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The inverse of :func:`split_qkv`."""
    import torch

    rest = query.shape[1:]
    grouped = (tensor.reshape(shape.num_query_groups, -1, *rest) for tensor in (query, key, value))
    return torch.cat(tuple(grouped), dim=1).reshape(-1, *rest)


def split(shape: ModelShape, part: Part, tensor: Tensor) -> tuple[Tensor, ...]:
    """The Hugging Face tensors `part.sources` from Megatron's: the inverse of :func:`fuse`."""
    import torch

    if part.join == "groups":
        pieces = split_qkv(shape, tensor)
        return pieces if len(part.sources) == len(pieces) else (torch.cat(pieces),)
    return (tensor,) if len(part.sources) == 1 else tensor.chunk(len(part.sources), dim=0)


def fuse(shape: ModelShape, part: Part, read: Callable[[str], Tensor]) -> Tensor:
    """The tensor `part`, of `part.size`, from the Hugging Face tensors that `read` gives by name."""
    import torch

    tensors = [read(source) for source in part.sources]
    if part.join == "groups":
        if len(tensors) == 1:
            tensors = list(tensors[0].split([shape.query_size, shape.key_size, shape.key_size]))
        return fuse_qkv(shape, *tensors)
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def hf_tensors(shape: ModelShape, read: Reader) -> Iterator[tuple[str, Tensor]]:
    """Hugging Face names and tensors in the order of the model; one tensor of Megatron's is in memory at a time."""
    for part in megatron_parts(shape):
        yield from zip(part.sources, split(shape, part, read(part)))
