"""The RoPE base: when it stays, when it rises, and to what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.planning.rope import ntk_base, reason, rotary_base

SHAPE = KNOWN["llm-jp-3-13b"]


@pytest.mark.parametrize(
    ("seq_length", "choice", "expected"),
    [
        (1024, "auto", 10_000),
        (4096, "auto", 10_000),
        (4097, "auto", 500_000),
        (16384, "auto", 500_000),
        (4096, "ntk", 10_000),
        (16384, "1000000", 1_000_000),
        (1024, "20000", 20_000),
        (1024, "5000", 5_000),
    ],
)
def test_the_base(seq_length: int, choice: str, expected: float) -> None:
    assert rotary_base(SHAPE, seq_length, choice) == expected


def test_a_higher_base_is_never_lowered() -> None:
    assert rotary_base(replace(SHAPE, rotary_base=1_000_000), 16384) == 1_000_000


@pytest.mark.parametrize("factor", [2, 4])
def test_ntk_stretches_the_lowest_frequency_by_the_factor_and_keeps_the_highest(factor: int) -> None:
    size, base = SHAPE.kv_channels, rotary_base(SHAPE, factor * SHAPE.positions, "ntk")
    assert base == ntk_base(SHAPE, factor * SHAPE.positions)
    lowest = SHAPE.rotary_base ** (-(size - 2) / size)
    assert base ** (-(size - 2) / size) == pytest.approx(lowest / factor, rel=1e-4)


@pytest.mark.parametrize(
    ("seq_length", "choice", "message"),
    [
        (8192, "10000", "8192 tokens go beyond the 4096 positions"),
        (1024, "yarn", "'yarn' is not one of"),
        (1024, "0", "no RoPE base"),
        (1024, "nan", "no RoPE base"),
    ],
)
def test_what_cannot_be_meant_is_refused(seq_length: int, choice: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        rotary_base(SHAPE, seq_length, choice)


@pytest.mark.parametrize(
    ("model", "seq_length", "base", "said"),
    [
        ("llm-jp-4-8b", 65536, 500_000, "stays the model's own: windows of 65,536 tokens are within the 65,536"),
        (
            "llm-jp-3-13b",
            8192,
            500_000,
            "500000 instead of the model's 10000: windows of 8,192 tokens go beyond the 4,096",
        ),
        ("llm-jp-3-13b", 2048, 20_000, "as given, instead of the model's 10000, though windows of 2,048 tokens are"),
    ],
)
def test_the_reason_is_said(model: str, seq_length: int, base: float, said: str) -> None:
    assert said in reason(KNOWN[model], seq_length, base)
