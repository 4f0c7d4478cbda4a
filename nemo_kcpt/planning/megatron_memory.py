"""Megatron-LM's theoretical memory, as `megatron/training/theoretical_memory_usage.py` computes it for a dense model.

For comparison with other people's figures. What it leaves out, and :mod:`nemo_kcpt.planning.memory` has: SwiGLU's wider
activations (its 18 + 4·f/h is that of a GELU layer, Korthikanti et al. 2022, table 2), grouped queries, context
parallelism, logits on the last of several stages, and every stage but the first.
"""

from __future__ import annotations

from dataclasses import dataclass

from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.layout import Layout


@dataclass(frozen=True, kw_only=True)
class TheoreticalMemory:
    """Bytes of the most loaded rank."""

    weights_and_optimizer: float
    activations: float

    @property
    def bytes(self) -> float:
        """In all."""
        return self.weights_and_optimizer + self.activations


def padded_vocabulary(shape: ModelShape, tensor_parallel: int, multiple: int = 128) -> int:
    """Rows after Megatron-LM's padding, to a multiple of `--make-vocab-size-divisible-by` times tensor parallelism."""
    unit = multiple * tensor_parallel
    return -(-shape.vocab_rows // unit) * unit


def weights_and_optimizer(
    shape: ModelShape, layout: Layout, vocabulary: int, distributed_optimizer: bool = True
) -> float:
    """Bytes: 18 a parameter, or 6 + 12 / data parallel with the distributed optimizer."""
    h = shape.hidden_size
    projection = shape.kv_channels * shape.num_attention_heads / h
    attention = 2 * h * h * (1 + shape.num_query_groups / shape.num_attention_heads) * projection
    layer = 2 * h * (shape.ffn_hidden_size * 3 / 2 + 1) + attention
    block, embedding = layer * shape.num_layers + h, h * vocabulary
    shard = (block / layout.pipeline_parallel + embedding) / layout.tensor_parallel
    if not shape.tied and layout.pipeline_parallel == 1:
        shard += embedding / layout.tensor_parallel
    return shard * (6 + 12 / layout.data_parallel if distributed_optimizer else 18)


def _embedding(shape: ModelShape, tokens: int, layout: Layout) -> float:
    """Ids and dropout mask of all micro-batches in flight."""
    return (8 + shape.hidden_size) * tokens * layout.pipeline_parallel


def activations_with_sequence_parallel(
    shape: ModelShape, seq_length: int, layout: Layout, vocabulary: int, micro_batches: int | None
) -> float:
    """Bytes with sequence parallelism and selective recomputation (`compute_activation_memory`)."""
    tokens, h, p = seq_length * layout.micro_batch_size, shape.hidden_size, layout.pipeline_parallel
    kept = tokens * h * (18 + 4 * shape.ffn_hidden_size / h) * shape.num_layers + _embedding(shape, tokens, layout)
    if p > 1 and micro_batches is not None:
        kept *= min(1, micro_batches / p)
    if p == 1:
        kept += tokens * h * 4 * (1 + vocabulary / h)
    return kept / layout.tensor_parallel


def activations_without_sequence_parallel(
    shape: ModelShape, seq_length: int, layout: Layout, vocabulary: int, micro_batches: int | None
) -> float:
    """Bytes in all other cases (`compute_activation_memory_without_sp`)."""
    tokens, h, p = seq_length * layout.micro_batch_size, shape.hidden_size, layout.pipeline_parallel
    kept = tokens * h * (10 + 24 / layout.tensor_parallel) * shape.num_layers + _embedding(shape, tokens, layout)
    if p > 1 and micro_batches is not None:
        kept *= min(1, micro_batches / p)
    if p == 1:
        kept += 2 * (tokens * vocabulary / layout.tensor_parallel + tokens * h)
    return kept * 1.05


def theoretical_memory(
    shape: ModelShape,
    seq_length: int,
    layout: Layout,
    micro_batches: int | None = None,
    vocabulary: int | None = None,
    distributed_optimizer: bool = True,
) -> TheoreticalMemory:
    """What `report_theoretical_memory` prints, in bytes.

    Args:
        shape: the model.
        seq_length: tokens of a window.
        layout: tensor, pipeline and data parallelism, micro-batch, recomputation; context parallelism is not looked at.
        micro_batches: of a step and a rank; None takes the pipeline as full.
        vocabulary: padded rows; None takes :func:`padded_vocabulary`.
        distributed_optimizer: whether the optimizer's state is divided.
    """
    rows = padded_vocabulary(shape, layout.tensor_parallel) if vocabulary is None else vocabulary
    with_sequence = layout.sequence_parallel and layout.recompute == "selective"
    activations = activations_with_sequence_parallel if with_sequence else activations_without_sequence_parallel
    return TheoreticalMemory(
        weights_and_optimizer=weights_and_optimizer(shape, layout, rows, distributed_optimizer),
        activations=activations(shape, seq_length, layout, rows, micro_batches),
    )
