"""Asking: each call once, retries with other seeds, faults named, and a second run asks only for what is missing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import KcptError
from nemo_kcpt.files import write_jsonl
from nemo_kcpt.llm.journal import DONE, FAILED, UNREADABLE, Journal, JournalFault
from nemo_kcpt.llm.request import TeacherFault, TeacherReply
from nemo_kcpt.synthesis.collect import Tally, collect
from nemo_kcpt.synthesis.filters import Screen
from nemo_kcpt.synthesis.plan import Plan
from nemo_kcpt.synthesis.prompts import load_prompts
from nemo_kcpt.synthesis.write import Writer
from tests.synthesis.papers import StubTeacher, paper

KINDS = ("summary", "qa_easy", "keywords")
PROMPTS = load_prompts()


def plan_of(folder: Path, teacher: StubTeacher, number: int = 4, kinds: Sequence[str] = KINDS, **options: Any) -> Plan:
    path = folder / "papers.jsonl"
    if not path.exists():
        write_jsonl(path, [paper(index) for index in range(number)])
    options = {"window": 0, "count": len, **options}
    return Plan(path, kinds, PROMPTS, teacher, **options)


def ask(folder: Path, teacher: StubTeacher, concurrency: int = 4, **options: Any) -> tuple[Plan, Tally]:
    plan, tally = plan_of(folder, teacher, **options), Tally()
    with Journal(folder / "journal.sqlite") as journal:
        asyncio.run(collect(plan, journal, teacher, concurrency, lambda usage: 0.5, tally))
    return plan, tally


def written(folder: Path, plan: Plan) -> tuple[list[Any], list[Any], Writer]:
    with Journal(folder / "journal.sqlite") as journal:
        writer = Writer(plan, journal, Screen(), len)
        records, failures, _ = writer.write(folder)
    read = [[json.loads(line) for line in path.read_text().splitlines()] for path in (records, failures)]
    return read[0], read[1], writer


def test_every_call_once_by_paper_and_in_order(tmp_path: Path) -> None:
    teacher = StubTeacher(seconds=0.001)
    plan, tally = ask(tmp_path, teacher)
    assert (tally.calls, tally.done, tally.failed, tally.asked, tally.cost) == (12, 12, 0, 12, 6.0)
    assert [(one.paper_id, one.kind) for one in teacher.asked] == [(f"p{n}", kind) for n in range(4) for kind in KINDS]
    assert teacher.most == 4
    records, failures, _ = written(tmp_path, plan)
    assert [(one["paper_id"], one["kind"]) for one in records] == [(f"p{n}", kind) for n in range(4) for kind in KINDS]
    assert failures == [] and [one["heldout"] for one in records[:3]] == [False, True, True]
    assert records[0]["teacher"] == {"model": "stub", "params": {"temperature": 0.0}}
    assert len({one["request_sha256"] for one in records}) == 12


@pytest.mark.parametrize("concurrency", [1, 3, 64])
def test_the_same_bytes_at_every_concurrency(tmp_path: Path, concurrency: int) -> None:
    texts = []
    for folder, workers in (("a", 2), ("b", concurrency)):
        plan, _ = ask(tmp_path / folder, StubTeacher(seconds=0.0005), workers)
        written(tmp_path / folder, plan)
        texts.append((tmp_path / folder / "synthetic.jsonl").read_bytes())
    assert texts[0] == texts[1]


def test_a_second_run_asks_only_for_what_is_missing(tmp_path: Path) -> None:
    ask(tmp_path, StubTeacher(), kinds=KINDS[:2])
    teacher = StubTeacher()
    _, tally = ask(tmp_path, teacher)
    assert {one.kind for one in teacher.asked} == {"keywords"} and (tally.before, tally.done) == (8, 12)
    other = StubTeacher()
    other.params = {"temperature": 0.5}
    _, tally = ask(tmp_path, other)
    assert tally.asked == 12  # another parameter is another request


def test_an_unreadable_reply_is_asked_for_with_another_seed(tmp_path: Path) -> None:
    teacher = StubTeacher(
        {("p1", "qa_easy"): ["", '{"pairs": ['], ("p2", "summary"): [TeacherReply("cut", "length", {})]}
    )
    plan, tally = ask(tmp_path, teacher)
    assert (tally.done, tally.failed, tally.asked) == (12, 0, 15)
    assert [one.seed for one in teacher.asked if (one.paper_id, one.kind) == ("p1", "qa_easy")] == [0, 1, 2]
    records, _, _ = written(tmp_path, plan)
    assert len(records) == 12
    with Journal(tmp_path / "journal.sqlite") as journal:
        bad = [row for row in journal.rows() if row.status == UNREADABLE]
    assert sorted(row.reply for row in bad) == ["", "cut", '{"pairs": [']
    assert any("give more max_tokens=" in row.fault for row in bad)
    again = StubTeacher()
    assert ask(tmp_path, again)[1].asked == 0  # nothing is paid for twice, unreadable replies neither


def test_what_stays_unreadable_is_a_named_failure_with_its_raw_reply(tmp_path: Path) -> None:
    faults = {("p1", "qa_easy"): ["nie"] * 9}
    plan, tally = ask(tmp_path, StubTeacher(faults), retries=2)
    assert (tally.done, tally.failed, tally.asked) == (11, 1, 14)
    records, failures, writer = written(tmp_path, plan)
    assert len(records) == 11 and writer.failures == {"unreadable": 1}
    assert failures[0]["reply"] == "nie" and failures[0]["attempts"] == 3 and "not JSON" in failures[0]["fault"]
    assert ask(tmp_path, StubTeacher(faults), retries=2)[1].asked == 0
    _, tally = ask(tmp_path, StubTeacher(), retries=3)
    assert tally.asked == 1 and tally.failed == 0


def test_a_fault_is_journaled_and_asked_for_again_by_the_next_run(tmp_path: Path) -> None:
    plan, tally = ask(tmp_path, StubTeacher({("p0", "summary"): [TeacherFault("timeout", "no answer within 9 s")]}))
    assert (tally.done, tally.failed) == (11, 1)
    _, failures, writer = written(tmp_path, plan)
    assert failures[0]["fault"] == "timeout: no answer within 9 s" and writer.failures == {"timeout": 1}
    _, tally = ask(tmp_path, StubTeacher())
    assert (tally.asked, tally.done, tally.failed) == (1, 12, 0)


def test_a_fatal_fault_stops_the_run_and_keeps_what_there_is(tmp_path: Path) -> None:
    fault = TeacherFault("unauthorized", "the server refuses the key", fatal=True)
    with pytest.raises(KcptError, match="refuses the key. What was answered is kept in"):
        ask(tmp_path, StubTeacher({("p1", "summary"): [fault]}), concurrency=1)
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert sorted(row.status for row in journal.rows()) == [DONE] * 3 + [FAILED]
    assert ask(tmp_path, StubTeacher())[1].asked == 9


def test_a_journal_that_cannot_be_written_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add, calls = Journal.add, 0

    def full(journal: Journal, rows: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise JournalFault("the disk is full")
        add(journal, rows)

    monkeypatch.setattr(Journal, "add", full)
    with pytest.raises(JournalFault, match="disk is full"):
        ask(tmp_path, StubTeacher(), concurrency=1)
    monkeypatch.undo()
    assert ask(tmp_path, StubTeacher())[1].before == 3


def test_a_long_paper_is_divided_and_every_part_asked_about(tmp_path: Path) -> None:
    text = "".join(f"これは第{number}の文である。" for number in range(400))
    write_jsonl(tmp_path / "papers.jsonl", [paper(0, text=text), paper(1)])
    teacher = StubTeacher()
    plan, tally = ask(tmp_path, teacher, window=3000)
    parts = {one.part for one in teacher.asked if one.paper_id == "p0"}
    assert parts == set(range(len(parts))) and len(parts) >= 2
    assert tally.calls == tally.done == len(KINDS) * (len(parts) + 1)
    shown = [one.messages[1]["content"] for one in teacher.asked if (one.paper_id, one.kind) == ("p0", "summary")]
    bodies = [content.split(">\n")[1].rsplit("\n</", 1)[0] for content in shown]
    assert "".join(bodies) == text
    records, _, _ = written(tmp_path, plan)
    divided = [record for record in records if record["paper_id"] == "p0" and record["kind"] == "summary"]
    assert [(record["part"], record["parts"]) for record in divided] == [(n, len(parts)) for n in range(len(parts))]
    assert f"(全{len(parts)}部の第2部)" in divided[1]["pairs"][0]["instruction"]
    assert "part" not in records[-1]


def test_a_window_that_has_no_room_is_named(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "papers.jsonl", [paper(0, references=["長い文献。" * 500])])
    with pytest.raises(KcptError, match=r"paper p0: its prompt takes \d+ tokens"):
        ask(tmp_path, StubTeacher(), window=1500, kinds=["reference"])


def test_half_a_character_does_not_stop_a_run(tmp_path: Path) -> None:
    """It is a fault of the reply, which is asked for again."""
    reply = '{"output": "半分\ud83d の字です。"}'
    plan, tally = ask(tmp_path, StubTeacher({("p0", "summary"): [reply]}))
    assert tally.done == 12
    assert written(tmp_path, plan)[0][0]["pairs"][0]["output"] == "正解率は81.3%です。"
