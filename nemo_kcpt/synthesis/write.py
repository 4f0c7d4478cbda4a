"""Writing: the journal's replies as pairs, screened, in the order of the plan: the same bytes however they came in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nemo_kcpt.files import atomic_write
from nemo_kcpt.llm.journal import FAILED, Journal, Row
from nemo_kcpt.llm.request import UnreadableReply
from nemo_kcpt.progress import progress
from nemo_kcpt.synthesis.filters import Candidate, Screen
from nemo_kcpt.synthesis.page import Report
from nemo_kcpt.synthesis.plan import Call, Plan

RECORDS, FAILURES, REJECTED = "synthetic.jsonl", "failed.jsonl", "rejected.jsonl"


class Writer:
    """Writes records, failures and rejected pairs, and counts for the report."""

    def __init__(self, plan: Plan, journal: Journal, screen: Screen, count: Callable[[str], int]) -> None:
        self.plan = plan
        self.journal = journal
        self.screen = screen
        self.report = Report(list(plan.kinds), count, plan.teacher.params.get("max_tokens"))
        self.papers = 0
        self.records = 0
        self.failures: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        """Paper -> calls that were never made."""

    def write(self, out: Path) -> list[Path]:
        """Write the three files; returns their paths. synthetic.jsonl is left out if a call is not answered.

        Raises:
            JournalFault: the journal cannot be read.
        """
        with ExitStack() as stack:
            streams = {name: stack.enter_context(atomic_write(out / name)) for name in (RECORDS, FAILURES, REJECTED)}
            bar = stack.enter_context(progress())
            task = bar.add_task("reading replies, filtering", total=None)
            for paper in self.plan.records():
                source = self.screen.source(paper)
                for call in self.plan.calls(paper):
                    state = self.plan.state(call, self.journal)
                    if state.done and state.row is not None:
                        self._record(call, state.row, state.temperature, source, streams)
                    else:
                        self._failure(call, state.row or self.journal.get(state.key), streams[FAILURES])
                self.papers += 1
                bar.advance(task)
        return [out / name for name in (RECORDS, FAILURES, REJECTED)]

    def _record(self, call: Call, row: Row, warmer: float | None, source: Any, streams: Mapping[str, Any]) -> None:
        """Write a reply's pairs; `warmer` is its temperature, if it was asked for again at another one."""
        kept = []
        reading = call.means(row.reply, row.finish_reason)
        self.report.repaired(reading.repaired)
        for pair in reading.pairs:
            candidate = Candidate(
                row.paper_id,
                row.kind,
                call.request.language,
                pair["instruction"],
                pair["output"],
                row.finish_reason,
                call.prompt.placeholders,
            )
            reason = self.screen.judge(candidate, source)
            self.report.pair(row.kind, pair, reason)
            if reason:
                _line(streams[REJECTED], {"paper_id": row.paper_id, "kind": row.kind, "filter": reason, **pair})
            else:
                kept.append(pair)
        self.report.call(row)
        if not kept:
            return
        record: dict[str, Any] = {"paper_id": row.paper_id, "kind": row.kind}
        if call.parts > 1:
            record |= {"part": row.part, "parts": call.parts}
        record |= {
            "pairs": kept,
            "heldout": call.prompt.heldout,
            "teacher": {
                "model": call.model,
                **({"served_model": row.served} if row.served else {}),
                "params": {**call.params, **({"temperature": warmer} if warmer is not None else {})},
            },
            "request_sha256": row.key,
        }
        _line(streams[RECORDS], record)
        self.records += 1

    def _failure(self, call: Call, row: Row | None, stream: Any) -> None:
        if row is None:
            self.missing[call.request.paper_id] += 1
            return
        fault = row.fault or _why(call, row)
        name = fault.split(":")[0]
        self.failures[name] += 1
        self.report.failure(row.kind, name)
        if row.status == FAILED:
            self.report.call(row)
        where = {"paper_id": row.paper_id, "kind": row.kind, "part": row.part, "request_sha256": row.key}
        _line(stream, {**where, "attempts": row.attempt + 1, "fault": fault, "reply": row.reply})


def _why(call: Call, row: Row) -> str:
    """Why a reply that was journaled as answered cannot be read."""
    try:
        call.means(row.reply, row.finish_reason)
    except UnreadableReply as error:
        return error.fault
    return "unreadable"


def _line(stream: Any, record: Mapping[str, Any]) -> None:
    stream.write(json.dumps(record, ensure_ascii=False) + "\n")
