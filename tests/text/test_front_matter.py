from __future__ import annotations

from typing import Any

import pytest

from nemo_kcpt.text.front_matter import LARGEST, split

REST = "## Overview\n\nNo more than 4000 requests an hour.\n"


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        (
            '---\ntitle: "Handbook"\ndate: 2024-05-04\ntags: [ops, beta]\n---\n',
            {"title": "Handbook", "date": "2024-05-04", "tags": ["ops", "beta"]},
        ),
        (
            "\n---  \r\ntitle: 手引き\r\nauthor:\r\n  - name: 山田\r\n---\r\n",
            {"title": "手引き", "author": [{"name": "山田"}]},
        ),
        (
            "---\n# made by a program\ntitle: x\nabstract: |\n  One.\n\n  # Two\n...\n",
            {"title": "x", "abstract": "One.\n\n# Two\n"},
        ),
        ("---\n\ntitle: x\n\n---\n", {"title": "x"}),
        ("---\n---\n", {}),
        (
            '+++\ntitle = "Handbook"\ndate = 2024-05-04T10:00:00+09:00\nversion = 1.10\nweight = 3\n'
            "[extra]\nday = 2024-05-04\n+++\n",
            {
                "title": "Handbook",
                "date": "2024-05-04T10:00:00+09:00",
                "version": "1.10",
                "weight": 3,
                "extra": {"day": "2024-05-04"},
            },
        ),
        ("+++\n+++\n", {}),
    ],
)
def test_front_matter_becomes_fields(block: str, fields: dict[str, Any]) -> None:
    front = split(block + "\n" + REST)
    assert (front.body, dict(front.fields), front.problem) == (REST, fields, "")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"), ("007", "007"), ("1.10", "1.10"), ("12:30", "12:30"), ("1_000", "1_000"), ("0x1F", "0x1F"),
        ("1e3", "1e3"), (".nan", ".nan"), ("2024-05-04", "2024-05-04"), ("=", "="), ("'12'", "12"), ("!!str 12", "12"),
        ('"true"', "true"), ("12", 12), ("-3", -3), ("0", 0), ("2.5", 2.5), ("true", True), ("False", False),
        ("~", None), ("", None), ("123456789012345678901234567890", "123456789012345678901234567890"),
    ],
)  # fmt: skip
def test_no_value_becomes_another_one(written: str, value: Any) -> None:
    assert dict(split(f"---\nkey: {written}\n---\n{REST}").fields) == {"key": value}


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("---\ntitle: Foo: Bar\n---\n", "line 1: not YAML (mapping values are not allowed here, line 1 of it)"),
        ('---\ntitle: "open\n---\n', "line 1: not YAML (found unexpected end of stream, line 2 of it)"),
        ("\n---\ntitle: x\ntitle: y\n---\n", "line 2: the key title appears twice"),
        ("---\na: &x [1]\nb: *x\n---\n", "line 1: an alias (*x) is not followed"),
        ("---\na: !!python/name:os.system x\n---\n", "line 1: the tag tag:yaml.org,2002:python/name:os.system is not"),
        ("---\ntitle：手引き\n---\n", "line 1: not YAML (expected lines of the form key: value)"),
        ("---\ntitle: x\n\n# Heading\n\nNote: y\n\n---\n", "line 1: the heading '# Heading' is in it"),
        ("---\ntitle: x\n\n", "line 1: --- opens front matter that no --- closes within 64 KiB"),
        (f"---\ntitle: x\n{'a: b ' * LARGEST}\n---\n", "line 1: --- opens front matter that no --- closes within"),
        ('+++\ntitle = "x\n+++\n', "line 1: not TOML (Illegal character"),
        ("+++\ntitle = 1\ntitle = 2\n+++\n", "line 1: not TOML (Cannot overwrite a value"),
        ('+++\ntitle = "x"\n', "line 1: +++ opens front matter that no +++ closes"),
        (f"---\na: {'[' * 5000}\n---\n", "line 1: not YAML ("),
    ],
)
def test_what_cannot_be_read_stays_text_and_is_named(block: str, problem: str) -> None:
    front = split(block + REST)
    assert front.problem.startswith(problem)
    assert (front.body, dict(front.fields)) == (block + REST, {})


@pytest.mark.parametrize(
    "text",
    [
        "# Title\n\n---\ntitle: x\n---\n",
        "---\nA sentence between two rules.\n---\n",
        "---\n\n# Slide 1\n\nPoint: one\n\n---\n\n# Slide 2\n",
        "---\n\nNote: prose after a rule.\n\n---\n",
        "---\n- an item\n- another\n---\n",
        "---\n\nA rule, and nothing after it.\n",
        "----\ntitle: x\n----\n",
        "+++ joy +++\n",
    ],
)
def test_rules_are_no_front_matter(text: str) -> None:
    front = split(text)
    assert (front.body, dict(front.fields), front.problem) == (text, {}, "")
