"""Memory of a rank: weights, gradients, optimizer, activations, buffers; of the pipeline stage that needs most.

Weights and optimizer are those of Megatron's mixed precision with the distributed optimizer (Rajbhandari et al. 2020,
ZeRO, stage 1): bf16 weights and float32 gradients whole, float32 main weights and Adam's two moments divided over the
data- and context-parallel ranks; those of experts over the ranks that have the same ones. Activations are counted
operation by operation in :mod:`nemo_kcpt.planning.activations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.activations import (
    TRANSFORMER_ENGINE,
    Modules,
    Share,
    angle_terms,
    embedding_terms,
    head_terms,
    layer_terms,
    padded_rows,
    working_terms,
)
from nemo_kcpt.planning.adapters import AdapterPlan, adapter_parameters
from nemo_kcpt.planning.layout import Layout
from nemo_kcpt.planning.terms import Term, term, total

CONTEXT_BYTES = 4e9
"""CUDA's context, NCCL's buffers, cuBLAS's and Transformer Engine's workspaces. An assumption."""
FRAGMENTATION = 0.05
"""Share of all the rest that is lost between the allocator's blocks. An assumption."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What one rank of the pipeline stage that needs most holds at its fullest moment, as terms of bytes."""

    stage: int
    """Number of the pipeline stage, from 0."""
    weights: tuple[Term, ...]
    gradients: tuple[Term, ...]
    optimizer: tuple[Term, ...]
    activations: tuple[Term, ...]
    """Those of all micro-batches in flight; on the last stage the logits' too."""
    buffers: tuple[Term, ...]

    def components(self) -> dict[str, float]:
        """Bytes by component."""
        names = ("weights", "gradients", "optimizer", "activations", "buffers")
        return {name: total(getattr(self, name)) for name in names}

    @cached_property
    def bytes(self) -> float:
        """In all."""
        return sum(self.components().values())


@lru_cache(maxsize=64)
def _layer_elements(shape: ModelShape) -> tuple[tuple[int, bool, bool], ...]:
    """Elements of each weight of a layer, whether tensor parallelism divides it, and whether it is of experts: the same
    in every layout."""
    return tuple((weight.elements(shape), weight.is_split, weight.of_experts) for weight in shape.family.layer)


def stage_parameters(shape: ModelShape, layout: Layout, stage: int) -> int:
    """Weights of a rank of a pipeline stage: matrices and biases divided by tensor parallelism, norms whole, experts by
    expert parallelism, too.

    Tied embeddings stand on the first stage and, where that is another one, on the last.
    """
    t = layout.tensor_parallel
    layer = sum(
        number // t if split else number for number, split, of_experts in _layer_elements(shape) if not of_experts
    )
    norm = shape.hidden_size if stage == layout.pipeline_parallel - 1 else 0
    layers = shape.num_layers // layout.pipeline_parallel * layer + expert_parameters(shape, layout)
    return layers + vocabulary_parameters(shape, layout, stage) + norm


def expert_parameters(shape: ModelShape, layout: Layout) -> int:
    """Parameters of a rank that are in experts; all stages have as many."""
    ranks = layout.tensor_parallel * layout.expert_parallel
    layer = sum(number // ranks for number, _, of_experts in _layer_elements(shape) if of_experts)
    return shape.num_layers // layout.pipeline_parallel * layer


def vocabulary_parameters(shape: ModelShape, layout: Layout, stage: int) -> int:
    """Parameters of a rank that are in the embedding and the output layer."""
    first, last = stage == 0, stage == layout.pipeline_parallel - 1
    embeddings = first + (last and not (shape.tied and first))
    t = layout.tensor_parallel
    return int(embeddings) * (padded_rows(shape, t) // t * shape.hidden_size)


def trained_parameters(shape: ModelShape, adapters: AdapterPlan) -> int:
    """Weights that a training of adapters trains, over all ranks."""
    parts = ("tensor_parallel", "pipeline_parallel", "context_parallel", "data_parallel", "micro_batch_size")
    whole = Layout(**dict.fromkeys(parts, 1), recompute="none")
    embeddings = vocabulary_parameters(shape, whole, 0) if adapters.embeddings else 0
    return adapter_parameters(shape, whole, adapters) + embeddings


def in_flight(layout: Layout, stage: int, micro_batches: int) -> int:
    """Micro-batches whose activations a stage keeps at once with 1F1B (Narayanan et al. 2021, §2.2.1)."""
    return min(micro_batches, layout.pipeline_parallel - stage)


def _times(terms: list[Term], number: int, symbol: str, what: str) -> list[Term]:
    """Each term `number` times."""
    if number == 1:
        return terms
    return [term(f"{single.name}, {what}", {symbol: number, **single.times}, single.over) for single in terms]


def stage_memory(
    shape: ModelShape,
    seq_length: int,
    layout: Layout,
    micro_batches: int,
    stage: int,
    modules: Modules = TRANSFORMER_ENGINE,
    adapters: AdapterPlan | None = None,
) -> Memory:
    """Memory of a rank of pipeline stage `stage`; with `adapters` gradients and optimizer are those of what is trained.

    Activations are then those of a training of all weights, which is an upper bound, and what A gives.
    """
    parameters = stage_parameters(shape, layout, stage)
    share = Share(
        seq_length=seq_length,
        micro_batch_size=layout.micro_batch_size,
        tensor_parallel=layout.tensor_parallel,
        context_parallel=layout.context_parallel,
    )
    layers = shape.num_layers // layout.pipeline_parallel
    flying = in_flight(layout, stage, micro_batches)
    kept = _times(layer_terms(shape, share, modules, layout.recompute), layers, "l", "all layers of the stage")
    if stage == 0:
        kept = [*embedding_terms(share), *kept]
    kept = [*_times(kept, flying, "i", "in flight"), *angle_terms(shape, share, modules, layout.recompute)]
    head = head_terms(shape, share, modules) if stage == layout.pipeline_parallel - 1 else []
    # The head's activations are free again when the layers' backward passes need room to work.
    moment = max(head, working_terms(shape, share, modules, layout.recompute), key=total)
    weights = [term("weights, bf16", {"w": parameters, "2": 2})]
    trained, symbol = parameters, "w"
    if adapters is not None:
        own = adapter_parameters(shape, layout, adapters)
        trained, symbol = own + adapters.embeddings * vocabulary_parameters(shape, layout, stage), "a"
        weights.append(term("adapters, bf16", {"k": own, "2": 2}))
        given = {"l": layers, "i": flying, "s": share.seq_length, "b": share.micro_batch_size, "2": 2}
        outputs = {**given, "q": adapters.rank * len(adapters.targets)}
        kept.append(term("what A gives", outputs, {"c": share.context_parallel}))
    gradients = term("gradients, float32", {symbol: trained, "4": 4})
    optimizer = _optimizer(shape, layout, symbol, trained)
    activations = (*kept, *moment)
    used = total([*weights, gradients, *optimizer, *activations])
    return Memory(
        stage=stage,
        weights=tuple(weights),
        gradients=(gradients,),
        optimizer=optimizer,
        activations=activations,
        buffers=(
            term("CUDA, NCCL, workspaces", {"c": CONTEXT_BYTES}),
            term("fragmentation", {"u": used, "0.05": FRAGMENTATION}),
        ),
    )


def _optimizer(shape: ModelShape, layout: Layout, symbol: str, trained: int) -> tuple[Term, ...]:
    """Main weights and moments of what is trained; of experts' apart, whose replicas are fewer."""
    name, over = "main weights and Adam's moments, float32", {"r": layout.replicas}
    experts = expert_parameters(shape, layout)
    if not experts:
        return (term(name, {symbol: trained, "12": 12}, over),)
    return (
        term(f"{name}, without experts", {"(w-x)": trained - experts, "12": 12}, over),
        term(f"{name}, of experts", {"x": experts, "12": 12}, {"y": layout.expert_replicas}),
    )


def memory(
    shape: ModelShape, seq_length: int, layout: Layout, micro_batches: int, adapters: AdapterPlan | None = None
) -> Memory:
    """Memory of the rank that needs most.

    That is the first stage, the last, or the second: those after it hold as many weights and fewer activations.
    """
    p = layout.pipeline_parallel
    stages = [
        stage_memory(shape, seq_length, layout, micro_batches, stage, adapters=adapters)
        for stage in sorted({0, min(1, p - 1), p - 1})
    ]
    return max(stages, key=lambda stage: stage.bytes)
