"""A layout: how a training is divided over ranks, and why one cannot run."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_kcpt.hf.model_shape import ModelShape

RECOMPUTES = ("none", "selective", "full")
"""Megatron's `recompute_granularity`: nothing; core attention (its default `recompute_modules`); each layer whole."""


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
    expert_parallel: int = 1
    """Data- and context-parallel ranks that share the experts of each layer."""

    @property
    def gpus(self) -> int:
        """Ranks in all."""
        return self.tensor_parallel * self.pipeline_parallel * self.context_parallel * self.data_parallel

    @property
    def replicas(self) -> int:
        """Ranks that share the optimizer of all weights but the experts': data parallel × context parallel."""
        return self.data_parallel * self.context_parallel

    @property
    def expert_replicas(self) -> int:
        """Ranks that have the same experts and share their optimizer (megatron/core/parallel_state.py,
        `expert_data_parallel_size`)."""
        return self.replicas // self.expert_parallel

    @property
    def sequence_parallel(self) -> bool:
        """Always with tensor parallelism: it costs nothing and saves memory."""
        return self.tensor_parallel > 1

    @property
    def name(self) -> str:
        """Short, for tables."""
        dimensions = {"TP": self.tensor_parallel, "PP": self.pipeline_parallel, "CP": self.context_parallel}
        dimensions["EP"] = self.expert_parallel
        words = [f"{label}{size}" for label, size in dimensions.items() if size > 1]
        return " ".join([*words, f"DP{self.data_parallel}", f"mb{self.micro_batch_size}", self.recompute])


def _indivisible(what: str, size: int, by: str, ranks: int) -> str | None:
    if size % ranks == 0:
        return None
    fitting = [str(number) for number in range(1, min(size, 64) + 1) if size % number == 0]
    return f"{size} {what} do not divide by {by}={ranks}; one of {', '.join(fitting)} does"


def refusals(
    shape: ModelShape, seq_length: int, layout: Layout, global_batch_size: int, gpus: int, gpus_per_node: int = 0
) -> list[str]:
    """Why a layout cannot run, each reason with both sides; empty if it can.

    The vocabulary is no reason: it is padded inside Megatron. Expert-parallel ranks are data- or context-parallel ones
    for the rest of a layer; tensor-parallel ranks divide each expert as they divide everything else
    (megatron/core/parallel_state.py, `initialize_model_parallel`; its `expert_tensor_parallel_size` stays unset).

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
        _indivisible("feed-forward columns", shape.moe_ffn_hidden_size or shape.ffn_hidden_size, "tensor_parallel", t),
        _indivisible("layers", shape.num_layers, "pipeline_parallel", p),
    ]
    e = layout.expert_parallel
    if e > 1 and shape.num_moe_experts is None:
        reasons.append(f"expert_parallel={e}, and the model is no mixture of experts; 1 does")
    elif e > 1:
        reasons.append(_indivisible("experts", shape.num_moe_experts or 0, "expert_parallel", e))
        where = f"data·context parallel = {layout.data_parallel}·{c} = {layout.replicas} ranks"
        reasons.append(f"{where} do not divide by expert_parallel={e}" if layout.replicas % e else None)
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
