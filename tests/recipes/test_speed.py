"""Which recipes round the operands of matrix products, and how many windows a micro-batch holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiddle as fdl
import pytest
import torch

from nemo_kcpt.training import cpu_speed


def products(recipe: Any) -> str:
    callbacks = recipe.trainer.callbacks
    return next(callback.products for callback in callbacks if fdl.get_callable(callback) is cpu_speed.CpuSpeed)


def test_smollm2_rounds_where_that_is_faster_and_the_demo_does_not(packs: Path, tmp_path: Path) -> None:
    from nemo_kcpt_recipes import kcpt_sft_smollm2_135m, kcpt_smollm2_135m, kcpt_tiny

    pack, folder = str(packs / "concat"), str(tmp_path)
    recipe = kcpt_smollm2_135m(pack, folder)
    assert products(recipe) == "auto"
    assert recipe.data.global_batch_size == 64 and recipe.data.micro_batch_size == 16  # windows of 64
    assert kcpt_smollm2_135m(pack, folder, processes=2).data.micro_batch_size == 16
    assert products(kcpt_sft_smollm2_135m(str(packs / "instruction"), folder)) == "auto"
    assert fdl.build(kcpt_tiny(pack, folder).trainer.callbacks[-1]).products == "float32"


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": True, "amx_bf16": True}, False),
        ({"avx512_bf16": False}, False),
        ({}, False),
    ],
)
def test_auto_follows_the_processor(
    processor: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: processor)
    assert cpu_speed.rounds_faster() is expected


def test_unknown_products_are_refused() -> None:
    with pytest.raises(ValueError, match="products: 'float16' is none of float32, bfloat16, auto"):
        cpu_speed.CpuSpeed(products="float16")
