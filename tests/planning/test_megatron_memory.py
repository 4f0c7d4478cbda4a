"""Megatron-LM's published formula: values worked out here from its lines, for fifteen configurations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.layout import Layout
from nemo_kcpt.planning.megatron_memory import padded_vocabulary, theoretical_memory

L13, L18, SMOL = KNOWN["llm-jp-3-13b"], KNOWN["llm-jp-3-1.8b"], KNOWN["smollm2-135m"]
# Layers and norms of the model cards (13B: 12,688,184,320 and so on); embeddings are padded rows x hidden.
BLOCK = {"13b": 12_688_184_320, "1.8b": 1_459_718_144}


def layout(t: int = 1, p: int = 1, d: int = 1, mb: int = 1, recompute: str = "selective") -> Layout:
    return Layout(
        tensor_parallel=t,
        pipeline_parallel=p,
        context_parallel=1,
        data_parallel=d,
        micro_batch_size=mb,
        recompute=recompute,
    )


@pytest.mark.parametrize(
    ("shape", "one", "parameters", "a_parameter"),
    [
        (L13, layout(), BLOCK["13b"] + 99_584 * 5120 * 2, 6 + 12 / 1),
        (L13, layout(d=8), BLOCK["13b"] + 99_584 * 5120 * 2, 6 + 12 / 8),
        (L13, layout(t=4, d=2), (BLOCK["13b"] + 99_840 * 5120 * 2) / 4, 6 + 12 / 2),
        (L13, layout(t=2, p=4), (BLOCK["13b"] / 4 + 99_584 * 5120) / 2, 6 + 12 / 1),
        (L13, layout(t=8, p=2, d=4), (BLOCK["13b"] / 2 + 100_352 * 5120) / 8, 6 + 12 / 4),
        (L18, layout(d=16), BLOCK["1.8b"] + 99_584 * 2048 * 2, 6 + 12 / 16),
        (L18, layout(p=2), BLOCK["1.8b"] / 2 + 99_584 * 2048, 6 + 12 / 1),
        # 30 layers of 2·576·(1536·1.5+1) + 2·576²·(1+3/9); tied: the vocabulary counts once.
        (SMOL, layout(), 30 * (2 * 576 * 2305 + 2 * 576 * 576 * 4 / 3) + 576 + 49_152 * 576, 6 + 12 / 1),
    ],
)
def test_weights_and_optimizer(shape: ModelShape, one: Layout, parameters: float, a_parameter: float) -> None:
    found = theoretical_memory(shape, 4096, one).weights_and_optimizer
    assert found == pytest.approx(parameters * a_parameter, rel=1e-12)
    plain = theoretical_memory(shape, 4096, one, distributed_optimizer=False).weights_and_optimizer
    assert plain == pytest.approx(parameters * 18, rel=1e-12)


@pytest.mark.parametrize(
    ("shape", "seq_length", "one", "micro_batches", "expected"),
    [
        # With sequence parallelism and selective recomputation: s·b·h·(18+4f/h)·L, + 8sb + sbh a stage, all over t.
        (L13, 4096, layout(t=4), None,
         (4096 * 5120 * (18 + 4 * 2.7) * 40 + 8 * 4096 + 4096 * 5120 + 4096 * 5120 * 4 * (1 + 99_840 / 5120)) / 4),
        (L13, 16384, layout(t=8, mb=2), None,
         (32768 * 5120 * (18 + 4 * 2.7) * 40 + 8 * 32768 + 32768 * 5120 + 32768 * 4 * (5120 + 100_352)) / 8),
        (L13, 4096, layout(t=2, p=4), 16, (4096 * 5120 * 28.8 * 40 + 4 * 8 * 4096 + 4 * 4096 * 5120) / 2),
        (L13, 4096, layout(t=2, p=4), 2, (4096 * 5120 * 28.8 * 40 + 4 * 8 * 4096 + 4 * 4096 * 5120) / 2 * 2 / 4),
        # Otherwise: s·b·h·(10+24/t)·L, + 8sb + sbh a stage, + 2(s·b·v/t + sbh), and a twentieth more.
        (L18, 2048, layout(mb=4), None,
         1.05 * (8192 * 2048 * 34 * 24 + 8 * 8192 + 8192 * 2048 + 2 * (8192 * 99_584 + 8192 * 2048))),
        (L18, 2048, layout(t=2, recompute="none"), None,
         1.05 * (2048 * 2048 * 22 * 24 + 8 * 2048 + 2048 * 2048 + 2 * (2048 * 99_584 / 2 + 2048 * 2048))),
        (L18, 1024, layout(p=2), 1, 1.05 * (1024 * 2048 * 34 * 24 + 2 * 8 * 1024 + 2 * 1024 * 2048) / 2),
    ],
)  # fmt: skip
def test_activations(
    shape: ModelShape, seq_length: int, one: Layout, micro_batches: int | None, expected: float
) -> None:
    assert theoretical_memory(shape, seq_length, one, micro_batches).activations == pytest.approx(expected, rel=1e-12)


def test_the_vocabulary_is_padded_as_megatron_does_unless_it_is_given() -> None:
    assert [padded_vocabulary(L13, t) for t in (1, 2, 4, 8)] == [99_584, 99_584, 99_840, 100_352]
    given = theoretical_memory(replace(L13, vocab_rows=50_000), 4096, layout(), vocabulary=99_584)
    assert given == theoretical_memory(L13, 4096, layout(), vocabulary=99_584)
