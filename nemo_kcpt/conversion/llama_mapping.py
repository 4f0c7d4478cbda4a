"""Where each Hugging Face Llama tensor comes from in a Megatron model.

Megatron keeps q, k and v of a layer in one matrix, interleaved by query group (for group g: its heads/groups query
heads, its key head, its value head), and the gate above the up projection in `linear_fc1`. Norms carry Transformer
Engine's names where that layer spec was used, in memory and in every checkpoint, and the local spec's names in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_kcpt.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

Reader = Callable[[int | None, tuple[str, ...]], "Tensor"]
"""Gives a tensor by layer number (None outside the layers) and the names it may have there."""

EMBEDDING = ("embedding.word_embeddings.weight",)
OUTPUT = ("output_layer.weight",)
FINAL_NORM = ("decoder.final_layernorm.weight", "decoder.final_norm.weight")
INPUT_NORM = ("self_attention.linear_qkv.layer_norm_weight", "input_layernorm.weight")
QKV = ("self_attention.linear_qkv.weight",)
PROJECTION = ("self_attention.linear_proj.weight",)
MLP_NORM = ("mlp.linear_fc1.layer_norm_weight", "pre_mlp_layernorm.weight")
GATE_UP = ("mlp.linear_fc1.weight",)
DOWN = ("mlp.linear_fc2.weight",)


@dataclass(frozen=True, kw_only=True)
class LlamaShape:
    """The sizes and constants that a Llama `config.json` holds, under Megatron's names."""

    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_attention_heads: int
    num_query_groups: int
    kv_channels: int
    vocab_rows: int
    seq_length: int
    rotary_base: float
    layernorm_epsilon: float
    tied: bool

    def hf_config(self) -> dict[str, Any]:
        """The model's part of `config.json`; `rope_theta` and positions are those that were trained with."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden_size,
            "intermediate_size": self.ffn_hidden_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_query_groups,
            "head_dim": self.kv_channels,
            "vocab_size": self.vocab_rows,
            "rms_norm_eps": self.layernorm_epsilon,
            "rope_theta": self.rotary_base,
            "max_position_embeddings": self.seq_length,
            "tie_word_embeddings": self.tied,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
        }


def split_qkv(shape: LlamaShape, fused: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`linear_qkv` [(heads + 2 groups) · size, hidden] as q [heads · size, hidden], k and v [groups · size, hidden]."""
    per_group = shape.num_attention_heads // shape.num_query_groups
    grouped = fused.reshape(shape.num_query_groups, per_group + 2, shape.kv_channels, shape.hidden_size)
    query = grouped[:, :per_group].reshape(-1, shape.hidden_size)
    key = grouped[:, per_group].reshape(-1, shape.hidden_size)
    value = grouped[:, per_group + 1].reshape(-1, shape.hidden_size)
    return query, key, value


def rows(tensor: Tensor, wanted: int, name: str) -> Tensor:
    """The first `wanted` rows: Megatron pads the vocabulary for tensor parallelism, Hugging Face must not see that.

    Raises:
        BadInput: the checkpoint has fewer rows than its own config says.
    """
    if tensor.shape[0] < wanted:
        raise BadInput(
            f"{name}: {tensor.shape[0]} vocabulary rows in the checkpoint, its config says {wanted}; "
            "the checkpoint is damaged"
        )
    return tensor[:wanted]


def hf_tensors(shape: LlamaShape, read: Reader) -> Iterator[tuple[str, Tensor]]:
    """Hugging Face names and tensors in the order of the model; one layer's worth is in memory at a time."""
    yield "model.embed_tokens.weight", rows(read(None, EMBEDDING), shape.vocab_rows, EMBEDDING[0])
    for layer in range(shape.num_layers):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", read(layer, INPUT_NORM)
        query, key, value = split_qkv(shape, read(layer, QKV))
        yield prefix + "self_attn.q_proj.weight", query
        yield prefix + "self_attn.k_proj.weight", key
        yield prefix + "self_attn.v_proj.weight", value
        yield prefix + "self_attn.o_proj.weight", read(layer, PROJECTION)
        yield prefix + "post_attention_layernorm.weight", read(layer, MLP_NORM)
        gate, up = read(layer, GATE_UP).chunk(2, dim=0)
        yield prefix + "mlp.gate_proj.weight", gate
        yield prefix + "mlp.up_proj.weight", up
        yield prefix + "mlp.down_proj.weight", read(layer, DOWN)
    yield "model.norm.weight", read(None, FINAL_NORM)
    if not shape.tied:
        yield "lm_head.weight", rows(read(None, OUTPUT), shape.vocab_rows, OUTPUT[0])
