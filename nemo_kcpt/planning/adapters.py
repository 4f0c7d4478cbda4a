"""What a training of low-rank adapters (`lora=` of the recipes) trains, beside weights that stay as they are."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.layout import Layout

TARGETS = ("linear_qkv", "linear_proj", "linear_fc1", "linear_fc2")
"""Megatron's linear layers."""


@dataclass(frozen=True, kw_only=True)
class AdapterPlan:
    """Which adapters."""

    rank: int
    targets: tuple[str, ...] = TARGETS
    embeddings: bool = False
    """Whether the embedding and the output layer are trained, too, whole."""

    def refusals(self, layout: Layout) -> list[str]:
        """Why they do not go with a layout: tensor-parallel ranks share A's rows."""
        if self.rank % layout.tensor_parallel == 0:
            return []
        return [f"adapters of rank {self.rank} do not divide by tensor_parallel={layout.tensor_parallel}"]


def adapter_parameters(shape: ModelShape, layout: Layout, adapters: AdapterPlan) -> int:
    """Weights in the adapters of a rank: for a layer W [out, in] A [rank, in] and B [out, rank], each divided by
    tensor parallelism (nemo/collections/llm/peft/utils.py, ``ParallelLinearAdapter``)."""
    layer = 0
    for weight in shape.family.layer:
        if weight.is_matrix and weight.names[0].split(".")[-2] in adapters.targets:
            sizes = list(weight.sizes(shape).values())
            layer += adapters.rank * (sum(size[0] for size in sizes) + sizes[0][1])
    return shape.num_layers // layout.pipeline_parallel * layer // layout.tensor_parallel
