"""Where each Hugging Face Llama tensor comes from in a Megatron model, and the other way round.

Megatron keeps q, k and v of a layer in one matrix, interleaved by query group (for group g: its heads/groups query
heads, its key head, its value head), and the gate above the up projection in `linear_fc1`. Norms carry Transformer
Engine's names where that layer spec was used, in memory and in every checkpoint, and the local spec's names in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemo_kcpt.hf.llama_shape import LlamaShape

if TYPE_CHECKING:
    from torch import Tensor

EMBEDDING = ("embedding.word_embeddings.weight",)
OUTPUT = ("output_layer.weight",)
FINAL_NORM = ("decoder.final_layernorm.weight", "decoder.final_norm.weight")
INPUT_NORM = ("self_attention.linear_qkv.layer_norm_weight", "input_layernorm.weight")
QKV = ("self_attention.linear_qkv.weight",)
PROJECTION = ("self_attention.linear_proj.weight",)
MLP_NORM = ("mlp.linear_fc1.layer_norm_weight", "pre_mlp_layernorm.weight")
GATE_UP = ("mlp.linear_fc1.weight",)
DOWN = ("mlp.linear_fc2.weight",)
NAMES = {
    names[0]: names for names in (EMBEDDING, OUTPUT, FINAL_NORM, INPUT_NORM, QKV, PROJECTION, MLP_NORM, GATE_UP, DOWN)
}
"""For each tensor's first name all that it may have."""
PADDED = frozenset((*EMBEDDING, *OUTPUT))
"""Tensors that may have more rows in a checkpoint: Megatron pads the vocabulary for tensor parallelism."""


def split_qkv(shape: LlamaShape, fused: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`linear_qkv` [(heads + 2 groups) · size, hidden] as q [heads · size, hidden], k and v [groups · size, hidden]."""
    per_group = shape.num_attention_heads // shape.num_query_groups
    grouped = fused.reshape(shape.num_query_groups, per_group + 2, shape.kv_channels, shape.hidden_size)
    query = grouped[:, :per_group].reshape(-1, shape.hidden_size)
    key = grouped[:, per_group].reshape(-1, shape.hidden_size)
    value = grouped[:, per_group + 1].reshape(-1, shape.hidden_size)
    return query, key, value


@dataclass(frozen=True)
class Part:
    """A tensor of Megatron's, by name and layer (None outside the layers), and the Hugging Face tensors it is made of.

    Args:
        name: as checkpoints have it; `NAMES` has the others.
        size: of the tensor; in a checkpoint, where layers are stacked, that of one layer. Without padding.
        sources: one name, query, key and value, or gate and up projection.
    """

    name: str
    layer: int | None
    size: tuple[int, ...]
    sources: tuple[str, ...]


Reader = Callable[[Part], "Tensor"]
"""Gives a tensor of `part.size` from a checkpoint."""


def hf_sizes(shape: LlamaShape) -> dict[str, tuple[int, ...]]:
    """Names and sizes of all tensors of the Hugging Face model."""
    hidden, ffn = shape.hidden_size, shape.ffn_hidden_size
    query, key = shape.num_attention_heads * shape.kv_channels, shape.num_query_groups * shape.kv_channels
    layer = {
        "input_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (query, hidden),
        "self_attn.k_proj.weight": (key, hidden),
        "self_attn.v_proj.weight": (key, hidden),
        "self_attn.o_proj.weight": (hidden, query),
        "post_attention_layernorm.weight": (hidden,),
        "mlp.gate_proj.weight": (ffn, hidden),
        "mlp.up_proj.weight": (ffn, hidden),
        "mlp.down_proj.weight": (hidden, ffn),
    }
    sizes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (shape.vocab_rows, hidden)}
    for number in range(shape.num_layers):
        sizes |= {f"model.layers.{number}.{name}": size for name, size in layer.items()}
    sizes["model.norm.weight"] = (hidden,)
    if not shape.tied:
        sizes["lm_head.weight"] = (shape.vocab_rows, hidden)
    return sizes


def megatron_parts(shape: LlamaShape) -> Iterator[Part]:
    """All tensors of the Megatron model in its order, under the names that checkpoints of every layer spec have."""
    sizes = hf_sizes(shape)

    def part(name: str, layer: int | None, *sources: str) -> Part:
        rows_of = [sizes[source] for source in sources]
        return Part(name, layer, (sum(size[0] for size in rows_of), *rows_of[0][1:]), sources)

    yield part(EMBEDDING[0], None, "model.embed_tokens.weight")
    for layer in range(shape.num_layers):
        prefix = f"model.layers.{layer}."
        attention, mlp = f"{prefix}self_attn.", f"{prefix}mlp."
        yield part(INPUT_NORM[0], layer, f"{prefix}input_layernorm.weight")
        yield part(QKV[0], layer, *(f"{attention}{letter}_proj.weight" for letter in "qkv"))
        yield part(PROJECTION[0], layer, f"{attention}o_proj.weight")
        yield part(MLP_NORM[0], layer, f"{prefix}post_attention_layernorm.weight")
        yield part(GATE_UP[0], layer, f"{mlp}gate_proj.weight", f"{mlp}up_proj.weight")
        yield part(DOWN[0], layer, f"{mlp}down_proj.weight")
    yield part(FINAL_NORM[0], None, "model.norm.weight")
    if not shape.tied:
        yield part(OUTPUT[0], None, "lm_head.weight")


def split(shape: LlamaShape, part: Part, tensor: Tensor) -> tuple[Tensor, ...]:
    """The Hugging Face tensors `part.sources` from Megatron's: the inverse of :func:`fuse`."""
    if part.name == QKV[0]:
        return split_qkv(shape, tensor)
    return (tensor,) if len(part.sources) == 1 else tensor.chunk(len(part.sources), dim=0)


def hf_tensors(shape: LlamaShape, read: Reader) -> Iterator[tuple[str, Tensor]]:
    """Hugging Face names and tensors in the order of the model; one tensor of Megatron's is in memory at a time."""
    for part in megatron_parts(shape):
        yield from zip(part.sources, split(shape, part, read(part)))


def fuse_qkv(shape: LlamaShape, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The inverse of :func:`split_qkv`."""
    import torch

    grouped = (tensor.reshape(shape.num_query_groups, -1, shape.hidden_size) for tensor in (query, key, value))
    return torch.cat(tuple(grouped), dim=1).reshape(-1, shape.hidden_size)


def fuse(shape: LlamaShape, part: Part, read: Callable[[str], Tensor]) -> Tensor:
    """The tensor `part`, of `part.size`, from the Hugging Face tensors that `read` gives by name."""
    import torch

    tensors = [read(source) for source in part.sources]
    if part.name == QKV[0]:
        return fuse_qkv(shape, *tensors)
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)
