"""Products rounded to bfloat16, where the processor is faster with them: near the others, and of new weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import forks
from tests.bridge.runs import plan, train
from tests.tiny_pack import make_pack


def trained(folder: Path, pack: Path, faster: bool, forgets: bool = True) -> dict[int, float]:
    """Losses of a training whose plan allows rounded products, on a processor that is said to be faster with them."""
    from nemo_kcpt.bridge import cpu_speed
    from nemo_kcpt.models.bf16_linear import RoundedWeights

    cpu_speed.rounds_faster = lambda: faster
    if not forgets:
        RoundedWeights.clear = lambda self: None
    losses, _ = train(plan(folder, pack, steps=8, every=8, rounded_products=True))
    return losses


def test_rounded_products_are_used_where_they_are_faster(tmp_path: Path) -> None:
    pack, found = make_pack(tmp_path), {}
    ways = {"float32": (False,), "rounded": (True,), "of old weights": (True, False)}
    for name, way in ways.items():
        found[name] = forks.call(trained, tmp_path / name, pack, *way, log=tmp_path / f"{name}.log")
    assert found["rounded"] != found["float32"]
    assert found["rounded"] == pytest.approx(found["float32"], rel=5e-3)
    # Fused AdamW changes weights without telling: copies that are kept make another training.
    assert found["of old weights"][8] - found["rounded"][8] > 0.02
