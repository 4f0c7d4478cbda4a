"""Fictional papers, written from fact sheets: short texts of varied structure that state every fact once.

Every sentence that states a fact names the method before the value. A Japanese text has about 250 to 400 characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nemo_kcpt.fiction import pools
from nemo_kcpt.fiction.choice import pick, shuffled
from nemo_kcpt.fiction.facts import FactSheet, make_sheets, surface
from nemo_kcpt.fiction.wording import Lines
from nemo_kcpt.fiction.wordings import wording_for

_TEXT_TURNS = (0, 4)
PARAPHRASE_TURN = 1
ELABORATION_TURN = 2
PLAIN_TURN = 3
"""Turns of `state`, kept apart so that a paper and its retellings differ in wording."""


def fields_of(sheet: FactSheet, language: str) -> dict[str, str]:
    """The fields that wording templates are filled with, in `language` (ja, en or zh)."""
    names = {
        "task": "task",
        "author": "first_author",
        "org": "organisation",
        "size": "dataset_size",
        "data": "dataset_name",
        "metric": "metric",
        "score": "score",
        "base": "baseline_score",
        "lm": "base_model",
        "year": "year",
        "rel": "related_method",
    }
    filled = {short: surface(sheet, field, language) for short, field in names.items()}
    glosses = pools.TASK_GLOSSES.get(surface(sheet, "task", "ja"), (filled["task"], filled["task"]))
    return filled | {"m": sheet.method, "t": sheet.title, "gloss": glosses[1 if language == "en" else 0]}


def wordings(options: Mapping[str, Lines], sheet: FactSheet, fact: str) -> Lines:
    """The templates of a fact; those of the related method depend on the relation."""
    return options[sheet.relation if fact == "related_method" and fact not in options else fact]


def state(sheet: FactSheet, fact: str, language: str, turn: int) -> str:
    """The sentence for `fact` on its `turn`-th statement; each turn takes another wording until all are used."""
    options = wordings(wording_for(language).statements, sheet, fact)
    order = shuffled(options, sheet.paper_id, fact, "statement")
    return order[turn % len(order)].format(**fields_of(sheet, language))


def layout_text(sheet: FactSheet, language: str, turn: int) -> str:
    """The whole paper in `language`; `turn` chooses the wording of its facts.

    What a paper says beyond its facts, and in which order, depends on the sheet alone, and the lists that it is chosen
    from are parallel in all languages: so a translation says what the paper says.
    """
    wording, fields = wording_for(language), fields_of(sheet, language)
    contents = {"opening": wording.opening, "closing": wording.closing, "mechanism": wording.statements["mechanism"]}
    sections = []
    for heading, parts in pick(wording.layouts, sheet.paper_id, sheet.method, "layout"):
        lines = []
        for part in parts:
            if part in contents:
                lines.append(pick(contents[part], sheet.paper_id, sheet.method, part).format(**fields))
            else:
                lines.append(state(sheet, part, language, turn))
        sections.append((f"{heading}\n" if heading else "") + wording.join.join(lines))
    return "\n".join(sections)


def render_paper(sheet: FactSheet, seed: int) -> dict[str, Any]:
    """The paper of a fact sheet, as one record of `papers.jsonl`; an odd seed words its facts differently."""
    return {
        "paper_id": sheet.paper_id,
        "title": sheet.title,
        "text": layout_text(sheet, sheet.language, _TEXT_TURNS[seed % 2]),
        "source": "fictional",
        "license": "Apache-2.0",
        "meta": {"language": sheet.language},
    }


def make_world(
    n: int, seed: int, language: str, id_prefix: str, avoid: frozenset[str] = frozenset()
) -> tuple[list[dict[str, Any]], list[FactSheet]]:
    """`n` papers and their fact sheets, in the same order; no method name is in `avoid`."""
    sheets = make_sheets(n, seed, language, id_prefix, avoid)
    return [render_paper(sheet, seed) for sheet in sheets], sheets


def method_names(sheets: Sequence[FactSheet]) -> frozenset[str]:
    """The names of a world, to be avoided by the next one."""
    return frozenset(sheet.method for sheet in sheets)
