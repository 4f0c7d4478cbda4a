"""Adapters in the plan: what is trained is counted, as NeMo builds it, and the frozen weights once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nemo_kcpt.cli import main
from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.planning.adapters import TARGETS, AdapterPlan, adapter_parameters
from nemo_kcpt.planning.memory import memory, vocabulary_parameters
from nemo_kcpt.planning.throughput import flops_per_token
from tests.planning.test_memory import BASE, SHAPE

RANK = AdapterPlan(rank=64)


def test_weights_of_the_adapters() -> None:
    """By hand: in and out of each of Megatron's linear layers."""
    h, f = SHAPE.hidden_size, SHAPE.ffn_hidden_size
    q, k = SHAPE.num_attention_heads * SHAPE.kv_channels, SHAPE.num_query_groups * SHAPE.kv_channels
    sides = {"linear_qkv": h + q + 2 * k, "linear_proj": q + h, "linear_fc1": h + 2 * f, "linear_fc2": f + h}
    for name, both in sides.items():
        own = AdapterPlan(rank=64, targets=(name,))
        assert adapter_parameters(SHAPE, BASE, own) == SHAPE.num_layers * 64 * both
    assert adapter_parameters(SHAPE, BASE, RANK) == SHAPE.num_layers * 64 * sum(sides.values())
    assert set(sides) == set(TARGETS)


@pytest.mark.parametrize("dimension", ["tensor_parallel", "pipeline_parallel"])
def test_ranks_share_them(dimension: str) -> None:
    whole, half = (adapter_parameters(SHAPE, replace(BASE, **{dimension: n}), RANK) for n in (1, 2))
    assert whole == 2 * half


def test_only_what_is_trained_has_gradients_and_an_optimizer() -> None:
    whole, low = (memory(SHAPE, 4096, BASE, 8, adapters).components() for adapters in (None, RANK))
    number = adapter_parameters(SHAPE, BASE, RANK)
    assert low["weights"] == whole["weights"] + 2 * number
    assert (low["gradients"], low["optimizer"]) == (4 * number, 12 * number)
    kept = SHAPE.num_layers * 4096 * 64 * len(TARGETS) * 2
    assert low["activations"] == pytest.approx(whole["activations"] + kept)
    both = memory(SHAPE, 4096, BASE, 8, replace(RANK, embeddings=True)).components()
    assert both["gradients"] == 4 * (number + vocabulary_parameters(SHAPE, BASE, 0))


def test_frozen_weights_cost_no_gradient_of_their_own() -> None:
    """4 FLOPs a frozen weight of a matrix, 6 a trained one, and attention as ever."""
    matrices = sum(weight.elements(SHAPE) for weight in SHAPE.family.layer if weight.is_matrix) * SHAPE.num_layers
    head = SHAPE.vocab_rows * SHAPE.hidden_size
    attention = 12 * SHAPE.num_layers * 4096 * SHAPE.num_attention_heads * SHAPE.kv_channels
    own = adapter_parameters(SHAPE, BASE, RANK)
    assert flops_per_token(SHAPE, 4096, RANK) == 4 * (matrices + head) + 6 * own + attention
    whole = replace(RANK, embeddings=True)
    assert flops_per_token(SHAPE, 4096, whole) == 4 * matrices + 6 * (head + own) + attention


def test_a_tied_embedding_is_trained_once() -> None:
    shape = replace(KNOWN["smollm2-135m"], tied=True)
    assert vocabulary_parameters(shape, BASE, 0) == shape.vocab_rows * shape.hidden_size


def test_the_planner(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "model=llm-jp-3-13b", "gpus=1", "lora=64", "--explain"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "LoRA of rank 64" in shown and "million weights trained" in shown
    assert "adapters, bf16: k·2" in shown and "a: weights that the rank trains" in shown
    assert main(["plan", "model=llm-jp-3-13b", "gpus=2", "lora=3", "tensor_parallel=2", "--refused"]) == 0
    assert "adapters of rank 3 do not divide by tensor_parallel=2" in capsys.readouterr().out
    for bad, said in (("lora=-1", "lora=-1"), ("lora_targets=[qkv]", "'qkv' is not one of")):
        assert main(["plan", "model=llm-jp-3-13b", bad]) == 2
        assert said in capsys.readouterr().err
