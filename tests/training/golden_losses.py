"""Golden losses: what a training's first steps gave at the last release, in `golden/NAME.txt`, a step to a line.

The tolerance holds between machines. In float32 they differ in the order of sums only, some 1e-7 of a loss, and eight
steps of Adam make of that some 1e-6 (one rank and two agree to 1e-5 in every layout); a fault in data, labels, masks,
learning rate or weights changes the third digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

FOLDER = Path(__file__).with_name("golden")


def check_golden(name: str, found: Mapping[int | str, float], relative: float = 1e-4) -> None:
    """Fails where losses are not those of `golden/NAME.txt`, and says what to write there if they are meant to be."""
    path = FOLDER / f"{name}.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    expected = {step: float(loss) for step, _, loss in (line.rpartition(" ") for line in lines)}
    shown = "\n".join(f"{step} {loss:.7g}" for step, loss in found.items())
    assert {str(step): loss for step, loss in found.items()} == pytest.approx(expected, rel=relative), (
        f"other losses than in {path}; if they are meant to change, write there\n{shown}"
    )
