"""FLOPs of a training step, and the time it takes: the first by formula, the second with assumptions that are named."""

from __future__ import annotations

import math
from functools import lru_cache

from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.adapters import AdapterPlan
from nemo_kcpt.planning.hardware import Cluster
from nemo_kcpt.planning.layout import Layout
from nemo_kcpt.planning.memory import expert_parameters, trained_parameters

TENSOR_PARALLEL_COST, CONTEXT_PARALLEL_COST, PIPELINE_COST = 0.06, 0.05, 0.02
"""Share of time that each doubling of a dimension costs in communication that is not hidden. Assumptions, by the order
of volumes: two all-gathers and reduce-scatters a layer, keys and values a layer, one activation a stage."""
NODE_BYTES_PER_SECOND = 50e9
"""Bandwidth of a GPU's link to other nodes (400 Gb/s). An assumption; replicas within a node cost nothing here."""
WITHIN_BYTES_PER_SECOND = 300e9
"""Bandwidth of a GPU to others of its node, of which NVLink's data sheet says 450 GB/s each way on an H100. An
assumption; looked at for the tokens of experts alone."""
EXPOSED = 0.5
"""Share of the data-parallel communication between nodes that the computation does not hide. An assumption."""
HALF_SPEED_TOKENS = 256
"""Tokens of a micro-batch on a rank at which matrix products reach half their speed. An assumption."""


def forward_flops_per_token(shape: ModelShape, seq_length: int) -> float:
    """FLOPs of the forward pass, a token: 2 for each weight of a matrix, and 4·s·a·d a layer for attention's products.

    The whole (sequence × sequence) matrix is counted, as in Narayanan et al. 2021, Efficient Large-Scale Language Model
    Training on GPU Clusters, appendix; a causal kernel computes half of it.
    """
    heads, groups, size = shape.num_attention_heads, shape.num_query_groups, shape.kv_channels
    attention = shape.hidden_size * size * (2 * heads + 2 * groups)
    mlp = 3 * shape.hidden_size * shape.ffn_hidden_size
    if shape.num_moe_experts is not None:  # the router, and the experts that a token goes to
        expert = 3 * (shape.moe_ffn_hidden_size or 0)
        mlp = shape.hidden_size * (shape.num_moe_experts + (shape.moe_router_topk or 0) * expert)
    layer = 2 * (attention + mlp) + 4 * seq_length * heads * size
    return shape.num_layers * layer + 2 * shape.hidden_size * shape.vocab_rows


def flops_per_token(shape: ModelShape, seq_length: int, adapters: AdapterPlan | None = None) -> float:
    """Model FLOPs of a training step, a token: three forward passes' worth, recomputation not counted.

    With `adapters` frozen matrices have no gradient of their own, a third of that; the adapters cost 6 a weight.
    """
    forward = forward_flops_per_token(shape, seq_length)
    if adapters is None:
        return 3 * forward
    attention = 4 * seq_length * shape.num_attention_heads * shape.kv_channels * shape.num_layers
    head = 2 * shape.hidden_size * shape.vocab_rows if adapters.embeddings else 0
    own = trained_parameters(shape, AdapterPlan(rank=adapters.rank, targets=adapters.targets))
    return 3 * forward - (forward - attention - head) + 6 * own


def recompute_factor(shape: ModelShape, seq_length: int, recompute: str) -> float:
    """FLOPs with recomputation over those without: a whole forward pass for "full", attention's for "selective"."""
    if recompute == "full":
        return 4 / 3
    if recompute == "selective":
        attention = 4 * seq_length * shape.num_attention_heads * shape.kv_channels * shape.num_layers
        return 1 + attention / flops_per_token(shape, seq_length)
    return 1.0


def bubble(layout: Layout, micro_batches: int) -> float:
    """Idle time of a pipeline over the time it works: (p-1)/m with 1F1B (Narayanan et al. 2021, §2.2.1)."""
    return (layout.pipeline_parallel - 1) / micro_batches


def efficiency(shape: ModelShape, seq_length: int, layout: Layout, micro_batches: int) -> float:
    """Share of `Cluster.mfu` that is left after recomputation, bubble, communication and small matrices."""
    tokens = layout.micro_batch_size * seq_length / layout.context_parallel
    communication = 1.0
    for ranks, cost in (
        (layout.tensor_parallel, TENSOR_PARALLEL_COST),
        (layout.context_parallel, CONTEXT_PARALLEL_COST),
        (layout.pipeline_parallel, PIPELINE_COST),
    ):
        communication *= (1 - cost) ** math.log2(ranks)
    filled = tokens / (tokens + HALF_SPEED_TOKENS)
    again = recompute_factor(shape, seq_length, layout.recompute) * imbalance(shape, seq_length, layout)
    return communication * filled / again / (1 + bubble(layout, micro_batches))


def imbalance(shape: ModelShape, seq_length: int, layout: Layout) -> float:
    """Work of the last pipeline stage, which has the output layer too, over that of the average stage."""
    head = 2 * shape.hidden_size * shape.vocab_rows
    whole = forward_flops_per_token(shape, seq_length)
    return ((whole - head) / layout.pipeline_parallel + head) / (whole / layout.pipeline_parallel)


def tokens_per_second(
    shape: ModelShape, seq_length: int, layout: Layout, global_batch_size: int, cluster: Cluster
) -> float:
    """Estimate for the whole cluster."""
    micro_batches = global_batch_size // (layout.micro_batch_size * layout.data_parallel)
    peak = cluster.gpus * cluster.gpu.tflops * 1e12 * cluster.mfu
    computing = peak * efficiency(shape, seq_length, layout, micro_batches) / flops_per_token(shape, seq_length)
    tokens = global_batch_size * seq_length
    moving = between_nodes(shape, layout, cluster) + between_experts(shape, tokens, layout, cluster)
    return tokens / (tokens / computing + moving)


@lru_cache(maxsize=64)
def _parameters(shape: ModelShape) -> int:
    """Weights of a model: the same in every layout."""
    return shape.parameters()


def between_nodes(shape: ModelShape, layout: Layout, cluster: Cluster) -> float:
    """Seconds a step for reducing float32 gradients and gathering bf16 weights between nodes, as far as it shows.

    A ring of r ranks moves (r-1)/r of 4 + 2 bytes a weight of the rank (Rajbhandari et al. 2020, ZeRO, §7).
    Experts have fewer replicas than the rest.
    """
    if cluster.nodes == 1:
        return 0.0
    experts = expert_parameters(shape, layout)
    rest = _parameters(shape) / (layout.tensor_parallel * layout.pipeline_parallel) - experts * layout.expert_parallel
    moved = sum(
        weights * (replicas - 1) / replicas
        for weights, replicas in ((rest, layout.replicas), (experts, layout.expert_replicas))
    )
    return EXPOSED * 6 * moved / NODE_BYTES_PER_SECOND


def between_experts(shape: ModelShape, tokens: int, layout: Layout, cluster: Cluster) -> float:
    """Seconds a step for taking `tokens` tokens to their experts and back, forward and backward; nothing hides it.

    That is four transfers (two more where layers are recomputed) of a bf16 hidden state for each expert of a token and
    each layer: an all-to-all among the expert-parallel ranks, of which those in other nodes are reached by the slower
    link, and a gathering of what comes in among the tensor-parallel ones (megatron/core/transformer/moe/
    token_dispatcher.py, `MoEAlltoAllTokenDispatcher`). Megatron numbers ranks so that those of both groups follow each
    other.
    """
    if shape.num_moe_experts is None:
        return 0.0
    t, e = layout.tensor_parallel, layout.expert_parallel
    transfers = 6 if layout.recompute == "full" else 4
    states = tokens / layout.replicas * (shape.moe_router_topk or 0) * shape.num_layers / layout.pipeline_parallel
    moved = transfers * 2 * states * shape.hidden_size
    near = min(e, max(1, cluster.gpus_per_node // t))  # expert-parallel ranks of a node
    within = (near - 1) / e / t + (t - 1) / t
    beyond = (e - near) / e / t
    return moved * (within / WITHIN_BYTES_PER_SECOND + beyond / NODE_BYTES_PER_SECOND)
