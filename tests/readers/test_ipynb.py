"""Jupyter notebooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.readers.base import READER_CHANGES
from tests.readers.reading import found, problem, records

TABLE = (
    "<style>p{}</style><table><thead><tr><th></th><th>a</th></tr></thead><tbody><tr><th>0"
    "</th><td>−1.50</td></tr></tbody>"
    "</table>"
)


def notebook(tmp_path: Path, *cells: dict[str, Any], **more: Any) -> Path:
    metadata = {"language_info": {"name": "python"}, "title": "霞 5", "authors": [{"name": "山田"}, {"name": "B"}]}
    content = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5, **more}
    (tmp_path / "a.ipynb").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path / "a.ipynb"


def code(*outputs: dict[str, Any], source: str = "x = 12_400") -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def test_text_code_and_what_a_notebook_says_of_itself(tmp_path: Path) -> None:
    text = {"cell_type": "markdown", "source": ["# 題\n", "値は $10^6$、12,400。![x](attachment:a.png)"]}
    (record,) = records(notebook(tmp_path, text, code(source="a = '```'")))
    assert record == {
        "paper_id": "a.ipynb",
        "title": "霞 5",
        "author": "山田; B",
        "code_language": "python",
        "text": "# 題\n値は $10^6$、12,400。\n\n````python\na = '```'\n````",
    }


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (
            {"output_type": "stream", "name": "stdout", "text": ["loss 0.5\r", "loss 0.25\n", "\x1b[31m7\x1b[0m"]},
            "```\nloss 0.25\n7\n```",
        ),
        ({"output_type": "stream", "name": "stderr", "text": "warning 9"}, ""),
        ({"output_type": "execute_result", "data": {"text/plain": "12400"}}, "```\n12400\n```"),
        ({"output_type": "display_data", "data": {"text/plain": "<Figure 9>", "text/markdown": "**5**"}}, "**5**"),
        (
            {"output_type": "execute_result", "data": {"text/plain": "a", "text/latex": "$\\frac{1}{2}$"}},
            "$\\frac{1}{2}$",
        ),
        (
            {"output_type": "execute_result", "data": {"text/plain": "   a\n0 1", "text/html": TABLE}},
            "|  | a |\n| --- | --- |\n| 0 | −1.50 |",
        ),
        (
            {"output_type": "error", "ename": "ValueError", "evalue": "5 is odd", "traceback": ["long"]},
            "```\nValueError: 5 is odd\n```",
        ),
        ({"output_type": "display_data", "data": {"image/png": "AAAA"}}, ""),
    ],
)
def test_outputs_in_the_form_that_says_most(tmp_path: Path, output: dict[str, Any], shown: str) -> None:
    (record,) = records(notebook(tmp_path, code(output)))
    assert record["text"].removeprefix("```python\nx = 12_400\n```").strip() == shown


def test_long_outputs_are_left_out_and_counted(tmp_path: Path) -> None:
    outputs = [{"output_type": "stream", "text": "5\n" * lines} for lines in (40, 41)]
    (item,) = found(notebook(tmp_path, code(*outputs)))
    assert item.record["text"].count("5\n") == 40 and item.changes == {"notebook_outputs": 1}
    assert "notebook_outputs" in READER_CHANGES


def test_a_notebook_of_format_3(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "節 1"},
        {"cell_type": "code", "input": "y", "outputs": [{"output_type": "pyout", "text": ["7"]}]},
    ]
    path = notebook(tmp_path, worksheets=[{"cells": cells}], cells=None)
    assert records(path)[0]["text"] == "## 節 1\n\n```python\ny\n```\n\n```\n7\n```"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file is empty"),
        ("{", "not JSON"),
        ("[]", "is no notebook: it has no list of cells"),
        ('{"cells": 5}', "is no notebook"),
        ('{"cells": [], "cells": []}', "key 'cells' appears twice"),
        ('{"cells": [5, {"cell_type": "code", "source": 7}]}', "there is no text in the notebook"),
    ],
)
def test_bad_notebooks_are_named(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.ipynb").write_text(text)
    assert expected in problem(tmp_path / "a.ipynb")
