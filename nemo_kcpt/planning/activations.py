"""What autograd keeps of one micro-batch for the backward pass, operation by operation, in bytes.

The counting is that of Korthikanti et al. 2022, Reducing Activation Recomputation in Large Transformer Models, §4, done
for a Llama: RMSNorm, rotary positions, grouped queries, SwiGLU, no dropout, fused (flash) attention; and for the
norms of queries and keys and the experts that others have. For Transformer
Engine's modules the larger terms add up to tokens × (16 h + 6 f) bytes a layer in bf16 with as many key as query heads;
Megatron-LM's published formula has tokens × (18 h + 4 f) (:mod:`nemo_kcpt.planning.megatron_memory`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.terms import Term, term


@dataclass(frozen=True, kw_only=True)
class Modules:
    """What the modules of a layer keep beyond what any of them must."""

    name: str
    """For people."""
    element_bytes: int
    """Bytes of a weight or an activation: 2 in bf16, 4 in float32."""
    keep_normalised: bool
    """RMSNorm keeps x/rms(x) beside x, from which it could be had again."""
    keep_rotary_tables: bool
    """Each layer keeps its own cosines and sines for queries and for keys."""
    keep_qkv: bool
    """v is a view into the output of the QKV projection, which so stays as a whole."""
    keep_swiglu_parts: bool
    """SwiGLU is several operations, which keep silu(gate) and the linear half; a fused one has them from its input."""
    float32_logits: bool
    """Logits come in float32 already, so that the cross-entropy works in place and makes no float32 copy."""


LOCAL = Modules(
    name="Megatron's local layers in float32, as on a CPU",
    element_bytes=4,
    keep_normalised=True,
    keep_rotary_tables=True,
    keep_qkv=True,
    keep_swiglu_parts=True,
    float32_logits=True,
)
"""Held against autograd by tests/planning/test_activations.py."""

TRANSFORMER_ENGINE = Modules(
    name="Transformer Engine in bf16",
    element_bytes=2,
    keep_normalised=False,
    keep_rotary_tables=False,
    keep_qkv=False,
    keep_swiglu_parts=False,
    float32_logits=False,
)
"""By reading, not measured: `_LayerNormLinear.forward` saves the norm's input, its output and 1/rms; fused RoPE saves
the angles; `get_qkv_layout` makes v contiguous, being strided otherwise than k; Megatron's fused SwiGLU saves its
input."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one rank has of a micro-batch."""

    seq_length: int
    """Tokens of a window, of all context-parallel ranks."""
    micro_batch_size: int
    """Windows."""
    tensor_parallel: int = 1
    """Ranks that share each layer; more than one also share the sequence between the matrices (sequence parallel)."""
    context_parallel: int = 1
    """Ranks that share each window."""

    @property
    def positions(self) -> float:
        """Tokens of a window, on this rank."""
        return self.seq_length / self.context_parallel

    @property
    def tokens(self) -> float:
        """Tokens of the micro-batch, on this rank and its tensor-parallel neighbours."""
        return self.positions * self.micro_batch_size


def padded_rows(shape: ModelShape, tensor_parallel: int) -> int:
    """Vocabulary rows, padded to a multiple of `tensor_parallel` (`make_vocab_size_divisible_by=1`)."""
    return -(-shape.vocab_rows // tensor_parallel) * tensor_parallel


def _norm(where: str, use: str, shape: ModelShape, share: Share, modules: Modules) -> list[Term]:
    """RMSNorm and the matrix behind it, whose input is split along the sequence."""
    over = {"t": share.tensor_parallel}
    wide = {"n": share.tokens, "h": shape.hidden_size, "e": modules.element_bytes}
    normalised = [term(f"{where}: x / rms(x)", wide, over)] if modules.keep_normalised else []
    return [
        term(f"{where}: input", wide, over),
        *normalised,
        term(f"{where}: 1 / rms, float32", {"n": share.tokens, "4": 4}, over),
        term(f"{use}: input", wide, over),
    ]


def _attention(shape: ModelShape, share: Share, modules: Modules, recompute: str) -> list[Term]:
    over, e = {"t": share.tensor_parallel}, modules.element_bytes
    queries = {"n": share.tokens, "a": shape.num_attention_heads, "d": shape.kv_channels, "e": e}
    keys = {"n": share.tokens, "g": shape.num_query_groups, "d": shape.kv_channels, "e": e}
    qkv = {
        "n": share.tokens,
        "(a+2g)": shape.num_attention_heads + 2 * shape.num_query_groups,
        "d": shape.kv_channels,
        "e": e,
    }
    terms = [term("attention: q, rotated", queries, over), term("attention: k, rotated", keys, over)]
    if shape.family.flags.get("qk_layernorm"):
        terms += _query_and_key_norms(shape, share, modules)
    if modules.keep_rotary_tables:
        tables = {"4": 4, "s": share.positions, "d": shape.kv_channels, "e": e}
        terms.append(term("rotary: cos and sin for q and for k", tables))
    if modules.keep_qkv:
        terms.append(term("attention: v, a view of q, k and v", qkv, over))
    else:
        terms.append(term("attention: v", keys, over))
    terms.append(term("attention: output, input of the projection", queries, over))
    if recompute == "none":
        terms += _capped_scores(shape, share, modules)
        sums = {"n": share.tokens, "a": shape.num_attention_heads, "4": 4}
        terms.append(term("attention: log-sum-exp, float32", sums, over))
    return terms


def _query_and_key_norms(shape: ModelShape, share: Share, modules: Modules) -> list[Term]:
    """RMSNorm of each head (Qwen3). Where q and k are views of what v keeps, their inputs cost nothing more."""
    over, terms = {"t": share.tensor_parallel}, []
    heads_a_group = shape.num_attention_heads // shape.num_query_groups
    for name, symbol, heads in (("q", "a", shape.num_attention_heads), ("k", "g", shape.num_query_groups)):
        wide = {"n": share.tokens, symbol: heads, "d": shape.kv_channels, "e": modules.element_bytes}
        is_view = modules.keep_qkv and (name == "k" or heads_a_group == 1 or shape.num_query_groups == 1)
        terms += [] if is_view else [term(f"{name} norm: input", wide, over)]
        terms += [term(f"{name} norm: x / rms(x)", wide, over)] if modules.keep_normalised else []
        terms.append(term(f"{name} norm: 1 / rms, float32", {"n": share.tokens, symbol: heads, "4": 4}, over))
    return terms


def _capped_scores(shape: ModelShape, share: Share, modules: Modules) -> list[Term]:
    """Attention that caps its scores (Gemma 2) is not fused: tanh and softmax in float32, and the weights, are kept.

    As much as one document that fills a window needs; shorter ones need less.
    """
    if not shape.family.flags.get("attn_logit_softcapping"):
        return []
    kept = {"(8+e)": 8 + modules.element_bytes}
    scores = {"n": share.tokens, "s": share.positions, "a": shape.num_attention_heads, **kept}
    return [term("attention: capped scores", scores, {"t": share.tensor_parallel})]


def _swiglu(shape: ModelShape, share: Share, modules: Modules) -> list[Term]:
    over = {"t": share.tensor_parallel}
    wide = {"n": share.tokens, "f": shape.ffn_hidden_size, "e": modules.element_bytes}
    parts = ["SwiGLU: silu(gate)", "SwiGLU: linear half"] if modules.keep_swiglu_parts else []
    return [
        term("SwiGLU: input, gate and linear half", {"2": 2, **wide}, over),
        *(term(part, wide, over) for part in parts),
        term("fc2: input", wide, over),
    ]


def _experts(shape: ModelShape, share: Share, modules: Modules) -> list[Term]:
    """A router in float32 and the experts, which see each token as often as it has experts.

    A rank's experts are taken to get as many tokens as those of any other. Each gets them whole, from all ranks of its
    tensor-parallel group.
    """
    over, e = {"t": share.tensor_parallel}, modules.element_bytes
    chosen = {"n": share.tokens, "K": shape.moe_router_topk or 0}
    every = {"n": share.tokens, "E": shape.num_moe_experts or 0}
    wide = {**chosen, "F": shape.moe_ffn_hidden_size or 0, "e": e}
    sums = ["all experts"] if shape.moe_router_pre_softmax else []
    sums += ["its loss"] if shape.moe_aux_loss_coeff else []
    parts = ["SwiGLU: silu(gate)", "SwiGLU: linear half", "SwiGLU: output, before it is weighed"]
    return [
        term("router: numbers of the chosen experts, int64", {**chosen, "8": 8}, over),
        *(term(f"router: softmax for {what}, float32", {**every, "4": 4}, over) for what in sums),
        *([] if shape.moe_router_pre_softmax else [term("router: softmax, float32", {**chosen, "4": 4}, over)]),
        term("permutation: probabilities, float32, and their mask", {**every, "5": 5}, over),
        term("permutation: order, int64", {**chosen, "8": 8}, over),
        term("experts: weights of the tokens, float32", {**chosen, "4": 4}),
        term("experts: fc1 input, permuted", {**chosen, "h": shape.hidden_size, "e": e}),
        term("SwiGLU: input, gate and linear half", {"2": 2, **wide}, over),
        *(term(part, wide, over) for part in (parts if modules.keep_swiglu_parts else [])),
        term("experts: fc2 input", wide, over),
    ]


def layer_terms(shape: ModelShape, share: Share, modules: Modules, recompute: str) -> list[Term]:
    """Bytes that one layer keeps of one micro-batch; symbols as in :func:`symbols`.

    "selective" saves little beside a fused attention, which keeps no (sequence × sequence) matrix in any case: only the
    log-sum-exp goes. "full" keeps a layer's input alone.
    """
    if recompute == "full":
        wide = {"n": share.tokens, "h": shape.hidden_size, "e": modules.element_bytes}
        return [term("layer: input", wide, {"t": share.tensor_parallel})]
    dense = shape.num_moe_experts is None
    return [
        *_norm("norm 1", "qkv", shape, share, modules),
        *_attention(shape, share, modules, recompute),
        *_norm("norm 2", "fc1" if dense else "router", shape, share, modules),
        *(_swiglu if dense else _experts)(shape, share, modules),
    ]


def embedding_terms(share: Share) -> list[Term]:
    """Bytes that the embedding keeps of one micro-batch: the token ids."""
    return [term("embedding: token ids, int64", {"n": share.tokens, "8": 8})]


def angle_terms(shape: ModelShape, share: Share, modules: Modules, recompute: str) -> list[Term]:
    """Bytes of the rotary angles, which all layers and micro-batches share."""
    if modules.keep_rotary_tables and recompute != "full":
        return []
    return [term("rotary: angles, float32", {"s": share.positions, "d": shape.kv_channels, "4": 4})]


def head_terms(shape: ModelShape, share: Share, modules: Modules) -> list[Term]:
    """Bytes of final norm, output layer and cross-entropy at the end of a micro-batch's forward pass.

    The cross-entropy (Megatron's `VocabParallelCrossEntropy`) keeps the softmax in float32. Logits in bf16 live beside
    it while it works, and so does their gradient in the backward pass.
    """
    over = {"t": share.tensor_parallel}
    rows = padded_rows(shape, share.tensor_parallel)
    logits = {"n": share.tokens, "v": rows, "e": modules.element_bytes}
    copies = [] if modules.float32_logits else [term("cross-entropy: logits or their gradient", logits, over)]
    return [
        *_norm("final norm", "output layer", shape, share, modules),
        *copies,
        term("cross-entropy: softmax, float32", {"n": share.tokens, "v": rows, "4": 4}, over),
        term("cross-entropy: targets and their mask", {"n": share.tokens, "9": 9}),
    ]


def working_terms(shape: ModelShape, share: Share, modules: Modules, recompute: str) -> list[Term]:
    """Bytes that the backward pass of one layer needs for a moment, after those of the head are free again.

    With "full" recompute a layer's own activations, of which the input is kept already, and with "selective" what its
    attention does not keep. The gradients are an estimate of the widest moment: SwiGLU's backward pass, then fc1's with
    its input gathered from the sequence-parallel ranks, or with the tokens of all experts.
    """
    e = modules.element_bytes
    again = layer_terms(shape, share, modules, "none")[1:] if recompute == "full" else []
    if recompute == "selective":
        again = _capped_scores(shape, share, modules)
    over = {"t": share.tensor_parallel}
    if shape.num_moe_experts is not None:
        chosen = {"n": share.tokens, "K": shape.moe_router_topk or 0}
        wide = {"3": 3, **chosen, "F": shape.moe_ffn_hidden_size or 0, "e": e}
        return [
            *again,
            term("gradients of SwiGLU's input and output", wide, over),
            term(
                "experts: gradients of input and output, permuted", {"2": 2, **chosen, "h": shape.hidden_size, "e": e}
            ),
        ]
    wide = {"3": 3, "n": share.tokens, "f": shape.ffn_hidden_size, "e": e}
    return [
        *again,
        term("gradients of SwiGLU's input and output", wide, over),
        term("fc1: gathered input and its gradient", {"2": 2, "n": share.tokens, "h": shape.hidden_size, "e": e}),
    ]


def symbols(shape: ModelShape, share: Share, modules: Modules) -> dict[str, str]:
    """Symbol -> what it stands for, with the number."""
    experts = {
        "E": f"{shape.num_moe_experts} experts",
        "K": f"{shape.moe_router_topk} of them for a token",
        "F": f"feed-forward size of an expert {shape.moe_ffn_hidden_size}",
    }
    return {
        **({} if shape.num_moe_experts is None else experts),
        "n": f"{share.tokens:g} tokens of a micro-batch on this rank",
        "s": f"{share.positions:g} positions of a window on this rank",
        "h": f"hidden size {shape.hidden_size}",
        "f": f"feed-forward size {shape.ffn_hidden_size}",
        "a": f"{shape.num_attention_heads} heads",
        "g": f"{shape.num_query_groups} key-value heads",
        "d": f"head size {shape.kv_channels}",
        "v": f"{padded_rows(shape, share.tensor_parallel)} vocabulary rows, padded",
        "t": f"{share.tensor_parallel} tensor- and sequence-parallel ranks",
        "e": f"{modules.element_bytes} bytes an element",
    }
