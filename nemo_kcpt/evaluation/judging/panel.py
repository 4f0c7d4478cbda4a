"""Several judges as one: the majority of the readable verdicts, and how far the judges agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import isnan, nan
from typing import Any

from nemo_kcpt.stats.agreement import kappa

TIE = "tie"

Member = Mapping[str, Any]
"""One judge of an answer: model, judge (0, 1 or None), reason, fault."""


def majority(members: Sequence[Member]) -> dict[str, Any]:
    """judge, judge_reason and judge_fault of an answer.

    A tie of the readable verdicts has none (fault `tie`); without a readable one the fault says why. The reason is that
    of the first judge who says what the majority says.
    """
    ones = [member for member in members if member["judge"] == 1]
    zeros = [member for member in members if member["judge"] == 0]
    if not ones and not zeros:
        faults = [member["fault"] for member in members]
        named = [f"{member['model']}: {member['fault']}" for member in members]
        return {"judge": None, "judge_reason": None, "judge_fault": faults[0] if len(faults) == 1 else "; ".join(named)}
    if len(ones) == len(zeros):
        return {"judge": None, "judge_reason": None, "judge_fault": TIE}
    winners = ones if len(ones) > len(zeros) else zeros
    return {"judge": winners[0]["judge"], "judge_reason": winners[0]["reason"], "judge_fault": ""}


def agreement(panels: Sequence[Sequence[Member]]) -> list[dict[str, Any]]:
    """For each two judges: on how many answers both gave a verdict, the share of equal ones, and Cohen's kappa, which
    is None where it is not defined (both say the same of every answer).

    Args:
        panels: the members of each answer, the judges in the same order.
    """
    names = [member["model"] for member in panels[0]] if panels else []
    rows = []
    for first, second in combinations(range(len(names)), 2):
        pairs = [(panel[first]["judge"], panel[second]["judge"]) for panel in panels]
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        equal = sum(a == b for a, b in both) / len(both) if both else None
        chance_corrected = kappa(*zip(*both)) if both else nan
        rows.append(
            {
                "judges": [names[first], names[second]],
                "n": len(both),
                "agreement": equal,
                "kappa": None if isnan(chance_corrected) else chance_corrected,
            }
        )
    return rows
