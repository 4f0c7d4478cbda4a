"""Shapes of models that are known by name: those that recipes train, and the tiny ones of tests and demo."""

from __future__ import annotations

from dataclasses import replace

from nemo_kcpt.hf.families import ModelShape, families

_LLAMA = families()["llama"]
_LLM_JP_3 = ModelShape(
    family=_LLAMA,
    num_layers=40,
    hidden_size=5120,
    ffn_hidden_size=13824,
    num_attention_heads=40,
    num_query_groups=40,
    kv_channels=128,
    vocab_rows=99584,
    positions=4096,
    rotary_base=10000,
    layernorm_epsilon=1e-5,
    tied=False,
)


def _sized(layers: int, hidden: int, ffn: int, heads: int) -> ModelShape:
    return replace(
        _LLM_JP_3,
        num_layers=layers,
        hidden_size=hidden,
        ffn_hidden_size=ffn,
        num_attention_heads=heads,
        num_query_groups=heads,
    )


KNOWN: dict[str, ModelShape] = {
    "llm-jp-3-1.8b": _sized(24, 2048, 7168, 16),
    "llm-jp-3-3.7b": _sized(28, 3072, 8192, 24),
    "llm-jp-3-7.2b": _sized(32, 4096, 11008, 32),
    "llm-jp-3-13b": _LLM_JP_3,
    "llm-jp-4-8b": ModelShape(
        family=_LLAMA,
        num_layers=32,
        hidden_size=4096,
        ffn_hidden_size=14336,
        num_attention_heads=32,
        num_query_groups=8,
        kv_channels=128,
        vocab_rows=196608,
        positions=65536,
        rotary_base=500000,
        layernorm_epsilon=1e-6,
        tied=False,
    ),
    "qwen3-8b": ModelShape(
        family=families()["qwen3"],
        num_layers=36,
        hidden_size=4096,
        ffn_hidden_size=12288,
        num_attention_heads=32,
        num_query_groups=8,
        kv_channels=128,
        vocab_rows=151936,
        positions=40960,
        rotary_base=1000000,
        layernorm_epsilon=1e-6,
        tied=False,
    ),
    "llm-jp-4-32b-a3b": ModelShape(
        family=families()["qwen3_moe"],
        num_layers=32,
        hidden_size=2560,
        ffn_hidden_size=7680,
        num_attention_heads=40,
        num_query_groups=4,
        kv_channels=128,
        vocab_rows=196608,
        positions=65536,
        rotary_base=500000,
        layernorm_epsilon=1e-6,
        tied=False,
        num_moe_experts=128,
        moe_router_topk=8,
        moe_ffn_hidden_size=960,
        moe_aux_loss_coeff=0.01,
    ),
    "smollm2-135m": ModelShape(
        family=_LLAMA,
        num_layers=30,
        hidden_size=576,
        ffn_hidden_size=1536,
        num_attention_heads=9,
        num_query_groups=3,
        kv_channels=64,
        vocab_rows=49152,
        positions=8192,
        rotary_base=100000,
        layernorm_epsilon=1e-5,
        tied=True,
    ),
}
"""Models that have recipes of their own, base and instruct alike.

Sizes from each model's `config.json` on the Hugging Face hub (llm-jp/llm-jp-3-1.8b, -3.7b, -7.2b, -13b,
HuggingFaceTB/SmolLM2-135M, Qwen/Qwen3-8B). Those of llm-jp-4-8b are the model card's (layers, hidden size, heads,
vocabulary, positions) and its pretraining script's (github.com/llm-jp/scripts, pretrain/scripts/v4-8b-phase1/base/
params.sh: feed-forward size, query groups, epsilon, and the RoPE base at 4,096 tokens). Its `config.json` could not be
read, and so not the RoPE base behind the 65,536 positions; a training from imported weights goes by what those have.
Those of llm-jp-4-32b-a3b are its card's as well (layers, hidden size, heads, experts, vocabulary, positions), and those
of the config for its conversion at 4,096 tokens (github.com/llm-jp/scripts, ckpt_converter/
v4-moe-upstream-megatron-abci/v4-32b-a3.8b/config.json: feed-forward sizes, groups, head size, epsilon, router, and the
RoPE base there).
The llm-jp models are held against the parameter counts on their cards (tests/test_model_shape.py).
"""
TINY = ModelShape(
    family=_LLAMA,
    num_layers=4,
    hidden_size=256,
    ffn_hidden_size=688,
    num_attention_heads=4,
    num_query_groups=4,
    kv_channels=64,
    vocab_rows=1024,
    positions=64,
    rotary_base=10000,
    layernorm_epsilon=1e-5,
    tied=False,
)
"""A model that a laptop trains in minutes: 3.2 M parameters beside the vocabulary. Vocabulary and positions stand for
those of the pack that it is trained on."""
DEMO = replace(TINY, hidden_size=128, ffn_hidden_size=352, kv_channels=32)
"""The demo's model: half as wide, 0.8 M parameters beside the vocabulary."""
