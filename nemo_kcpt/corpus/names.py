"""Ids and titles in one form, however they were typed: as the text beside them is cleaned.

A Mac writes the ガ of a file's name as two characters, a form field holds ＫＡＳＵＭＩ in full width, an editor leaves
a zero-width space: the same name, but other bytes. Names get the two cleaning steps that unify characters
(`control_characters`, `nfkc`), so that a title reads as it does in the text. Lists of ids are compared in that form
whatever steps were on, so that an id of an earlier version, or one typed on another machine, still finds its paper.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

FORM_STEPS = ("control_characters", "nfkc")
"""The cleaning steps that change how a name is written, and not what it says."""

_MARK = re.compile(r"(?<=[^\s\[])\[\^[^\[\]\s]{1,12}\]")


@lru_cache(maxsize=1024)  # records about one paper follow one another
def name_form(name: str, steps: tuple[str, ...] = FORM_STEPS) -> str:
    """An id without white space around it, in the form that the steps among `steps` give to text; ASCII as it is."""
    name = name.strip()
    if name.isascii():
        return name
    from nemo_kcpt.cleaning import clean  # compiles its patterns for 0.15 s, which most stages have no use for

    return clean(name, [step for step in FORM_STEPS if step in steps]).text.strip()


def title_form(title: str, steps: Sequence[str] = FORM_STEPS) -> str:
    """A title on one line, in the form that the steps among `steps` give to text; notes' marks ([^1]) are no part."""
    always = ("line_ends", "control_characters")  # a title is one line, whatever was switched off for the text
    from nemo_kcpt.cleaning import clean  # as above

    form = clean(title, [*always, *(step for step in ("raised", *FORM_STEPS) if step in steps)]).text
    return " ".join((_MARK.sub("", form) if "raised" in steps else form).split())


def matches(wanted: Iterable[str], there: Iterable[str]) -> dict[str, list[str]]:
    """For every wanted id those that there are: the very same, else all that differ from it in form only.

    Args:
        wanted: ids as somebody typed them, or as an earlier version wrote them.
        there: ids of papers; gone through once, not held.
    """
    names = set(wanted)
    by_form: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_form[name_form(name)].append(name)
    by_name: dict[str, list[str]] = defaultdict(list)
    same: set[str] = set()
    for paper_id in there:
        if paper_id in names:
            same.add(paper_id)
        for name in by_form.get(name_form(paper_id), ()):
            by_name[name].append(paper_id)
    return {name: [name] if name in same else sorted(set(by_name.get(name, ()))) for name in names}
