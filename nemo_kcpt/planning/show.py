"""What `kcpt plan` prints: the table of layouts, and the formulas of one with the numbers in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.activations import TRANSFORMER_ENGINE, Share, symbols
from nemo_kcpt.planning.adapters import AdapterPlan
from nemo_kcpt.planning.hardware import Cluster
from nemo_kcpt.planning.layouts import Plan
from nemo_kcpt.planning.memory import trained_parameters
from nemo_kcpt.planning.rope import reason, rotary_base
from nemo_kcpt.planning.throughput import (
    CONTEXT_PARALLEL_COST,
    EXPOSED,
    HALF_SPEED_TOKENS,
    NODE_BYTES_PER_SECOND,
    PIPELINE_COST,
    TENSOR_PARALLEL_COST,
    WITHIN_BYTES_PER_SECOND,
    between_experts,
    between_nodes,
    efficiency,
    flops_per_token,
    forward_flops_per_token,
    imbalance,
    recompute_factor,
)

WIDTH = 132
"""Columns that the table is given at least."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The training that is planned."""

    model: str
    """Its name, as the user gave it."""
    shape: ModelShape
    seq_length: int
    """Tokens of a window."""
    cluster: Cluster
    steps: int
    """Optimizer steps."""
    batch: int
    """Windows of a step."""
    adapters: AdapterPlan | None = None
    """Trained in place of the weights."""


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def show(training: Training, rows: list[dict[str, Any]], top: int, refused: bool) -> None:
    """The table of the `top` best layouts; on request those that are refused, with the reasons."""
    console, shape, cluster, batch = _console(), training.shape, training.cluster, training.batch
    going = [row for row in rows if not row["refused"]]
    met = "" if shape.num_moe_experts is None else f", of which a token meets {shape.activated() / 1e9:.2f}"
    console.print(
        f"{training.model}: {shape.parameters() / 1e9:.2f} billion weights{met}; windows of {training.seq_length:,} "
        f"tokens, {batch} windows a step, {training.steps:,} steps of {batch * training.seq_length:,} tokens"
        f"{_trained(training)}\n"
        f"{reason(shape, training.seq_length, rotary_base(shape, training.seq_length))}\n"
        f"{cluster.nodes} × {cluster.gpus_per_node} GPUs of {cluster.gpu.memory_gb:g} GB and {cluster.gpu.tflops:g} "
        f"TFLOPS, mfu {cluster.mfu:g}: {len(going)} of {len(rows)} layouts fit"
    )
    if going:
        # Cut columns would hide the numbers; a terminal that is narrower wraps.
        table = _table(going[:top])
        needed = Measurement.get(console, console.options.update(width=10 * WIDTH), table).maximum
        Console(highlight=False, width=max(console.width, WIDTH, needed)).print(table)
    if refused or not going:
        for row in [row for row in rows if row["refused"]][: None if refused else 5]:
            console.print(f"{row['name']}: {'; '.join(row['refused'])}")


def _trained(training: Training) -> str:
    """How many weights a training of adapters trains."""
    if training.adapters is None:
        return ""
    number = trained_parameters(training.shape, training.adapters)
    return f"; LoRA of rank {training.adapters.rank}, {number / 1e6:,.1f} million weights trained"


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    components = list(rows[0]["memory_gb"])
    for column in ("layout", *components, "GB a rank", "bubble", "tokens/s", "hours", "GPU-hours"):
        table.add_column(column, justify="left" if column == "layout" else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["name"],
            *(f"{row['memory_gb'][component]:.1f}" for component in components),
            f"{row['total_gb']:.1f}",
            f"{row['bubble']:.0%}",
            f"{row['tokens_per_second']:,}",
            f"{row['hours']:.2f}",
            f"{row['gpu_hours']:.1f}",
        )
    return table


def explain(training: Training, plan: Plan) -> None:
    """Each term of memory and time with its formula and its numbers."""
    console, shape = _console(), training.shape
    layout = plan.layout
    console.print(f"\n{layout.name}" + (f" (refused: {'; '.join(plan.refused)})" if plan.refused else ""))
    if plan.memory is None:
        return
    share = Share(
        seq_length=training.seq_length,
        micro_batch_size=layout.micro_batch_size,
        tensor_parallel=layout.tensor_parallel,
        context_parallel=layout.context_parallel,
    )
    meanings = {
        **symbols(shape, share, TRANSFORMER_ENGINE),
        "l": f"{shape.num_layers // layout.pipeline_parallel} layers of a pipeline stage",
        "i": "micro-batches in flight on the stage",
        "w": "weights of the rank",
        "r": f"{layout.replicas} ranks that share the optimizer (data parallel × context parallel)",
        "c": "an allowance, assumed",
        "u": "all the rest",
    }
    if shape.num_moe_experts is not None:
        shared = f"({layout.replicas} / expert parallel)"
        meanings |= {"x": "those of them that are experts'"}
        meanings |= {"y": f"{layout.expert_replicas} ranks that share the experts' optimizer {shared}"}
    if training.adapters is not None:
        meanings |= {"k": "weights of the rank's adapters", "a": "weights that the rank trains"}
        meanings |= {"q": f"rank {training.adapters.rank} × {len(training.adapters.targets)} adapted layers"}
    console.print(f"\nMemory of a rank of pipeline stage {plan.memory.stage}, the one that needs most, in GB:")
    for name, total in plan.memory.components().items():
        console.print(f"  {name:12s} {total / 1e9:8.3f}")
        for term in getattr(plan.memory, name):
            console.print(f"    {term.value / 1e9:8.3f}  {term.name}: {term.symbols} = {term.numbers}")
    console.print("\nwhere " + "; ".join(f"{symbol}: {meaning}" for symbol, meaning in meanings.items()))
    _explain_time(console, training, plan)


def _explain_time(console: Console, training: Training, plan: Plan) -> None:
    shape, cluster, steps, batch = training.shape, training.cluster, training.steps, training.batch
    layout, seq_length = plan.layout, training.seq_length
    micro_batches = batch // (layout.micro_batch_size * layout.data_parallel)
    forward, model = forward_flops_per_token(shape, seq_length), flops_per_token(shape, seq_length)
    left = efficiency(shape, seq_length, layout, micro_batches)
    tokens = layout.micro_batch_size * seq_length / layout.context_parallel
    peak = cluster.gpus * cluster.gpu.tflops
    reached = plan.tokens_per_second * model / (peak * 1e12)
    hours = steps * batch * seq_length / plan.tokens_per_second / 3600
    moving = between_experts(shape, batch * seq_length, layout, cluster)
    experts = (
        f"  to experts and back {moving:.2f} s a step (2 bytes a hidden state at {WITHIN_BYTES_PER_SECOND / 1e9:g} "
        f"GB/s within a node, {NODE_BYTES_PER_SECOND / 1e9:g} beyond; assumed)\n"
        if shape.num_moe_experts is not None
        else ""
    )
    console.print(
        f"\nTime:\n"
        f"  {forward:.4g} FLOPs a token forward, {model:.4g} with backward; {model * batch * seq_length:.4g} a step\n"
        f"  bubble (p-1)/m = ({layout.pipeline_parallel}-1)/{micro_batches} = {plan.bubble:.3f}\n"
        f"  last stage × {imbalance(shape, seq_length, layout):.3f} by the output layer\n"
        f"  recomputation × {recompute_factor(shape, seq_length, layout.recompute):.3f}\n"
        f"  communication: {TENSOR_PARALLEL_COST:.0%} each doubling of TP={layout.tensor_parallel}, "
        f"{CONTEXT_PARALLEL_COST:.0%} of CP={layout.context_parallel}, {PIPELINE_COST:.0%} of "
        f"PP={layout.pipeline_parallel} (assumed)\n"
        f"  small matrices: {tokens:g}/({tokens:g}+{HALF_SPEED_TOKENS}) (assumed)\n"
        f"  between nodes {between_nodes(shape, layout, cluster):.2f} s a step (6 bytes a weight of the rank at "
        f"{NODE_BYTES_PER_SECOND / 1e9:g} GB/s, {EXPOSED:.0%} of it hidden; assumed)\n"
        f"{experts}"
        f"  tokens/s = {cluster.gpus} GPUs · {cluster.gpu.tflops:g}e12 · mfu {cluster.mfu:g} · {left:.3f} / "
        f"{model:.4g}, less that = {plan.tokens_per_second:,.0f}; that is {reached:.1%} of the peak\n"
        f"  {steps:,} steps · {batch * seq_length:,} tokens / {plan.tokens_per_second:,.0f} = {hours:.2f} hours, "
        f"{hours * cluster.gpus:.1f} GPU-hours"
    )
