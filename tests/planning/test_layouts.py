"""Which layouts fit, why the others do not, and that the best of every recipe fits its GPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.model_shape import KNOWN
from nemo_kcpt.planning.adapters import AdapterPlan
from nemo_kcpt.planning.catalogue import FINETUNE, METHOD, RECIPES, SEQ_LENGTHS, Entry
from nemo_kcpt.planning.hardware import GPUS, Cluster, peak_tflops
from nemo_kcpt.planning.layout import Layout, refusals
from nemo_kcpt.planning.layouts import best, chosen, plans
from nemo_kcpt.planning.recipes_stage import tuning_fixed
from nemo_kcpt.planning.steps import TUNING_BATCH, steps_for, windows_per_step
from nemo_kcpt.planning.throughput import between_nodes, flops_per_token, forward_flops_per_token

SHAPE = KNOWN["llm-jp-3-13b"]
LAYOUT = Layout(
    tensor_parallel=2, pipeline_parallel=2, context_parallel=1, data_parallel=2, micro_batch_size=1, recompute="none"
)
SIZED = [entry for entry in RECIPES.values() if entry.on_gpus and entry.seq_length]


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("entry", SIZED, ids=lambda entry: entry.name)
def test_the_best_layout_of_every_recipe_fits_its_gpus(entry: Entry, nodes: int) -> None:
    shape, seq_length, tuning = entry.shape(), entry.seq_length, entry.task == FINETUNE
    assert shape is not None and seq_length is not None
    batch = TUNING_BATCH if tuning else windows_per_step(seq_length)
    plan = best(shape, seq_length, batch, Cluster(nodes=nodes), tuning_fixed() if tuning else None)
    assert plan.memory is not None and plan.memory.bytes <= 80e9
    assert plan.layout.gpus == 8 * nodes
    assert refusals(shape, seq_length, plan.layout, batch, 8 * nodes, 8) == []


def test_a_window_that_no_gpu_holds_is_shared_by_context_parallel_ranks_or_tensor_parallel_ones() -> None:
    """At 64k tokens the softmax over 196,608 rows alone takes 52 GB."""
    plan = best(KNOWN["llm-jp-4-8b"], 65536, windows_per_step(65536), Cluster(nodes=2))
    assert plan.layout.context_parallel * plan.layout.tensor_parallel > 1
    alone = {"tensor_parallel": 1, "context_parallel": 1}
    with pytest.raises(BadInput, match="no layout fits 16 GPUs"):
        best(KNOWN["llm-jp-4-8b"], 65536, windows_per_step(65536), Cluster(nodes=2), alone)


def test_every_layout_is_there_once_best_first_and_always_in_the_same_order() -> None:
    every = plans(SHAPE, 4096, 128, Cluster())
    assert len({plan.layout for plan in every}) == len(every)
    going = [plan for plan in every if not plan.refused]
    assert every[: len(going)] == going
    speeds = [round(plan.tokens_per_second, 3) for plan in going]
    assert speeds[1:] == sorted(speeds[1:], reverse=True) and speeds[0] >= 0.98 * max(speeds)
    rivals = [plan for plan in going if plan.tokens_per_second >= 0.98 * max(speeds)]
    assert going[0].memory is not None
    assert going[0].memory.bytes < min(plan.memory.bytes for plan in rivals if plan.memory) + 5e9
    assert all(plan.refused for plan in every[len(going) :]) and len(going) < len(every)
    assert [plan.layout for plan in plans(SHAPE, 4096, 128, Cluster())] == [plan.layout for plan in every]


def test_a_smaller_gpu_refuses_more_and_says_how_much_is_lacking() -> None:
    small = replace(Cluster(), gpu=GPUS["a100-40gb"])
    large = {plan.layout for plan in plans(SHAPE, 4096, 128, Cluster()) if not plan.refused}
    every = plans(SHAPE, 4096, 128, small)
    fitting = {plan.layout for plan in every if not plan.refused}
    assert fitting < large
    lacking = next(plan for plan in every if plan.layout in large - fitting)
    assert "GB a rank, the GPU has 40; most is" in lacking.refused[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tensor_parallel": 3}, "40 attention heads do not divide by tensor_parallel=3; one of 1, 2, 4, 5, 8"),
        ({"pipeline_parallel": 3}, "40 layers do not divide by pipeline_parallel=3"),
        ({"context_parallel": 3}, "4096 tokens do not divide by 2·context_parallel=6"),
        ({"data_parallel": 3}, "2·2·1·3 = 12 ranks, there are 8"),
        (
            {"micro_batch_size": 3},
            "a global batch of 128 windows does not divide by micro_batch_size·data_parallel = 3·2",
        ),
        ({"tensor_parallel": 16}, "tensor_parallel=16 would leave the node, which has 8 GPUs"),
    ],
)
def test_a_refusal_names_both_sides(change: dict[str, Any], message: str) -> None:
    assert refusals(SHAPE, 4096, LAYOUT, 128, 8, 8) == []
    assert any(message in reason for reason in refusals(SHAPE, 4096, replace(LAYOUT, **change), 128, 8, 8))


def test_fewer_key_value_heads_than_ranks_are_a_reason() -> None:
    found = refusals(KNOWN["smollm2-135m"], 4096, replace(LAYOUT, tensor_parallel=9), 128, 8)
    assert any("3 key-value heads do not divide by tensor_parallel=9" in reason for reason in found)


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"tensor_parallel": 3}, "tensor_parallel=3 does not divide 8 GPUs"),
        ({"tensor_parallel": 4, "pipeline_parallel": 4, "context_parallel": 1}, "4·4·1 = 16 does not divide 8 GPUs"),
        ({"recompute": "some"}, "'some' is not one of none, selective, full"),
        ({"micro_batch_size": 0}, "micro_batch_size=0: at least 1"),
        ({"data": None, "tensor_parallel": 1, "micro_batch_size": 16}, "no layout fits 8 GPUs of 80 GB; nearest is"),
    ],
)
def test_what_cannot_be_fixed_is_refused(fixed: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        best(SHAPE, 16384, 32, Cluster(), fixed)


def test_a_layout_that_is_fixed_whole_is_taken_though_it_seems_too_large() -> None:
    sizes = {"tensor_parallel": 2, "pipeline_parallel": 1, "context_parallel": 1, "micro_batch_size": 1}
    fixed = {**sizes, "recompute": "none"}
    plan = chosen(SHAPE, 4096, 128, Cluster(gpus_per_node=2), fixed)
    assert plan.refused and plan.layout == replace(LAYOUT, pipeline_parallel=1, data_parallel=1)
    with pytest.raises(BadInput, match="no layout fits 2 GPUs"):
        chosen(SHAPE, 4096, 128, Cluster(gpus_per_node=2), {**fixed, "recompute": None})
    with pytest.raises(BadInput, match="cannot train this model: 40 layers do not divide"):
        chosen(SHAPE, 4096, 128, Cluster(gpus_per_node=6), {**fixed, "pipeline_parallel": 3})


def test_what_is_fixed_stays() -> None:
    every = plans(SHAPE, 4096, 128, Cluster(), {"tensor_parallel": 4, "recompute": "full"})
    assert {(plan.layout.tensor_parallel, plan.layout.recompute) for plan in every} == {(4, "full")}


@pytest.mark.parametrize("name", KNOWN)
def test_flops_are_six_a_weight_and_twelve_a_position_of_attention(name: str) -> None:
    """Narayanan et al. 2021: 6 for each weight of a matrix that a token meets, and 12·L·s·h for attention as wide as
    the model."""
    shape = KNOWN[name]
    layer = sum(weight.elements(shape) for weight in shape.family.layer if not weight.is_matrix)
    norms = shape.num_layers * layer + shape.hidden_size
    lookup = 0 if shape.tied else shape.vocab_rows * shape.hidden_size
    matrices = shape.activated() - norms - lookup
    width = shape.num_attention_heads * shape.kv_channels
    assert flops_per_token(shape, 4096) == 6 * matrices + 12 * shape.num_layers * 4096 * width
    assert forward_flops_per_token(shape, 4096) * 3 == flops_per_token(shape, 4096)


def test_more_nodes_take_time_between_them() -> None:
    one, two = (best(SHAPE, 4096, 128, Cluster(nodes=nodes)) for nodes in (1, 2))
    assert one.tokens_per_second < two.tokens_per_second < 2 * one.tokens_per_second * 1.05
    layout = {"tensor_parallel": 8, "pipeline_parallel": 2, "micro_batch_size": 1}
    alone = best(SHAPE, 4096, 128, Cluster(nodes=2), layout)
    assert between_nodes(SHAPE, alone.layout, Cluster(nodes=2)) == 0  # no replicas, nothing to reduce
    wide = replace(LAYOUT, pipeline_parallel=1, data_parallel=8)
    assert between_nodes(SHAPE, wide, Cluster(nodes=2)) == pytest.approx(
        0.5 * 6 * SHAPE.parameters() / 2 * 7 / 8 / 50e9
    )


def test_a_pipeline_idles_by_its_bubble() -> None:
    plan = best(SHAPE, 4096, 128, Cluster(), {"pipeline_parallel": 8, "micro_batch_size": 1, "tensor_parallel": 1})
    assert plan.bubble == 7 / 128


@pytest.mark.parametrize(
    ("device", "tflops"),
    [("NVIDIA H100 80GB HBM3", 989.4), ("NVIDIA A100-SXM4-80GB", 312), ("NVIDIA GeForce RTX 4090", None), ("", None)],
)
def test_a_device_s_peak_is_known_by_its_name(device: str, tflops: float | None) -> None:
    assert peak_tflops(device) == tflops


def test_steps_are_matched_over_lengths() -> None:
    batches = [windows_per_step(length) for length in (SEQ_LENGTHS[label] for label in METHOD)]
    assert batches == [512, 256, 128, 64, 32]
    assert steps_for(1_000_000_000, 2, 524_288) == 3816  # 3814.7, up to an even number
    with pytest.raises(BadInput, match="epochs: -1 was given"):
        steps_for(1, -1, 1)


EXPERTS = KNOWN["llm-jp-4-32b-a3b"]
GIVEN = {
    "tensor_parallel": 2,
    "pipeline_parallel": 2,
    "context_parallel": 1,
    "micro_batch_size": 1,
    "recompute": "full",
}


def test_a_mixture_of_experts_has_no_plan_of_wrong_numbers() -> None:
    with pytest.raises(BadInput, match="mixture of 128 experts.* give its recipe .* all of tensor_parallel, "):
        plans(EXPERTS, 4096, 128, Cluster())
    with pytest.raises(BadInput, match="mixture of 128 experts"):
        chosen(EXPERTS, 4096, 128, Cluster(), {**GIVEN, "recompute": None})


def test_a_mixture_of_experts_takes_a_layout_that_is_given_whole() -> None:
    plan = chosen(EXPERTS, 4096, 128, Cluster(), GIVEN)
    assert plan.layout.data_parallel == 2 and plan.memory is None
    with pytest.raises(BadInput, match="key-value heads 4 do not divide|4 key-value heads"):
        chosen(EXPERTS, 4096, 128, Cluster(), {**GIVEN, "tensor_parallel": 8, "pipeline_parallel": 1})
    with pytest.raises(BadInput, match="does not divide"):
        chosen(EXPERTS, 4096, 128, Cluster(), {**GIVEN, "tensor_parallel": 3})
    with pytest.raises(BadInput, match="lora: a mixture of experts takes no adapters"):
        chosen(EXPERTS, 4096, 128, Cluster(), GIVEN, AdapterPlan(rank=8))
