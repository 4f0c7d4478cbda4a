"""Asking again: a greedy model is given a temperature, and answers to earlier versions are not paid for again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.llm.journal import DONE, FAILED, UNREADABLE, Journal, Row
from nemo_kcpt.llm.request import TeacherRequest, request_sha256
from nemo_kcpt.llm.sampling import RETRY_TEMPERATURE, Asking
from nemo_kcpt.synthesis.prompts import FORM, FORMER, load_prompts
from tests.synthesis.papers import StubTeacher, answer, paper
from tests.synthesis.test_collect import ask, plan_of, written

FAULTS: dict[tuple[str, str], list[Any]] = {("p1", "qa_easy"): ["nonsense", "nonsense"]}


class Greedy(StubTeacher):
    is_greedy = True


def keys(teacher: StubTeacher) -> list[tuple[int, float | None]]:
    return [(one.seed, one.temperature) for one in teacher.asked if (one.paper_id, one.kind) == ("p1", "qa_easy")]


def test_a_greedy_model_is_asked_again_at_a_temperature_which_is_recorded(tmp_path: Path) -> None:
    teacher = Greedy(FAULTS)
    plan, tally = ask(tmp_path, teacher)
    assert tally.failed == 0 and keys(teacher) == [(0, None), (1, RETRY_TEMPERATURE), (2, RETRY_TEMPERATURE)]
    records, _, _ = written(tmp_path, plan)
    params = {(one["paper_id"], one["kind"]): one["teacher"]["params"] for one in records}
    assert params["p1", "qa_easy"] == {"temperature": RETRY_TEMPERATURE} != params["p0", "qa_easy"]
    assert ask(tmp_path, Greedy())[1].asked == 0


def test_a_model_that_samples_is_asked_again_with_another_seed_alone(tmp_path: Path) -> None:
    teacher = StubTeacher(FAULTS)
    ask(tmp_path, teacher)
    assert keys(teacher) == [(0, None), (1, None), (2, None)]


@pytest.mark.parametrize(
    ("temperature", "extra", "greedy", "sent"),
    [
        (0.0, {}, True, 0.7),
        (0.7, {}, False, 0.7),
        (0.7, {"temperature": 0}, True, 0.7),
        (0.0, {"temperature": 1.0}, False, 0.7),
        (0.0, {"temperature": None}, False, None),
    ],
)
def test_what_is_greedy_and_what_a_retry_sends(temperature: float, extra: Any, greedy: bool, sent: Any) -> None:
    asking = Asking("m", temperature=temperature, extra=extra)
    request = TeacherRequest("p", "k", "ja", ({"role": "user", "content": "x"},))
    assert asking.is_greedy is greedy
    assert asking.body(replace(request, temperature=0.7))["temperature"] == sent
    assert asking.body(request)["temperature"] == extra.get("temperature", temperature)


def test_a_first_request_has_the_key_that_it_always_had() -> None:
    request = TeacherRequest("p", "k", "ja", ({"role": "user", "content": "x"},), seed=3, schema={"a": 1})
    found = request_sha256("m", {"temperature": 0.0}, request)
    assert found == "f5748577b881705204c3178a631187baa76e7400375194e66b6960934c111efa"
    assert request_sha256("m", {"temperature": 0.0}, replace(request, temperature=0.7)) != found


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_shipped_prompt_says_its_form_in_words_and_knows_its_former_line(language: str) -> None:
    prompts = load_prompts()[language]
    for kind, prompt in prompts.by_kind.items():
        messages = prompts.messages(kind, paper(), "head\n")
        (last,) = [message["content"] for message in prompt.former(messages)[1:]]
        assert messages[1]["content"].endswith(FORM[language, prompt.form]) and "…" not in FORM[language, prompt.form]
        assert last.endswith("\n" + FORMER[language, prompt.form])
        assert last.removesuffix(FORMER[language, prompt.form]) == messages[1]["content"].removesuffix(
            FORM[language, prompt.form]
        )


def old_rows(folder: Path, teacher: StubTeacher, rows: dict[int, tuple[str, str]]) -> None:
    """The journal of an earlier version: one call, with the former last line and the same temperature every time."""
    plan = plan_of(folder, teacher, number=1, kinds=["summary"])
    (call,) = [call for one in plan.records() for call in plan.calls(one)]
    former = replace(call.request, messages=call.prompt.former(call.request.messages))
    with Journal(folder / "journal.sqlite") as journal:
        for number, (status, reply) in rows.items():
            key = request_sha256(teacher.model, teacher.params, replace(former, seed=number))
            journal.add([Row(key, "p0", "summary", 0, number, status, reply or answer(call.request))])


@pytest.mark.parametrize("kind", [StubTeacher, Greedy])
@pytest.mark.parametrize(
    ("rows", "asked"),
    [
        ({0: (DONE, "")}, []),
        ({0: (UNREADABLE, "x"), 1: (DONE, "")}, []),
        ({0: (UNREADABLE, '{"output": "前の版が読めなかった答え"}')}, []),
        ({0: (FAILED, "x")}, [0]),
        ({0: (UNREADABLE, "x")}, [1]),
    ],
)
def test_what_an_earlier_version_was_answered_is_not_paid_for_again(
    tmp_path: Path, kind: type[StubTeacher], rows: dict[int, tuple[str, str]], asked: list[int]
) -> None:
    teacher = kind()
    old_rows(tmp_path, teacher, rows)
    plan, tally = ask(tmp_path, teacher, number=1, kinds=["summary"])
    assert [one.seed for one in teacher.asked] == asked and tally.done == 1
    assert len(written(tmp_path, plan)[0]) == 1
