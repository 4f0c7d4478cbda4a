"""Which layouts fit, why the others do not, and that the best of every recipe fits its GPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning import layouts
from nemo_kcpt.planning.adapters import AdapterPlan
from nemo_kcpt.planning.catalogue import FINETUNE, METHOD, RECIPES, SEQ_LENGTHS, Entry
from nemo_kcpt.planning.hardware import GPUS, Cluster, peak_tflops
from nemo_kcpt.planning.layout import Layout, refusals
from nemo_kcpt.planning.layouts import best, chosen, plans
from nemo_kcpt.planning.memory import memory, stage_memory
from nemo_kcpt.planning.recipes_stage import tuning_fixed
from nemo_kcpt.planning.steps import TUNING_BATCH, steps_for, windows_per_step
from nemo_kcpt.planning.throughput import between_experts, between_nodes, flops_per_token, forward_flops_per_token

SHAPE = KNOWN["llm-jp-3-13b"]
LAYOUT = Layout(
    tensor_parallel=2, pipeline_parallel=2, context_parallel=1, data_parallel=2, micro_batch_size=1, recompute="none"
)
SIZED = [entry for entry in RECIPES.values() if entry.on_gpus and entry.seq_length]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("entry", SIZED, ids=lambda entry: entry.name)
def test_the_best_layout_of_every_recipe_fits_its_gpus(entry: Entry, times: int) -> None:
    shape, seq_length, tuning = entry.shape(), entry.seq_length, entry.task == FINETUNE
    assert shape is not None and seq_length is not None
    nodes = entry.nodes * times
    batch = TUNING_BATCH if tuning else windows_per_step(seq_length)
    plan = best(shape, seq_length, batch, Cluster(nodes=nodes), tuning_fixed() if tuning else None)
    assert plan.memory is not None and plan.memory.bytes <= 80e9
    assert plan.layout.gpus == 8 * nodes
    assert refusals(shape, seq_length, plan.layout, batch, 8 * nodes, 8) == []
    if times == 1 < nodes:
        with pytest.raises(BadInput, match="no layout fits 8 GPUs of 80 GB"):
            best(shape, seq_length, batch, Cluster(nodes=nodes - 1), tuning_fixed() if tuning else None)


@pytest.mark.parametrize("nodes, gpu", [(1, "h100-80gb"), (2, "h100-80gb"), (1, "h200-141gb")])
@pytest.mark.parametrize("seq_length", [1024, 16384])
@pytest.mark.parametrize("fixed", [{}, {"context_parallel": 1, "micro_batch_size": 1}], ids=["free", "tuning"])
def test_the_best_layout_is_the_first_of_all(
    seq_length: int, nodes: int, gpu: str, fixed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found without working out the memory of all."""
    training = SHAPE, seq_length, windows_per_step(seq_length), Cluster(nodes=nodes, gpu=GPUS[gpu]), fixed
    every = plans(*training)
    calls = []
    monkeypatch.setattr(layouts, "memory", lambda *given: calls.append(given) or memory(*given))
    assert best(*training) == every[0]
    assert len(calls) < len([plan for plan in every if plan.memory is not None])


@pytest.mark.parametrize("stages", [1, 2, 4, 8])
@pytest.mark.parametrize("recompute", ["none", "full"])
def test_the_rank_that_needs_most_is_found_without_every_stage(stages: int, recompute: str) -> None:
    layout = replace(LAYOUT, pipeline_parallel=stages, data_parallel=8 // stages, recompute=recompute)
    every = [stage_memory(SHAPE, 4096, layout, 16, stage) for stage in range(stages)]
    assert memory(SHAPE, 4096, layout, 16) == max(every, key=lambda one: one.bytes)


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
    "expert_parallel": 4,
    "micro_batch_size": 1,
    "recompute": "full",
}


@pytest.mark.parametrize(
    ("shape", "change", "message"),
    [
        (
            EXPERTS,
            {"expert_parallel": 3, "data_parallel": 6},
            "128 experts do not divide by expert_parallel=3; one of 1",
        ),
        (EXPERTS, {"expert_parallel": 4}, r"data·context parallel = 2·1 = 2 ranks do not divide by expert_parallel=4"),
        (EXPERTS, {"tensor_parallel": 8}, "4 key-value heads do not divide by tensor_parallel=8"),
        (SHAPE, {"expert_parallel": 2}, "expert_parallel=2, and the model is no mixture of experts"),
    ],
)
def test_experts_divide_among_ranks_that_are_replicas_otherwise(
    shape: ModelShape, change: dict[str, Any], message: str
) -> None:
    layout = replace(LAYOUT, **change)
    assert any(message in reason for reason in refusals(shape, 4096, layout, 128, layout.gpus, 8))
    shared = replace(LAYOUT, data_parallel=1, context_parallel=2, expert_parallel=2)
    assert refusals(EXPERTS, 4096, shared, 128, 8, 8) == []


def test_a_dense_model_has_no_expert_parallel_layouts_and_a_mixture_every_one() -> None:
    assert {plan.layout.expert_parallel for plan in plans(SHAPE, 4096, 128, Cluster(), {"expert_parallel": None})} == {
        1
    }
    every = plans(EXPERTS, 4096, 128, Cluster(nodes=2))
    assert {plan.layout.expert_parallel for plan in every} == {1, 2, 4, 8, 16}
    assert len({plan.layout for plan in every}) == len(every)
    assert all(plan.layout.replicas % plan.layout.expert_parallel == 0 for plan in every)
    with pytest.raises(BadInput, match="expert_parallel=2, and the model is no mixture"):
        best(SHAPE, 4096, 128, Cluster(), {"expert_parallel": 2})
    with pytest.raises(BadInput, match="expert_parallel=3 does not divide 8 GPUs"):
        best(EXPERTS, 4096, 128, Cluster(), {"expert_parallel": 3})


def test_a_mixture_of_experts_takes_a_layout_that_is_given_whole() -> None:
    plan = chosen(EXPERTS, 4096, 128, Cluster(nodes=2), GIVEN)
    assert (plan.layout.data_parallel, plan.layout.expert_replicas) == (4, 1)
    with pytest.raises(BadInput, match="cannot train this model: 4 key-value heads"):
        chosen(EXPERTS, 4096, 128, Cluster(nodes=4), {**GIVEN, "tensor_parallel": 8, "expert_parallel": 2})
    free = chosen(EXPERTS, 4096, 128, Cluster(nodes=2), {**GIVEN, "expert_parallel": None})
    assert free.layout.expert_parallel == 4  # with fewer the experts' gradients alone fill the GPU
    with pytest.raises(BadInput, match="lora: a mixture of experts takes no adapters"):
        chosen(EXPERTS, 4096, 128, Cluster(nodes=2), GIVEN, AdapterPlan(rank=8))


def test_tokens_travel_to_their_experts_and_back() -> None:
    """Four transfers of a bf16 hidden state for each of 8 experts and 32 layers, by hand."""
    alone = replace(LAYOUT, tensor_parallel=1, pipeline_parallel=1, data_parallel=8)
    one, two = Cluster(), Cluster(nodes=2)
    assert between_experts(EXPERTS, 524_288, alone, one) == between_experts(SHAPE, 524_288, alone, one) == 0
    near = between_experts(EXPERTS, 524_288, replace(alone, expert_parallel=8), one)
    assert near == pytest.approx(4 * 2 * 2560 * 8 * 32 * 524_288 / 8 * 7 / 8 / 300e9)
    wide = replace(alone, data_parallel=16, expert_parallel=16)
    beyond = 4 * 2 * 2560 * 8 * 32 * 524_288 / 16 * (7 / 16 / 300e9 + 8 / 16 / 50e9)
    assert between_experts(EXPERTS, 524_288, wide, two) == pytest.approx(beyond)
    again = between_experts(EXPERTS, 524_288, replace(wide, recompute="full"), two)
    assert again == pytest.approx(beyond * 6 / 4)
    tensor = replace(alone, data_parallel=4, tensor_parallel=2)  # each of the two gets the other's tokens, too
    assert between_experts(EXPERTS, 524_288, tensor, one) == pytest.approx(
        4 * 2 * 2560 * 8 * 32 * 524_288 / 4 / 2 / 300e9
    )


def test_experts_are_reduced_among_those_who_have_them() -> None:
    wide = replace(LAYOUT, tensor_parallel=1, pipeline_parallel=1, data_parallel=16, expert_parallel=8)
    experts = EXPERTS.num_layers * 128 * 3 * 2560 * 960
    rest = EXPERTS.parameters() - experts
    moved = rest * 15 / 16 + experts / 8 * 1 / 2
    assert between_nodes(EXPERTS, wide, Cluster(nodes=2)) == pytest.approx(0.5 * 6 * moved / 50e9)
