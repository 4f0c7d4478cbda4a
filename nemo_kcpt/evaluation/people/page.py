"""The sheet as one HTML file: its data, its words and its script inside, and a policy that lets nothing else in or out.

Texts come from papers and models, so they are data: JSON in a block that the browser does not run, with every character
escaped that could end the block; the script puts them on the page as text, never as HTML. The policy (Content Security
Policy Level 3, W3C, "hash-source") names the hashes of the one script and the one style, and forbids any connection.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.people.items import Asked, clean, sheet_id
from nemo_kcpt.evaluation.people.words import WORDS
from nemo_kcpt.pages import environment
from nemo_kcpt.records.files import PAPERS

Papers = dict[str, tuple[str, str]]
"""paper_id -> (title, text)."""

# What ends a script block or a line of JavaScript, controls, marks that turn a text's direction, lone surrogates.
_ESCAPED = re.compile("[<>&\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def read_corpus(path: Path, asked: set[str], max_bytes: int) -> tuple[Papers, bool]:
    """The papers in `asked`, and all others too as long as the whole stays below `max_bytes` of UTF-8.

    Read one by one: what does not fit is never held. Returns the papers in the file's order, and whether they are all.

    Raises:
        BadInput: a field is missing or no text, or an id appears twice.
    """
    path = PAPERS.path(path)
    papers: Papers = {}
    seen: set[str] = set()
    size, whole = 0, True
    for line, record in PAPERS.lines(path):
        paper_id, text = clean(str(record["paper_id"])), record["text"]
        if paper_id in seen:
            raise BadInput(f"{path}, line {line}: paper_id '{paper_id}' appears twice; keep one of the papers")
        if not isinstance(text, str):
            raise BadInput(f"{path}, line {line}: text is {type(text).__name__}, expected a string")
        seen.add(paper_id)
        if not whole and paper_id not in asked:
            continue
        papers[paper_id] = (clean(str(record.get("title") or "")).strip(), clean(text))
        size += len(papers[paper_id][0].encode()) + len(papers[paper_id][1].encode())
        if whole and size > max_bytes:
            whole = False
            papers = {name: paper for name, paper in papers.items() if name in asked}
    return papers, whole


def embed(value: Any) -> str:
    """`value` as JSON that can be in a script block of HTML: nothing in it ends the block or acts on the reader."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def page_data(asked: Sequence[Asked], papers: Papers, corpus: str, language: str) -> dict[str, Any]:
    """What the page knows.

    Args:
        asked: questions and answers, of whose models nothing is taken over.
        papers: papers to read and search.
        corpus: all, asked or none: which papers these are.
        language: auto, ja or en.
    """
    return {
        "id": sheet_id(asked),
        "language": language,
        "corpus": corpus,
        "asked": [
            {
                "id": question.question_id,
                "paper": question.paper_id,
                "question": question.question,
                "reference": question.reference,
                "items": [
                    {"id": item.item, "letter": item.letter, "answer": item.text, "sha": item.answer_sha256}
                    for item in question.items
                ],
            }
            for question in asked
        ],
        "papers": {name: {"title": title, "text": text} for name, (title, text) in papers.items()},
    }


def _source(text: str) -> str:
    """A hash source of the policy for an inline script or style."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def render(data: Mapping[str, Any]) -> str:
    """The page: one HTML document that needs nothing else."""
    from markupsafe import Markup

    folder = Path(__file__).parent
    templates = environment(folder, markdown=False)
    style = templates.get_template("sheet.css.j2").render()
    script = (folder / "sheet.js.j2").read_text(encoding="utf-8")
    return str(
        templates.get_template("sheet.html.j2").render(
            sheet=data["id"],
            data=Markup(embed(data)),
            words=Markup(embed(WORDS)),
            style=Markup(style),
            script=Markup(script),
            style_source=Markup(_source(style)),
            script_source=Markup(_source(script)),
        )
    )
