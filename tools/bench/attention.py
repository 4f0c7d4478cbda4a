"""Our CPU attention beside Megatron's own: seconds for one forward and backward pass, interleaved, best of several.

Run with `make bench`. 1,024 tokens, 9 query heads, 3 key-value heads of size 64, float32 (SmolLM2-135M's shape).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from megatron.core.packed_seq_params import PackedSeqParams
from megatron.core.transformer.dot_product_attention import DotProductAttention
from megatron.core.transformer.enums import AttnMaskType
from megatron.core.transformer.transformer_config import TransformerConfig

from nemo_kcpt import cpu_backend
from nemo_kcpt.models.sdpa_attention import SdpaAttention
from nemo_kcpt.training.single_process import single_process_groups

TOKENS, HEADS, GROUPS, SIZE, ROUNDS, DOCUMENTS = 1024, 9, 3, 64, 12, 4


def one_pass(attention: torch.nn.Module, shape: tuple[int, ...], mask: torch.Tensor | None, **options: object) -> float:
    """Seconds of a forward and a backward pass on fresh random inputs; `shape` leaves out the head dimensions."""
    query = torch.randn(*shape, HEADS, SIZE, requires_grad=True)
    key, value = (torch.randn(*shape, GROUPS, SIZE, requires_grad=True) for _ in range(2))
    started = time.perf_counter()
    attention(query, key, value, mask, **options).sum().backward()
    return time.perf_counter() - started


def main() -> None:
    """Print milliseconds and ratios."""
    cpu_backend.activate()
    with single_process_groups():
        config = TransformerConfig(
            num_layers=1,
            hidden_size=HEADS * SIZE,
            num_attention_heads=HEADS,
            num_query_groups=GROUPS,
            kv_channels=SIZE,
            attention_dropout=0.0,
        )

        def build(kind: type) -> torch.nn.Module:
            module: torch.nn.Module = kind(config, 1, AttnMaskType.causal, "self")
            return module

        megatron, ours = build(DotProductAttention), build(SdpaAttention)
        later = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1)[None, None]
        borders = torch.arange(0, TOKENS + 1, TOKENS // DOCUMENTS, dtype=torch.int32)
        longest = TOKENS // DOCUMENTS
        packed = PackedSeqParams(
            qkv_format="thd", cu_seqlens_q=borders, cu_seqlens_kv=borders, max_seqlen_q=longest, max_seqlen_kv=longest
        )
        arms: dict[str, Callable[[], float]] = {
            "Megatron, causal mask": lambda: one_pass(megatron, (TOKENS, 1), later),
            "ours, causal": lambda: one_pass(ours, (TOKENS, 1), None),
            f"ours, {DOCUMENTS} packed documents": lambda: one_pass(ours, (TOKENS,), None, packed_seq_params=packed),
        }
        best = dict.fromkeys(arms, float("inf"))
        for _ in range(ROUNDS):
            for name, run in arms.items():
                best[name] = min(best[name], run())
    reference = best["Megatron, causal mask"]
    print(f"attention, forward and backward, {TOKENS} tokens, {torch.get_num_threads()} threads, best of {ROUNDS}")
    for name, seconds in best.items():
        print(f"  {name:28s} {1000 * seconds:7.1f} ms   {reference / seconds:5.2f} x")


if __name__ == "__main__":
    main()
