"""Layouts: which there are on a cluster, why some cannot run, and which is best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.llama_shape import LlamaShape
from nemo_kcpt.planning.hardware import Cluster
from nemo_kcpt.planning.throughput import bubble, tokens_per_second

if TYPE_CHECKING:
    from nemo_kcpt.planning.memory import Memory

RECOMPUTES = ("none", "selective", "full")
"""Megatron's `recompute_granularity`: nothing; core attention (its default `recompute_modules`); each layer whole."""
CLOSE = 0.02
"""Share of speed that a layout with more memory to spare may lack, to be preferred."""
ROUGH_BYTES = 5e9
MICRO_BATCHES = (1, 2, 4, 8, 16)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a training is divided over ranks."""

    tensor_parallel: int
    pipeline_parallel: int
    context_parallel: int
    data_parallel: int
    micro_batch_size: int
    recompute: str
    """none, selective (attention's products) or full (each layer), in the backward pass."""

    @property
    def gpus(self) -> int:
        """Ranks in all."""
        return self.tensor_parallel * self.pipeline_parallel * self.context_parallel * self.data_parallel

    @property
    def sequence_parallel(self) -> bool:
        """Always with tensor parallelism: it costs nothing and saves memory."""
        return self.tensor_parallel > 1

    @property
    def name(self) -> str:
        """Short, for tables."""
        dimensions = {"TP": self.tensor_parallel, "PP": self.pipeline_parallel, "CP": self.context_parallel}
        words = [f"{label}{size}" for label, size in dimensions.items() if size > 1]
        return " ".join([*words, f"DP{self.data_parallel}", f"mb{self.micro_batch_size}", self.recompute])


def _indivisible(what: str, size: int, by: str, ranks: int) -> str | None:
    if size % ranks == 0:
        return None
    fitting = [str(number) for number in range(1, min(size, 64) + 1) if size % number == 0]
    return f"{size} {what} do not divide by {by}={ranks}; one of {', '.join(fitting)} does"


def refusals(
    shape: LlamaShape, seq_length: int, layout: Layout, global_batch_size: int, gpus: int, gpus_per_node: int = 0
) -> list[str]:
    """Why a layout cannot run, each reason with both sides; empty if it can.

    The vocabulary is no reason: it is padded inside Megatron.

    Args:
        shape: the model.
        seq_length: tokens of a window.
        layout: what is asked about.
        global_batch_size: windows of an optimizer step.
        gpus: ranks that there are.
        gpus_per_node: of them on one machine, which tensor parallelism must not leave; 0 does not look at that.
    """
    t, p, c = layout.tensor_parallel, layout.pipeline_parallel, layout.context_parallel
    reasons = [
        _indivisible("attention heads", shape.num_attention_heads, "tensor_parallel", t),
        _indivisible("key-value heads", shape.num_query_groups, "tensor_parallel", t),
        _indivisible("feed-forward columns", shape.ffn_hidden_size, "tensor_parallel", t),
        _indivisible("layers", shape.num_layers, "pipeline_parallel", p),
    ]
    if c > 1 and seq_length % (2 * c):
        reasons.append(f"{seq_length} tokens do not divide by 2·context_parallel={2 * c}")
    if t > 1 and seq_length // c % t:
        reasons.append(
            f"{seq_length // c} positions of a rank do not divide by tensor_parallel={t} (sequence parallel)"
        )
    if layout.gpus != gpus:
        reasons.append(
            f"tensor·pipeline·context·data parallel = {t}·{p}·{c}·{layout.data_parallel} = {layout.gpus} ranks, there "
            f"are {gpus}; their product must be the number of GPUs"
        )
    if gpus_per_node and t > gpus_per_node:
        reasons.append(f"tensor_parallel={t} would leave the node, which has {gpus_per_node} GPUs")
    step = layout.micro_batch_size * layout.data_parallel
    if global_batch_size % step:
        reasons.append(
            f"a global batch of {global_batch_size} windows does not divide by micro_batch_size·data_parallel = "
            f"{layout.micro_batch_size}·{layout.data_parallel}"
        )
    return [reason for reason in reasons if reason]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A layout, and what it needs and gives."""

    layout: Layout
    refused: tuple[str, ...]
    """Why it does not go; empty if it does."""
    memory: Memory | None = None
    """Of the rank that needs most; None where the layout cannot even be worked out."""
    bubble: float = 0.0
    """Idle over working time of the pipeline."""
    tokens_per_second: float = 0.0
    """Estimate, of the whole cluster."""


def _every(cluster: Cluster, fixed: Mapping[str, Any]) -> Iterator[Layout]:
    def sizes(name: str, choices: list[Any]) -> list[Any]:
        return choices if fixed.get(name) is None else [fixed[name]]

    gpus = cluster.gpus
    divisors = [number for number in range(1, gpus + 1) if gpus % number == 0]
    for tensor in sizes("tensor_parallel", divisors):
        for pipeline in sizes("pipeline_parallel", divisors):
            for context in sizes("context_parallel", divisors):
                shared = tensor * pipeline * context
                if shared > gpus or gpus % shared:
                    if all(fixed.get(name) for name in ("tensor_parallel", "pipeline_parallel", "context_parallel")):
                        raise BadInput(
                            f"tensor·pipeline·context parallel = {tensor}·{pipeline}·{context} = {shared} does not "
                            f"divide {gpus} GPUs ({cluster.nodes} × {cluster.gpus_per_node})"
                        )
                    continue
                for micro_batch in sizes("micro_batch_size", list(MICRO_BATCHES)):
                    for recompute in sizes("recompute", list(RECOMPUTES)):
                        yield Layout(
                            tensor_parallel=tensor,
                            pipeline_parallel=pipeline,
                            context_parallel=context,
                            data_parallel=gpus // shared,
                            micro_batch_size=micro_batch,
                            recompute=recompute,
                        )


def check_fixed(cluster: Cluster, fixed: Mapping[str, Any]) -> None:
    """Look at the parts of a layout that somebody fixed.

    Raises:
        BadInput: a size that is no divisor of the GPUs, or an unknown kind of recomputation.
    """
    for name in ("tensor_parallel", "pipeline_parallel", "context_parallel"):
        size = fixed.get(name)
        if size is not None and (size < 1 or cluster.gpus % size):
            raise BadInput(
                f"{name}={size} does not divide {cluster.gpus} GPUs ({cluster.nodes} × {cluster.gpus_per_node}); a "
                "divisor is needed"
            )
    if fixed.get("micro_batch_size") is not None and fixed["micro_batch_size"] < 1:
        raise BadInput(f"micro_batch_size={fixed['micro_batch_size']}: at least 1 is needed")
    if fixed.get("recompute") not in (None, *RECOMPUTES):
        raise BadInput(f"recompute: '{fixed['recompute']}' is not one of {', '.join(RECOMPUTES)}")


def plans(
    shape: LlamaShape,
    seq_length: int,
    global_batch_size: int,
    cluster: Cluster,
    fixed: Mapping[str, Any] | None = None,
) -> list[Plan]:
    """Every layout of a model on a cluster: those that fit, the fastest first, then those refused.

    At the top stands the one that needs least memory of those within `CLOSE` of the fastest.

    Args:
        shape: the model.
        seq_length: tokens of a window.
        global_batch_size: windows of an optimizer step.
        cluster: what there is.
        fixed: fields of `Layout` to hold fixed, by name; None as a value leaves one free.

    Raises:
        BadInput: what is fixed cannot be.
    """
    from nemo_kcpt.planning.memory import memory

    fixed = fixed or {}
    check_fixed(cluster, fixed)
    found = []
    room = cluster.gpu.memory_gb * 1e9
    for layout in _every(cluster, fixed):
        reasons = refusals(shape, seq_length, layout, global_batch_size, cluster.gpus, cluster.gpus_per_node)
        if reasons:
            found.append(Plan(layout=layout, refused=tuple(reasons)))
            continue
        micro_batches = global_batch_size // (layout.micro_batch_size * layout.data_parallel)
        needed = memory(shape, seq_length, layout, micro_batches)
        if needed.bytes > room:
            over = f"{needed.bytes / 1e9:,.1f} GB a rank, the GPU has {cluster.gpu.memory_gb:g}"
            reasons = [f"{over}; most is {max(needed.components().items(), key=lambda item: item[1])[0]}"]
        found.append(
            Plan(
                layout=layout,
                refused=tuple(reasons),
                memory=needed,
                bubble=bubble(layout, micro_batches),
                tokens_per_second=tokens_per_second(shape, seq_length, layout, global_batch_size, cluster),
            )
        )
    ordered = sorted(found, key=_order)
    fast = [
        plan
        for plan in ordered
        if not plan.refused and plan.tokens_per_second >= (1 - CLOSE) * ordered[0].tokens_per_second
    ]
    if fast:
        # The estimate of speed is rougher than that; room to spare is worth more.
        leader = min(fast, key=lambda plan: (_rough_memory(plan), -plan.tokens_per_second))
        ordered.remove(leader)
        ordered.insert(0, leader)
    return ordered


def _rough_memory(plan: Plan) -> float:
    """In steps of `ROUGH_BYTES`; less is no reason to prefer one."""
    return plan.memory.bytes // ROUGH_BYTES if plan.memory else 0


def _order(plan: Plan) -> tuple[Any, ...]:
    """Those that fit, by speed; of equal speed by memory; then by the layout, so that the order is fixed."""
    one = plan.layout
    sizes = (one.tensor_parallel, one.pipeline_parallel, one.context_parallel, one.micro_batch_size)
    used = plan.memory.bytes if plan.memory else float("inf")
    return bool(plan.refused), -round(plan.tokens_per_second, 3), used, sizes, RECOMPUTES.index(one.recompute)


def chosen(
    shape: LlamaShape, seq_length: int, global_batch_size: int, cluster: Cluster, fixed: Mapping[str, Any]
) -> Plan:
    """The best plan; where every size is fixed that very one, whether or not its memory seems to suffice.

    Raises:
        BadInput: none fits, or the one that was fixed cannot run.
    """
    free = [name for name, size in fixed.items() if size is None]
    if free:
        return best(shape, seq_length, global_batch_size, cluster, fixed)
    (plan,) = plans(shape, seq_length, global_batch_size, cluster, fixed)
    if plan.memory is None:
        raise BadInput(f"this layout cannot train this model: {'; '.join(plan.refused)}")
    return plan


def best(
    shape: LlamaShape,
    seq_length: int,
    global_batch_size: int,
    cluster: Cluster,
    fixed: Mapping[str, Any] | None = None,
) -> Plan:
    """The first plan that fits; see :func:`plans`.

    Raises:
        BadInput: none fits; the message has the one that lacks least and what would help.
    """
    every = plans(shape, seq_length, global_batch_size, cluster, fixed)
    if not every[0].refused:
        return every[0]
    tight = [plan for plan in every if plan.memory is not None]
    if not tight:
        raise BadInput(f"no layout goes on {cluster.gpus} GPUs: {'; '.join(every[0].refused)}")
    nearest = min(tight, key=lambda plan: plan.memory.bytes if plan.memory else 0)
    raise BadInput(
        f"no layout fits {cluster.gpus} GPUs of {cluster.gpu.memory_gb:g} GB; nearest is {nearest.layout.name}: "
        f"{'; '.join(nearest.refused)}. Give more GPUs, or windows of fewer tokens"
    )
