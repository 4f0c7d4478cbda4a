"""The run's page: numbers that add up, samples bounded, and what a teacher wrote is text and nothing else."""

from __future__ import annotations

from typing import Any

from nemo_kcpt.llm.journal import DONE, Row
from nemo_kcpt.synthesis.page import KEPT_SAMPLES, MEASURED, Report, render, render_markdown
from tests.html_tags import tags_of

ATTACK = "<script>alert(1)</script> | `x` [a](javascript:1) & \"'"


def filled() -> dict[str, Any]:
    report = Report(["summary", "qa_easy"], len)
    for number in range(MEASURED + 500):
        kept = number % 5 > 0
        report.pair("qa_easy", {"instruction": ATTACK, "output": "答" * (number % 100 + 1)}, "" if kept else "copy")
    report.pair("summary", {"instruction": "x", "output": "長" * 5000}, "numbers")
    for _ in range(3):
        report.call(
            Row("k", "p", "qa_easy", 0, 0, DONE, prompt_tokens=10, completion_tokens=2, cached_tokens=5, cost=0.5)
        )
    report.failure("summary", "timeout")
    return report.content(f"model {ATTACK}", "tokens")


def test_the_numbers_add_up() -> None:
    content = filled()
    summary, easy = content["kinds"]
    assert (easy["made"], easy["kept"], easy["rejected"]) == (2500, 2000, {"copy": 500})
    assert (summary["made"], summary["kept"], summary["failed"]) == (1, 0, 1)
    assert easy["length"]["p5"] <= 10 and 45 <= easy["length"]["p50"] <= 56 and easy["length"]["p95"] >= 92
    assert content["totals"] == {
        "calls": 3,
        "failed": 1,
        "made": 2501,
        "kept": 2000,
        "prompt_tokens": 30,
        "cached_tokens": 15,
        "completion_tokens": 6,
        "cost": 1.5,
    }
    assert content["rejected"] == {"copy": 500, "numbers": 1} and content["faults"] == {"timeout": 1}
    assert len(easy["samples"]) == KEPT_SAMPLES and len(summary["rejected_samples"][0]["output"]) <= 400
    assert filled() == content


def test_what_a_teacher_wrote_is_text() -> None:
    page = render(filled())
    tags = tags_of(page)
    assert not {"script", "a"} & {tag for tag, _ in tags}
    attributes = [pair for _, given in tags for pair in given.items()]
    assert not any(name.startswith("on") or (value or "").startswith("javascript") for name, value in attributes)
    assert "&lt;script&gt;alert(1)" in page and "2,000" in page and "timeout" in page
    markdown = render_markdown(filled())
    assert "<script>" not in markdown and "## What the filters rejected" in markdown
    assert "## Calls without a readable answer" in markdown
