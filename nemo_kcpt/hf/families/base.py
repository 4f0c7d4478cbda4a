"""What a family of models is described by, and the sizes of one model of it; data and small functions alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Join = Literal["same", "rows", "groups"]
"""How Megatron's tensor is made of Hugging Face's.

same: it is the tensor; rows: one below the other; groups: query, key and value, interleaved by query group (for group g
its heads/groups query heads, its key head, its value head).
"""

ROUTER_NAME = "mlp.router.weight"


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """Llama 3.1's scaling of RoPE's low frequencies (transformers' `rope_type: llama3`)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_positions: int


@dataclass(frozen=True)
class Weight:
    """A tensor of Megatron's and the Hugging Face tensors it is made of.

    Args:
        names: Megatron's, the first as checkpoints of every layer spec have it.
        sources: Hugging Face's names, each with its size: names of attributes of :class:`ModelShape`.
        join: how it is made of them. Of a single source, `groups` means query, key and value one below the other.
        of_experts: whether each expert of a layer has one of its own; the sources' names then have `{expert}` where its
            number stands.
    """

    names: tuple[str, ...]
    sources: Mapping[str, tuple[str, ...]]
    join: Join = "same"
    of_experts: bool = False

    @property
    def is_matrix(self) -> bool:
        """Whether it has rows and columns, else it is a norm or a bias."""
        return len(next(iter(self.sources.values()))) > 1

    @property
    def is_split(self) -> bool:
        """Whether tensor-parallel ranks divide it; they all have the norms, and a router, whole."""
        return (self.is_matrix or self.names[0].endswith("bias")) and self.names[0] != ROUTER_NAME

    def copies(self, shape: ModelShape) -> int:
        """How many of it a layer has: one, or as many as there are experts."""
        return (shape.num_moe_experts or 0) if self.of_experts else 1

    def sizes(self, shape: ModelShape) -> dict[str, tuple[int, ...]]:
        """Sizes of the sources in a model of `shape`; of one expert's where there are experts."""
        return {name: tuple(getattr(shape, size) for size in sizes) for name, sizes in self.sources.items()}

    def elements(self, shape: ModelShape) -> int:
        """Number of weights in it, and in all its copies."""
        return self.copies(shape) * sum(map(math.prod, self.sizes(shape).values()))


EMBEDDING = Weight(("embedding.word_embeddings.weight",), {"model.embed_tokens.weight": ("vocab_rows", "hidden_size")})
FINAL_NORM = Weight(
    ("decoder.final_layernorm.weight", "decoder.final_norm.weight"), {"model.norm.weight": ("hidden_size",)}
)
OUTPUT = Weight(("output_layer.weight",), {"lm_head.weight": ("vocab_rows", "hidden_size")})
ATTENTION_NORM = Weight(
    ("self_attention.linear_qkv.layer_norm_weight", "input_layernorm.weight"),
    {"input_layernorm.weight": ("hidden_size",)},
)
QKV = Weight(
    ("self_attention.linear_qkv.weight",),
    {
        "self_attn.q_proj.weight": ("query_size", "hidden_size"),
        "self_attn.k_proj.weight": ("key_size", "hidden_size"),
        "self_attn.v_proj.weight": ("key_size", "hidden_size"),
    },
    "groups",
)
QKV_BIAS = Weight(
    ("self_attention.linear_qkv.bias",),
    {
        "self_attn.q_proj.bias": ("query_size",),
        "self_attn.k_proj.bias": ("key_size",),
        "self_attn.v_proj.bias": ("key_size",),
    },
    "groups",
)
QUERY_NORM = Weight(("self_attention.q_layernorm.weight",), {"self_attn.q_norm.weight": ("kv_channels",)})
KEY_NORM = Weight(("self_attention.k_layernorm.weight",), {"self_attn.k_norm.weight": ("kv_channels",)})
PROJECTION = Weight(("self_attention.linear_proj.weight",), {"self_attn.o_proj.weight": ("hidden_size", "query_size")})
MLP_NORM = Weight(
    ("mlp.linear_fc1.layer_norm_weight", "pre_mlp_layernorm.weight"),
    {"post_attention_layernorm.weight": ("hidden_size",)},
)
GATE_UP = Weight(
    ("mlp.linear_fc1.weight",),
    {
        "mlp.gate_proj.weight": ("ffn_hidden_size", "hidden_size"),
        "mlp.up_proj.weight": ("ffn_hidden_size", "hidden_size"),
    },
    "rows",
)
DOWN = Weight(("mlp.linear_fc2.weight",), {"mlp.down_proj.weight": ("hidden_size", "ffn_hidden_size")})


def _nothing_read(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {}


def _nothing_written(shape: ModelShape) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Family:
    """A family of models: what its `config.json` says and how its tensors go into Megatron's.

    What transformers' class for the family computes is what is meant; whatever key of its config is neither read nor
    among `fixed` must leave the numbers alone.
    """

    name: str
    """`model_type` in `config.json`; also what checkpoints of ours call it."""
    title: str
    """For people."""
    architecture: str
    """transformers' class."""
    models: str
    """Well-known models of the family, for people."""
    layer: tuple[Weight, ...]
    """The weights of a layer in Megatron's order; sources without `model.layers.N.`."""
    flags: Mapping[str, Any] = field(default_factory=dict)
    """Fields of Megatron's config that every model of the family has beside a Llama's."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What transformers takes where `config.json` lacks a key, where that is not a Llama's."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Keys of `config.json` with the only value that is known; written by an export."""
    ignored: frozenset[str] = frozenset()
    """Keys of its config beside those that all families ignore (`IGNORED`) that change no number."""
    read: Callable[[Mapping[str, Any], str], dict[str, Any]] = _nothing_read
    """Further fields of :class:`ModelShape` from `config.json`, and its name for error messages."""
    write: Callable[[ModelShape], dict[str, Any]] = _nothing_written
    """The keys of `config.json` that `read` reads."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Family) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The sizes and constants of a model, under Megatron's names: what its `config.json` holds."""

    family: Family
    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_attention_heads: int
    num_query_groups: int
    """Key and value heads."""
    kv_channels: int
    """Size of a head."""
    vocab_rows: int
    positions: int
    """`max_position_embeddings`: the longest sequence that the model was trained for."""
    rotary_base: float
    """`rope_theta`."""
    layernorm_epsilon: float
    tied: bool
    """Whether embedding and output layer are one matrix."""
    rope_scaling: RopeScaling | None = None
    sliding_window: int | None = None
    """Tokens that each token sees, itself and those before it; None: all. Of every layer, or as the family has it."""
    query_scalar: float | None = None
    """Attention scores are divided by its square root; None: by that of the head size."""
    num_moe_experts: int | None = None
    """Experts of each layer, in place of one MLP; None: no mixture of experts."""
    moe_router_topk: int | None = None
    """Experts that a token goes to."""
    moe_ffn_hidden_size: int | None = None
    """Feed-forward size of an expert."""
    moe_router_pre_softmax: bool = False
    """Whether the chosen experts weigh what they have of the softmax over all, else their weights add up to 1."""
    moe_aux_loss_coeff: float = 0.0
    """Weight of the loss that keeps the experts' shares of the tokens alike, in training."""

    @property
    def query_size(self) -> int:
        """Elements of all query heads of a token."""
        return self.num_attention_heads * self.kv_channels

    @property
    def key_size(self) -> int:
        """Elements of all key heads of a token; of the value heads as well."""
        return self.num_query_groups * self.kv_channels

    @property
    def qkv_size(self) -> int:
        """Elements of all query, key and value heads of a token; for families of other packages, as gate_up_size."""
        return self.query_size + 2 * self.key_size

    @property
    def gate_up_size(self) -> int:
        """Twice the feed-forward size: gate and up projection."""
        return 2 * self.ffn_hidden_size

    @property
    def outside(self) -> tuple[Weight, ...]:
        """The weights that belong to no layer."""
        return (EMBEDDING, FINAL_NORM) if self.tied else (EMBEDDING, FINAL_NORM, OUTPUT)

    def hf_config(self) -> dict[str, Any]:
        """The model's part of `config.json`."""
        scaling = self.rope_scaling
        return {
            "architectures": [self.family.architecture],
            "model_type": self.family.name,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.ffn_hidden_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_query_groups,
            "head_dim": self.kv_channels,
            "vocab_size": self.vocab_rows,
            "rms_norm_eps": self.layernorm_epsilon,
            "rope_theta": self.rotary_base,
            "rope_scaling": None
            if scaling is None
            else {
                "rope_type": "llama3",
                "factor": scaling.factor,
                "low_freq_factor": scaling.low_freq_factor,
                "high_freq_factor": scaling.high_freq_factor,
                "original_max_position_embeddings": scaling.original_positions,
            },
            "max_position_embeddings": self.positions,
            "tie_word_embeddings": self.tied,
            **self.family.fixed,
            **self.family.write(self),
        }

    def activated(self) -> int:
        """Number of weights that a token meets: of the experts those of the chosen ones, everything else whole."""
        experts = sum(weight.elements(self) for weight in self.family.layer if weight.of_experts)
        idle = 0 if self.num_moe_experts is None else self.num_moe_experts - (self.moe_router_topk or 0)
        return self.parameters() - self.num_layers * experts * idle // (self.num_moe_experts or 1)

    def parameters(self, *, embeddings: bool = True) -> int:
        """Number of weights; without `embeddings` those of layers and norms alone, as model cards count them."""
        layer = sum(weight.elements(self) for weight in self.family.layer)
        outside = self.outside if embeddings else (FINAL_NORM,)
        return self.num_layers * layer + sum(weight.elements(self) for weight in outside)

    def differences(self, other: ModelShape) -> list[str]:
        """Names and both values of what makes the weights of the two not fit each other."""
        free = {"positions", "rotary_base", "rope_scaling", "sliding_window", "moe_aux_loss_coeff"}
        pairs = [
            (field.name, getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
            if field.name not in free
        ]
        return [f"{name} {mine} against {theirs}" for name, mine, theirs in pairs if mine != theirs]
