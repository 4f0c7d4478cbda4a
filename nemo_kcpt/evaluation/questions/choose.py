"""The draw: which questions are taken, kind by kind, among those that the context filter keeps.

n per split is divided among the kinds in proportion to their questions (largest remainder, at least one each where n
allows). Within a kind questions come in an order by seed and id, and the filter is asked until enough are kept: an LLM
is not asked about forty thousand questions to keep five hundred. What a kind cannot give, the others make up for. The
result depends on the questions, the seed and the verdicts alone, not on how many are asked at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nemo_kcpt.files import sha256_text

Judge = Callable[[Sequence[Mapping[str, Any]]], Sequence[Mapping[str, Any]]]
"""Questions -> their `filter` fields ({by, verdict, reason}) with `kept`, in the same order."""


def shares(available: Mapping[str, int], n: int) -> dict[str, int]:
    """`n` divided among kinds in proportion to what is there: largest remainder, at least one each if n allows."""
    total = sum(available.values())
    if n >= total:
        return dict(available)
    portions = {kind: n * number // total for kind, number in available.items()}
    by_remainder = sorted(available, key=lambda kind: (-(n * available[kind] % total), kind))
    for kind in by_remainder[: n - sum(portions.values())]:
        portions[kind] += 1
    there = [kind for kind, number in available.items() if number]
    for kind in there if n >= len(there) else []:
        if not portions[kind]:
            portions[max(portions, key=lambda name: (portions[name], name))] -= 1
            portions[kind] = 1
    return portions


class _Stratum:
    """The questions of one split and kind, in the order in which they are examined."""

    def __init__(self, records: Sequence[Mapping[str, Any]], seed: int, expected: float) -> None:
        self._expected = expected
        self._order = sorted(records, key=lambda record: sha256_text(f"{seed}\0{record['question_id']}"))
        self._verdicts: list[Mapping[str, Any]] = []
        self.wanted = 0

    def waiting(self) -> list[Mapping[str, Any]]:
        """What to ask next: what is missing, and more as the share kept so far demands."""
        missing = self.wanted - self.kept
        if missing <= 0:
            return []
        seen = len(self._verdicts)
        share = max(self.kept, 1) / seen if seen else self._expected
        ask = missing if share >= 1 else min(int(missing / share * 1.1) + 2, 4 * missing + 8)
        return list(self._order[seen : seen + ask])

    def judged(self, verdicts: Sequence[Mapping[str, Any]]) -> None:
        self._verdicts += verdicts

    @property
    def kept(self) -> int:
        """Questions kept so far, those beyond `wanted` included."""
        return sum(bool(verdict["kept"]) for verdict in self._verdicts)

    @property
    def left(self) -> int:
        """Questions after the last one that is taken."""
        return len(self._order) - len(self.taken())

    def taken(self) -> list[dict[str, Any]]:
        """What was examined, up to the last question that is wanted."""
        records, kept = [], 0
        for record, verdict in zip(self._order, self._verdicts):
            if kept == self.wanted:
                break
            kept += bool(verdict["kept"])
            records.append({**record, "kept": verdict["kept"], "filter": verdict["filter"]})
        return records


def draw(
    records: Sequence[Mapping[str, Any]], n: int, seed: int, judge: Judge, expected: float = 0.8
) -> list[dict[str, Any]]:
    """Kept questions, `n` per split (all where n is 0 or too large), with those rejected on the way, in their order.

    `expected` is the share that the filter is thought to keep, by which it is asked at first; where asking again is
    dear, a low one asks about more at once.
    """
    groups: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        groups[record["split"], record["kind"]].append(record)
    strata = {key: _Stratum(group, seed, expected) for key, group in groups.items()}
    splits = list(dict.fromkeys(split for split, _ in strata))
    while True:
        grew = False
        for split in splits:
            of_split = {kind: stratum for (name, kind), stratum in strata.items() if name == split}
            missing = (n or len(records)) - sum(min(stratum.kept, stratum.wanted) for stratum in of_split.values())
            room = {kind: stratum.left for kind, stratum in of_split.items()}
            for kind, more in shares(room, max(missing, 0)).items():
                if more:
                    of_split[kind].wanted = min(of_split[kind].kept, of_split[kind].wanted) + more
                    grew = True
        if not grew:
            break
        while asked := [(stratum, waiting) for stratum in strata.values() if (waiting := stratum.waiting())]:
            verdicts = iter(judge([record for _, waiting in asked for record in waiting]))
            for stratum, waiting in asked:
                stratum.judged([next(verdicts) for _ in waiting])
    position = {record["question_id"]: number for number, record in enumerate(records)}
    taken = [record for stratum in strata.values() for record in stratum.taken()]
    return sorted(taken, key=lambda record: (record["split"] == "test", position[record["question_id"]]))
