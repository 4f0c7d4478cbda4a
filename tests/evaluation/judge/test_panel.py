"""Panels: the majority of the readable verdicts, ties, and how far the judges agree."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_kcpt.evaluation.judging.panel import agreement, majority


def panel(*verdicts: int | None) -> list[dict[str, Any]]:
    return [
        {"model": f"j{number}", "judge": verdict, "reason": None if verdict is None else f"r{number}"}
        | {"fault": "unreadable: x" if verdict is None else ""}
        for number, verdict in enumerate(verdicts)
    ]


@pytest.mark.parametrize(
    ("verdicts", "judge", "reason", "fault"),
    [
        ((1,), 1, "r0", ""),
        ((0,), 0, "r0", ""),
        ((None,), None, None, "unreadable: x"),
        ((0, 1, 1), 1, "r1", ""),
        ((1, 0, 0), 0, "r1", ""),
        ((0, 1), None, None, "tie"),
        ((0, 1, None), None, None, "tie"),
        ((None, 1), 1, "r1", ""),
        ((None, None, 0), 0, "r2", ""),
        ((None, None), None, None, "j0: unreadable: x; j1: unreadable: x"),
    ],
)
def test_majority(verdicts: tuple[int | None, ...], judge: int | None, reason: str | None, fault: str) -> None:
    assert majority(panel(*verdicts)) == {"judge": judge, "judge_reason": reason, "judge_fault": fault}


def test_agreement_counts_what_both_have_judged() -> None:
    # Of the table 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: agreement 0.7, kappa 0.4.
    panels = [panel(1, 1)] * 20 + [panel(1, 0)] * 5 + [panel(0, 1)] * 10 + [panel(0, 0)] * 15 + [panel(None, 1)] * 7
    (found,) = agreement(panels)
    assert found["judges"] == ["j0", "j1"] and found["n"] == 50
    assert found["agreement"] == pytest.approx(0.7) and found["kappa"] == pytest.approx(0.4)


def test_agreement_of_three_and_of_none() -> None:
    pairs = agreement([panel(1, 1, None)] * 3)
    assert [(one["judges"], one["n"], one["agreement"], one["kappa"]) for one in pairs] == [
        (["j0", "j1"], 3, 1.0, None),
        (["j0", "j2"], 0, None, None),
        (["j1", "j2"], 0, None, None),
    ]
    assert agreement([panel(1)]) == [] and agreement([]) == []
