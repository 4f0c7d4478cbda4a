"""The shape of a language's wording: every sentence of the fictional papers, the template teacher and the questions.

Templates are `str.format` strings over the fields of `fields_of` in `papers.py`: {m} the method, {t} the paper's title,
{task}, {gloss} (the task in everyday words), {author}, {org}, {size}, {data}, {metric}, {score}, {base}, {lm}, {year},
{rel}. Every sentence that states a value names the method before it, because a language model learns to go on forwards:
from method to value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Lines = tuple[str, ...]
Layout = tuple[tuple[str, tuple[str, ...]], ...]
"""Sections of a text: heading ("" for none) and the facts (or opening, closing, mechanism, baseline) it states."""


SECTIONS: tuple[tuple[Lines, ...], ...] = (
    (
        ("opening", "task", "related_method"),
        ("base_model", "mechanism", "first_author", "organisation"),
        ("dataset_size", "score", "baseline"),
        ("year", "closing"),
    ),
    (
        ("first_author", "task", "year"),
        ("related_method",),
        ("base_model", "mechanism", "dataset_size", "organisation", "score", "baseline"),
        ("closing",),
    ),
    (
        (
            "opening",
            "task",
            "organisation",
            "first_author",
            "base_model",
            "mechanism",
            "related_method",
            "dataset_size",
            "score",
            "baseline",
            "year",
        ),
    ),
    (
        ("opening", "organisation", "year"),
        ("task", "related_method"),
        ("dataset_size", "base_model", "mechanism"),
        ("score", "baseline", "first_author", "closing"),
    ),
    (
        ("task", "score", "baseline", "closing"),
        ("base_model", "mechanism", "dataset_size", "related_method"),
        ("first_author", "organisation", "year"),
    ),
    (
        ("year", "organisation", "task", "score", "baseline"),
        ("related_method", "base_model", "mechanism", "dataset_size"),
        ("first_author", "closing"),
    ),
    (
        ("task", "opening"),
        ("base_model", "mechanism", "dataset_size"),
        ("score", "baseline", "related_method"),
        ("year", "first_author", "organisation"),
    ),
    (
        ("year", "first_author", "related_method"),
        ("organisation", "base_model", "mechanism", "dataset_size", "task"),
        ("score", "baseline", "closing"),
    ),
)
"""What the sections of each layout state, the same in all languages, so that a translation says what the paper says."""


def layouts(*headings: Lines) -> tuple[Layout, ...]:
    """The layouts with one language's headings, one for each section of `SECTIONS`."""
    return tuple(tuple(zip(own, sections, strict=True)) for own, sections in zip(headings, SECTIONS, strict=True))


@dataclass(frozen=True, kw_only=True)
class Wording:
    """One language's templates."""

    titles: Lines
    layouts: tuple[Layout, ...]
    """From `layouts`. `opening`, `closing` and the mechanisms of `statements` are parallel in all languages as well: a
    translation takes the same one."""
    opening: Lines
    """Sentences without facts, for the start of a text."""
    closing: Lines
    """Sentences without facts, for its end."""
    closing_polite: Lines
    """What is left open, in spoken style."""
    statements: Mapping[str, Lines]
    """Written style, per fact; `related_method` is found under the name of the relation. `mechanism` (how the method
    works) and `baseline` (what it is held against) are no facts of `facts.FACTS`: nobody asks for them."""
    polite: Mapping[str, Lines]
    """Spoken style, per fact, as above."""
    elaborations: Mapping[str, Lines]
    """A sentence that adds to the statement of a fact, without a value."""
    summaries: Lines
    kg: tuple[Mapping[str, str], ...]
    """Sets of relation names, per fact."""
    kg_formats: Lines
    positive_negative: Lines
    keywords: tuple[tuple[str, str], ...]
    """Instruction and output of the method as a keyword."""
    task_keywords: tuple[tuple[str, str], ...]
    references: Mapping[str, Lines]
    """Per relation."""
    discussion_topics: tuple[tuple[str, tuple[str, ...]], ...]
    """Turns of a dialogue: the question's template and the facts that its answer states."""
    speakers: tuple[tuple[str, str], ...]
    instructions: Mapping[str, Lines]
    """Per kind; the question-answer kinds have none, for their instruction is the question."""
    questions: Mapping[str, Lines]
    """Per fact, the wordings that the teacher uses."""
    unseen_questions: Mapping[str, Lines]
    """Per fact, wordings that the teacher never uses: they measure knowledge instead of memory of a wording."""
    join: str
    """What stands between two sentences."""
