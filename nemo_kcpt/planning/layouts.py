"""Plans: the layouts that there are on a cluster, what each needs and gives, and which is best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.adapters import AdapterPlan
from nemo_kcpt.planning.hardware import Cluster
from nemo_kcpt.planning.layout import RECOMPUTES, Layout, refusals
from nemo_kcpt.planning.memory import Memory, memory
from nemo_kcpt.planning.throughput import bubble, tokens_per_second

CLOSE = 0.02
"""Share of speed that a layout with more memory to spare may lack, to be preferred."""
ROUGH_BYTES = 5e9
MICRO_BATCHES = (1, 2, 4, 8, 16)
PARALLEL = ("tensor_parallel", "pipeline_parallel", "context_parallel")
SIZES = (*PARALLEL, "expert_parallel", "micro_batch_size", "recompute")
"""Fields of a layout that may be given; the number of data-parallel ranks follows."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A layout, and what it needs and gives."""

    layout: Layout
    refused: tuple[str, ...]
    """Why it does not go; empty if it does."""
    memory: Memory | None = None
    """Memory of the rank that needs most; None where the layout cannot even be worked out."""
    bubble: float = 0.0
    """Idle over working time of the pipeline."""
    tokens_per_second: float = 0.0
    """Estimate, of the whole cluster."""


def _every(cluster: Cluster, fixed: Mapping[str, Any], experts: int | None) -> Iterator[Layout]:
    def sizes(name: str, choices: list[Any]) -> list[Any]:
        return choices if fixed.get(name) is None else [fixed[name]]

    gpus = cluster.gpus
    divisors = [number for number in range(1, gpus + 1) if gpus % number == 0]
    for tensor in sizes("tensor_parallel", divisors):
        for pipeline in sizes("pipeline_parallel", divisors):
            for context in sizes("context_parallel", divisors):
                shared = tensor * pipeline * context
                if shared > gpus or gpus % shared:
                    if all(fixed.get(name) for name in PARALLEL):
                        raise BadInput(
                            f"tensor·pipeline·context parallel = {tensor}·{pipeline}·{context} = {shared} does not "
                            f"divide {gpus} GPUs ({cluster.nodes} × {cluster.gpus_per_node})"
                        )
                    continue
                among = [number for number in divisors if gpus // tensor // pipeline % number == 0]
                rest = product(
                    sizes("expert_parallel", among if experts else [1]),
                    sizes("micro_batch_size", list(MICRO_BATCHES)),
                    sizes("recompute", list(RECOMPUTES)),
                )
                for expert, micro_batch, recompute in rest:
                    yield Layout(
                        tensor_parallel=tensor,
                        pipeline_parallel=pipeline,
                        context_parallel=context,
                        data_parallel=gpus // shared,
                        micro_batch_size=micro_batch,
                        recompute=recompute,
                        expert_parallel=expert,
                    )


def check_fixed(cluster: Cluster, fixed: Mapping[str, Any]) -> None:
    """Look at the parts of a layout that somebody fixed.

    Raises:
        BadInput: a size that is no divisor of the GPUs, or an unknown kind of recomputation.
    """
    for name in (*PARALLEL, "expert_parallel"):
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
    shape: ModelShape,
    seq_length: int,
    global_batch_size: int,
    cluster: Cluster,
    fixed: Mapping[str, Any] | None = None,
    adapters: AdapterPlan | None = None,
) -> list[Plan]:
    """Every layout of a model on a cluster: those that fit, the fastest first, then those refused.

    At the top stands the one that needs least memory of those within `CLOSE` of the fastest.

    Args:
        shape: the model.
        seq_length: tokens of a window.
        global_batch_size: windows of an optimizer step.
        cluster: what there is.
        fixed: fields of `Layout` to hold fixed, by name; None as a value leaves one free.
        adapters: that are trained in place of the weights.

    Raises:
        BadInput: what is fixed cannot be, or adapters of a mixture of experts.
    """
    fixed = fixed or {}
    candidates = _Candidates(shape, seq_length, global_batch_size, cluster, adapters)
    return _ranked([candidates.plan(layout) for layout in candidates.layouts(fixed)])


@dataclass(frozen=True)
class _Candidates:
    """The layouts of a training, and what each is planned to take."""

    shape: ModelShape
    seq_length: int
    global_batch_size: int
    cluster: Cluster
    adapters: AdapterPlan | None

    def layouts(self, fixed: Mapping[str, Any]) -> Iterator[Layout]:
        """All of them; see :func:`plans` for `fixed` and what is raised."""
        check_fixed(self.cluster, fixed)
        if self.shape.num_moe_experts is not None and self.adapters is not None:
            raise BadInput("lora: a mixture of experts takes no adapters yet; train its weights (leave lora= out)")
        return _every(self.cluster, fixed, self.shape.num_moe_experts)

    def refusals(self, layout: Layout) -> list[str]:
        """Why a layout cannot run, whatever its memory."""
        cluster = self.cluster
        reasons = refusals(
            self.shape, self.seq_length, layout, self.global_batch_size, cluster.gpus, cluster.gpus_per_node
        )
        return [*reasons, *(self.adapters.refusals(layout) if self.adapters else ())]

    def speed(self, layout: Layout) -> float:
        """Tokens a second."""
        return tokens_per_second(self.shape, self.seq_length, layout, self.global_batch_size, self.cluster)

    def plan(self, layout: Layout) -> Plan:
        """What it takes, or why it is refused."""
        if reasons := self.refusals(layout):
            return Plan(layout=layout, refused=tuple(reasons))
        micro_batches = self.global_batch_size // (layout.micro_batch_size * layout.data_parallel)
        needed = memory(self.shape, self.seq_length, layout, micro_batches, self.adapters)
        gpu = self.cluster.gpu
        if needed.bytes > gpu.memory_gb * 1e9:
            over = f"{needed.bytes / 1e9:,.1f} GB a rank, the GPU has {gpu.memory_gb:g}"
            reasons = [f"{over}; most is {max(needed.components().items(), key=lambda item: item[1])[0]}"]
        return Plan(
            layout=layout,
            refused=tuple(reasons),
            memory=needed,
            bubble=bubble(layout, micro_batches),
            tokens_per_second=self.speed(layout),
        )

    def fastest(self, fixed: Mapping[str, Any]) -> list[Plan]:
        """The plans that fit and are about as fast as the fastest of them; memory is worked out for those alone."""
        runs = [(self.speed(layout), layout) for layout in self.layouts(fixed) if not self.refusals(layout)]
        fast: list[Plan] = []
        for speed, layout in sorted(runs, key=lambda run: -run[0]):
            if fast and speed < (1 - CLOSE) * fast[0].tokens_per_second - 1:  # the order rounds speeds
                break
            plan = self.plan(layout)
            fast += [] if plan.refused else [plan]
        return fast


def _ranked(candidates: Sequence[Plan]) -> list[Plan]:
    """In order, with the one at the top that needs least memory of those within `CLOSE` of the fastest."""
    ordered = sorted(candidates, key=_order)
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
    layout = plan.layout
    sizes = (
        layout.tensor_parallel,
        layout.pipeline_parallel,
        layout.context_parallel,
        layout.expert_parallel,
        layout.micro_batch_size,
    )
    used = plan.memory.bytes if plan.memory else float("inf")
    return bool(plan.refused), -round(plan.tokens_per_second, 3), used, sizes, RECOMPUTES.index(layout.recompute)


def chosen(
    shape: ModelShape,
    seq_length: int,
    global_batch_size: int,
    cluster: Cluster,
    fixed: Mapping[str, Any],
    adapters: AdapterPlan | None = None,
) -> Plan:
    """The best plan; where every size is fixed that very one, whether or not its memory seems to suffice.

    Raises:
        BadInput: none fits, or the one that was fixed cannot run; adapters of a mixture of experts.
    """
    if shape.num_moe_experts is None:
        fixed = {"expert_parallel": 1, **{name: size for name, size in fixed.items() if size is not None}}
    if any(fixed.get(name) is None for name in SIZES):
        return best(shape, seq_length, global_batch_size, cluster, fixed, adapters)
    (plan,) = plans(shape, seq_length, global_batch_size, cluster, fixed, adapters)
    if plan.memory is None:
        raise BadInput(f"this layout cannot train this model: {'; '.join(plan.refused)}")
    return plan


def fitting(
    shape: ModelShape,
    seq_length: int,
    global_batch_size: int,
    cluster: Cluster,
    fixed: Mapping[str, Any] | None = None,
    adapters: AdapterPlan | None = None,
) -> Plan | None:
    """The first of :func:`plans`, found without all others; None where none fits. Arguments and errors are the same."""
    fast = _Candidates(shape, seq_length, global_batch_size, cluster, adapters).fastest(fixed or {})
    return _ranked(fast)[0] if fast else None


def best(
    shape: ModelShape,
    seq_length: int,
    global_batch_size: int,
    cluster: Cluster,
    fixed: Mapping[str, Any] | None = None,
    adapters: AdapterPlan | None = None,
) -> Plan:
    """The first plan that fits; see :func:`plans`.

    Raises:
        BadInput: none fits; the message has the one that lacks least and what would help.
    """
    first = fitting(shape, seq_length, global_batch_size, cluster, fixed, adapters)
    if first is not None:
        return first
    every = plans(shape, seq_length, global_batch_size, cluster, fixed, adapters)
    tight = [plan for plan in every if plan.memory is not None]
    if not tight:
        raise BadInput(f"no layout runs on {cluster.gpus} GPUs: {'; '.join(every[0].refused)}")
    nearest = min(tight, key=lambda plan: plan.memory.bytes if plan.memory else 0)
    raise BadInput(
        f"no layout fits {cluster.gpus} GPUs of {cluster.gpu.memory_gb:g} GB; nearest is {nearest.layout.name}: "
        f"{'; '.join(nearest.refused)}. Give more GPUs, or windows of fewer tokens"
    )
