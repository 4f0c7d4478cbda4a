"""Held-out papers that are set aside to choose by: what is chosen on their questions is reported on the others'."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import sha256_text

PARTS = ("test", "validation")


def check_keys(share: float, part: str) -> None:
    """
    Raises:
        ValueError: `validation` is no share below 1, or `part` is unknown, or asks for what was not set aside.
    """
    if not 0 <= share < 1:
        raise ValueError(f"validation: {share} is not a share of the held-out papers, from 0 to below 1")
    if part not in PARTS:
        raise ValueError(f"part: '{part}' is not one of {', '.join(PARTS)}")
    if part == "validation" and not share:
        raise ValueError("part: validation needs validation=SHARE of the held-out papers, as 0.25")


def validation_papers(heldout: Collection[str], share: float, corpus: Path) -> set[str]:
    """Ids of the papers that are set aside: at least one, and never all; the same whatever else is in the corpus.

    Raises:
        BadInput: fewer than two papers are held out.
    """
    if not share:
        return set()
    if len(heldout) < 2:
        raise BadInput(
            f"{corpus}/split.json: {len(heldout)} papers are held out; at least two are needed to set some aside by "
            "validation=. Make the corpus again with a larger heldout_count="
        )
    count = min(max(round(share * len(heldout)), 1), len(heldout) - 1)
    return set(sorted(heldout, key=lambda paper_id: sha256_text(f"validation\0{paper_id}"))[:count])


def of_part(records: Sequence[dict[str, Any]], papers: Collection[str], part: str) -> list[dict[str, Any]]:
    """The questions of one part: those about `papers` alone, or train and test questions about all others."""

    def wanted(record: Mapping[str, Any]) -> bool:
        return (record["paper_id"] in papers) == (part == "validation")

    return [record for record in records if wanted(record)] if papers else list(records)
