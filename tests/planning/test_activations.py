"""The formula against the bytes that autograd keeps for Megatron's model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from nemo_kcpt import cpu_backend
from nemo_kcpt.hf.families import families
from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.hf.megatron_options import config_options
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.models.forward import llama_forward_step
from nemo_kcpt.models.llama import KcptLlamaConfig
from nemo_kcpt.planning.activations import (
    LOCAL,
    TRANSFORMER_ENGINE,
    Share,
    angle_terms,
    embedding_terms,
    head_terms,
    layer_terms,
    working_terms,
)
from nemo_kcpt.planning.terms import total
from nemo_kcpt.training.single_process import single_process_groups

QWEN3, QWEN3_MOE = families()["qwen3"], families()["qwen3_moe"]
EXPERTS = {"num_moe_experts": 6, "moe_router_topk": 2, "moe_ffn_hidden_size": 44, "moe_aux_loss_coeff": 0.01}


def small(**sizes: Any) -> ModelShape:
    base = {
        "num_layers": 2,
        "hidden_size": 64,
        "ffn_hidden_size": 172,
        "num_attention_heads": 4,
        "num_query_groups": 4,
        "kv_channels": 16,
        "vocab_rows": 300,
    }
    return replace(KNOWN["llm-jp-3-13b"], **{**base, **sizes})


SHAPES = {
    "heads alike": small(),
    "grouped queries": small(num_query_groups=2),
    "one key head, odd feed-forward": small(num_query_groups=1, ffn_hidden_size=117),
    "wide vocabulary, tied": small(num_layers=1, vocab_rows=2001, tied=True),
    "deep": small(num_layers=5, hidden_size=48, kv_channels=24, num_attention_heads=2, num_query_groups=2),
    "heads wider than the model": small(hidden_size=32, kv_channels=32),
    "norms of queries and keys": small(family=QWEN3),
    "norms of grouped queries and keys": small(family=QWEN3, num_query_groups=2),
    "norms, one key head": small(family=QWEN3, num_query_groups=1),
    "experts": small(family=QWEN3_MOE, **EXPERTS),
    "experts that weigh by all of the softmax": small(
        family=QWEN3_MOE, **{**EXPERTS, "moe_router_pre_softmax": True, "num_moe_experts": 7}, num_query_groups=2
    ),
    "many experts, no loss of the router": small(
        family=QWEN3_MOE, **{**EXPERTS, "moe_aux_loss_coeff": 0.0, "num_moe_experts": 16, "moe_router_topk": 5}
    ),
}
WINDOWS = [(32, 1), (96, 1), (64, 3)]


@pytest.fixture(scope="module")
def one_rank() -> Iterator[None]:
    if torch.cuda.is_available():
        pytest.skip("measured on the CPU backend")
    cpu_backend.activate()
    with single_process_groups():
        yield


class Kept:
    """Bytes of the storages that autograd saves inside `with`, each counted once, without the parameters'."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.seen = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        self.held: list[torch.Tensor] = []
        self.bytes = 0

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.seen:
            self.seen.add(storage.data_ptr())
            self.held.append(tensor)  # or its address may be given to another
            self.bytes += storage.nbytes()
        return tensor


def measured(shape: ModelShape, seq_length: int, micro_batch: int, recompute: str) -> tuple[int, int]:
    """Bytes kept by a forward pass, and by what is recomputed in the backward pass that follows."""
    torch.manual_seed(0)
    granularity = None if recompute == "none" else recompute
    full = {"recompute_method": "uniform", "recompute_num_layers": 1} if recompute == "full" else {}
    options = config_options(shape, seq_length, shape.rotary_base)
    model = KcptLlamaConfig(**options, recompute_granularity=granularity, **full).configure_model(None).train()
    tokens = torch.randint(shape.vocab_rows, (micro_batch, seq_length))
    positions = torch.arange(seq_length).expand_as(tokens)
    forward, backward = Kept(model), Kept(model)
    with saved_tensors_hooks(forward, lambda tensor: tensor):
        loss = llama_forward_step(model, {"tokens": tokens, "labels": tokens.roll(-1, 1), "position_ids": positions})
    backward.seen |= forward.seen
    with saved_tensors_hooks(backward, lambda tensor: tensor):
        loss.sum().backward()
    return forward.bytes, backward.bytes


def predicted(shape: ModelShape, share: Share, recompute: str) -> float:
    return (
        shape.num_layers * total(layer_terms(shape, share, LOCAL, recompute))
        + total(embedding_terms(share))
        + total(angle_terms(shape, share, LOCAL, recompute))
        + total(head_terms(shape, share, LOCAL))
    )


@pytest.mark.usefixtures("one_rank")
@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
@pytest.mark.parametrize(("seq_length", "micro_batch"), WINDOWS)
@pytest.mark.parametrize("name", SHAPES)
def test_what_autograd_keeps(name: str, seq_length: int, micro_batch: int, recompute: str) -> None:
    share = Share(seq_length=seq_length, micro_batch_size=micro_batch)
    forward, again = measured(SHAPES[name], seq_length, micro_batch, recompute)
    assert predicted(SHAPES[name], share, recompute) == pytest.approx(forward, rel=0.01)
    if recompute == "full":
        layers = SHAPES[name].num_layers
        one = total(layer_terms(SHAPES[name], share, LOCAL, "none")[1:])  # its input is kept already
        assert layers * one == pytest.approx(again, rel=0.01)


def test_a_gemmas_scores_are_counted_which_no_fused_attention_keeps() -> None:
    share, llama = Share(seq_length=4096, micro_batch_size=1), KNOWN["llm-jp-3-1.8b"]
    gemma = replace(llama, family=families()["gemma2"], query_scalar=128.0)
    kept = {
        (shape.family.name, recompute): total(layer_terms(shape, share, TRANSFORMER_ENGINE, recompute))
        for shape in (llama, gemma)
        for recompute in ("none", "selective", "full")
    }
    scores = 4096 * 4096 * 16 * (4 + 4 + 2)  # tanh, softmax and the weights in bf16
    assert kept["gemma2", "none"] - kept["llama", "none"] == scores
    assert all(kept["gemma2", recompute] == kept["llama", recompute] for recompute in ("selective", "full"))
    works = [total(working_terms(shape, share, TRANSFORMER_ENGINE, "selective")) for shape in (llama, gemma)]
    assert works[1] - works[0] == scores
