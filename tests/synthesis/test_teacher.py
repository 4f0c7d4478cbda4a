"""The teacher interface: replies are checked, records come in a fixed order, finished work is skipped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from nemo_kcpt.synthesis.kinds import HELDOUT_KINDS, KINDS, QA_KINDS
from nemo_kcpt.synthesis.teacher import TeacherReply, TeacherRequest, read_pairs, request_sha256, synthesize

PAPERS = [{"paper_id": f"p{index}", "title": "t", "text": "x", "meta": {"language": "en"}} for index in range(7)]


class EchoTeacher:
    """Replies late to early requests, so that order has to be kept by the loop."""

    model = "echo"
    params: Mapping[str, Any] = {"temperature": 0.0}

    def __init__(self, broken: str = "") -> None:
        self.asked: list[TeacherRequest] = []
        self.cancelled = 0
        self.under_way = self.most = 0
        self._broken = broken

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        self.asked.append(request)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0.002 if len(self.asked) % 2 else 0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        paper_id = request.paper["paper_id"]
        text = (
            "{"
            if paper_id == self._broken
            else json.dumps({"pairs": [{"instruction": paper_id, "output": request.kind}]})
        )
        return TeacherReply(text, "stop", {})


def run(
    teacher: EchoTeacher, kinds: Sequence[str] = KINDS, concurrency: int = 3, **options: Any
) -> list[dict[str, Any]]:
    async def collect() -> list[dict[str, Any]]:
        return [record async for record in synthesize(PAPERS, kinds, teacher, concurrency, **options)]

    return asyncio.run(collect())


def test_the_kinds_are_the_methods() -> None:
    assert len(KINDS) == len(set(KINDS)) == 16
    assert set(QA_KINDS) < set(HELDOUT_KINDS) < set(KINDS) and set(HELDOUT_KINDS) - set(QA_KINDS) == {"keywords"}
    assert (KINDS[0], KINDS[4], KINDS[-1]) == ("paraphrase", "kg_extraction", "discussion")


@pytest.mark.parametrize("concurrency", [1, 2, 5, 100])
def test_records_come_in_order_at_every_concurrency(concurrency: int) -> None:
    teacher = EchoTeacher()
    records = run(teacher, concurrency=concurrency)
    assert [(record["paper_id"], record["kind"]) for record in records] == [
        (p["paper_id"], k) for p in PAPERS for k in KINDS
    ]
    assert teacher.most <= concurrency
    assert records == run(EchoTeacher(), concurrency=3)
    first = records[0]
    assert first["pairs"] == [{"instruction": "p0", "output": "paraphrase"}]
    assert first["teacher"] == {"model": "echo", "params": {"temperature": 0.0}}
    assert first["request_sha256"] == request_sha256(
        "echo", teacher.params, TeacherRequest(PAPERS[0], "paraphrase", "en")
    )


def test_done_work_is_not_asked_again() -> None:
    teacher = EchoTeacher()
    done = frozenset({("p0", "summary"), ("p3", "keywords")})
    records = run(teacher, kinds=("summary", "keywords"), done=done)
    assert len(records) == len(teacher.asked) == 2 * len(PAPERS) - 2
    assert not done & {(record["paper_id"], record["kind"]) for record in records}


def test_prompts_and_seed_reach_the_teacher() -> None:
    teacher = EchoTeacher()
    run(
        teacher,
        kinds=("summary",),
        seed=5,
        prompt=lambda paper, kind, language: ({"role": "user", "content": kind + language},),
    )
    assert teacher.asked[0].seed == 5
    assert teacher.asked[0].messages == ({"role": "user", "content": "summaryen"},)


def test_a_bad_reply_names_paper_and_kind_and_stops_the_rest() -> None:
    teacher = EchoTeacher(broken="p1")
    with pytest.raises(ValueError, match=r"paper p1, kind summary, finish_reason stop: .*not JSON"):
        run(teacher, kinds=("summary",), concurrency=2)
    assert len(teacher.asked) < len(PAPERS) + 1 and teacher.under_way == 0


def test_stopping_early_cancels_what_is_under_way() -> None:
    teacher = EchoTeacher()

    async def first() -> dict[str, Any]:
        records = synthesize(PAPERS, KINDS, teacher, 4)
        try:
            return await anext(records)
        finally:
            await records.aclose()  # type: ignore[attr-defined]

    assert asyncio.run(first())["paper_id"] == "p0"
    assert teacher.under_way == 0


@pytest.mark.parametrize(
    ("kinds", "concurrency", "message"), [(("poem",), 1, "unknown kinds poem"), (("summary",), 0, "concurrency is 0")]
)
def test_bad_arguments_are_named(kinds: tuple[str, ...], concurrency: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(EchoTeacher(), kinds=kinds, concurrency=concurrency)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Sure! Here you are", "not JSON"),
        ("", "not JSON"),
        ("[]", "no pairs"),
        ('{"pairs": []}', "no pairs"),
        ('{"pair": [1]}', "no pairs"),
        ('{"pairs": ["a"]}', "pair 0 .* is str"),
        ('{"pairs": [{"instruction": "a", "output": "b"}, {"instruction": "a"}]}', "pair 1 .*'output' is None"),
        ('{"pairs": [{"instruction": "  ", "output": "b"}]}', "'instruction' is '  '"),
        ('{"pairs": [{"instruction": "a", "output": 3}]}', "'output' is 3"),
    ],
)
def test_a_bad_reply_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_pairs(text)


def test_a_good_reply_is_trimmed() -> None:
    text = '{"pairs": [{"instruction": " 何？ ", "output": "答え\\n", "note": 1}]}'
    assert read_pairs(text) == [{"instruction": "何？", "output": "答え"}]


def test_everything_that_shapes_a_reply_shapes_the_fingerprint() -> None:
    request = TeacherRequest({"paper_id": "a", "text": "x"}, "summary", "ja")
    reordered = TeacherRequest({"text": "x", "paper_id": "a"}, "summary", "ja")
    assert request_sha256("m", {"a": 1, "b": 2}, request) == request_sha256("m", {"b": 2, "a": 1}, reordered)
    others = [
        request_sha256("n", {}, request),
        request_sha256("m", {"a": 1}, request),
        request_sha256("m", {}, TeacherRequest({"paper_id": "a", "text": "y"}, "summary", "ja")),
        request_sha256("m", {}, TeacherRequest(request.paper, "keywords", "ja")),
        request_sha256("m", {}, TeacherRequest(request.paper, "summary", "en")),
        request_sha256("m", {}, TeacherRequest(request.paper, "summary", "ja", seed=1)),
        request_sha256("m", {}, TeacherRequest(request.paper, "summary", "ja", messages=({"role": "user"},))),
    ]
    assert len({request_sha256("m", {}, request), *others}) == len(others) + 1
