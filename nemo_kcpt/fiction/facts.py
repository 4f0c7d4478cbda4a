"""Fact sheets of fictional papers: what a model can learn from a paper, and how an answer is checked.

Values come from closed pools (`pools.py`) and are dealt evenly over a world, so a model that answers without having
read the papers is right about as often as one value in its pool: 1 in 24 tasks, 40 authors, 24 organisations, 40 sizes,
60 scores, 16 base models, 10 years. Methods are named by a stem and a suffix (64 x 36, each name once in a world).
Whether an answer is right is decided by `evaluation.exact_match` from the forms that `accepted_values` lists.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from nemo_kcpt.errors import BadInput
from nemo_kcpt.fiction import pools
from nemo_kcpt.fiction.choice import pick
from nemo_kcpt.fiction.wordings import wording_for
from nemo_kcpt.records.files import FACTS_FILE

T = TypeVar("T")

FACTS: tuple[str, ...] = (
    "task",
    "first_author",
    "organisation",
    "dataset_size",
    "score",
    "base_model",
    "year",
    "related_method",
)
"""Names of the facts that questions ask for; each is a field of `FactSheet`."""

LANGUAGES: tuple[str, ...] = ("ja", "en")
_POOLS: dict[str, tuple[pools.Names, ...]] = {
    "task": pools.TASKS,
    "first_author": pools.AUTHORS,
    "organisation": pools.ORGANISATIONS,
    "base_model": pools.BASE_MODELS,
    "dataset_name": pools.DATASET_NAMES,
    "metric": pools.METRICS,
}
_COLUMNS = {"ja": 0, "en": 1, "zh": 2}
_RECENT = 8
"""A paper is related to one of so many that came before it, so no old method is everybody's relative."""


@dataclass(frozen=True, kw_only=True)
class FactSheet:
    """What one fictional paper states."""

    paper_id: str
    language: str
    """"ja" or "en"."""
    title: str
    method: str
    """Invented name, unique in its world."""
    task: str
    first_author: str
    organisation: str
    dataset_name: str
    dataset_size: int
    """Training items."""
    metric: str
    score: float
    """One decimal, in percent."""
    baseline_score: float
    """What the method is held against; always lower than `score`."""
    base_model: str
    year: int
    related_method: str
    """The method of another paper of the same world, as a rule an older one."""
    relation: str
    """How the two are related: extends, compares or uses_data."""

    def to_dict(self) -> dict[str, Any]:
        """The sheet as a JSON-ready dict."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> FactSheet:
        """The sheet from `to_dict`'s output; ValueError when a field is missing or unknown."""
        expected = {field.name for field in fields(cls)}
        if set(record) != expected:
            missing, unknown = sorted(expected - set(record)), sorted(set(record) - expected)
            raise ValueError(
                f"fact sheet {record.get('paper_id', '?')}: missing fields {missing}, unknown fields {unknown}"
            )
        return cls(**record)


def read_facts(given: Path) -> Iterator[FactSheet]:
    """The fact sheets of a facts.jsonl.

    Raises:
        BadInput: a record is no fact sheet.
    """
    for number, record in FACTS_FILE.lines(given):
        try:
            yield FactSheet.from_dict(record)
        except (ValueError, TypeError) as error:
            raise BadInput(f"{FACTS_FILE.path(given)}, line {number}: {error}") from None


def surface(sheet: FactSheet, field: str, language: str) -> str:
    """A field as it is written in `language` (ja, en or zh); method names keep the sheet's own script."""
    value = getattr(sheet, field)
    if field == "dataset_size":
        return {"ja": f"{value:,}件", "en": f"{value:,} examples", "zh": f"{value:,}条"}[language]
    if field in ("score", "baseline_score"):
        return f"{value:.1f}"
    if field == "year":
        return str(value) if language == "en" else f"{value}年"
    if language == "zh" and field == "base_model":
        return str(value)
    source, target = _COLUMNS[sheet.language], _COLUMNS[language]
    for names in _POOLS.get(field, ()):
        if names[source] == value:
            return names[target]
    return str(value)


def fact_value(sheet: FactSheet, fact: str) -> str:
    """The canonical form of a fact in the sheet's language, such as 12,400件, 83.7 or 2021年."""
    if fact not in FACTS:
        raise ValueError(f"unknown fact {fact!r}: expected one of {', '.join(FACTS)}")
    return surface(sheet, fact, sheet.language)


def accepted_values(sheet: FactSheet, fact: str) -> tuple[str, ...]:
    """Every form of a fact that counts as right, the canonical one first."""
    forms = [fact_value(sheet, fact)]
    if fact == "dataset_size":
        size = sheet.dataset_size
        forms += [f"{size:,}", str(size)]
        myriads, rest = divmod(size, 10_000)
        if myriads and rest:
            forms += [f"{myriads}万{rest:,}", f"{myriads}万{rest}"]
        if myriads and rest % 1000 == 0:
            forms.append(f"{myriads}万{rest // 1000}千件" if rest else f"{myriads}万件")
    elif fact == "score" and sheet.score == int(sheet.score):
        forms.append(str(int(sheet.score)))
    elif fact == "year":
        forms.append(str(sheet.year))
    elif fact in ("first_author", "organisation", "base_model", "task"):
        forms += [surface(sheet, fact, language) for language in LANGUAGES]
    return tuple(dict.fromkeys(forms))


def make_names(n: int, rng: random.Random, language: str, avoid: frozenset[str] = frozenset()) -> list[str]:
    """`n` invented method names such as カスミNet, none in `avoid`.

    Both halves recur over worlds, so a model may know the pieces of a name, but never the name. Within a world the
    halves are dealt evenly, so few names share one.

    Raises:
        ValueError: the pools (64 stems, 36 suffixes) give fewer names.
    """
    column = _COLUMNS[language]
    free = {stem[column] + suffix for stem in pools.METHOD_STEMS for suffix in pools.METHOD_SUFFIXES} - avoid
    if len(free) < n:
        raise ValueError(f"{n} method names wanted, {len(free)} are left: make a smaller world or avoid fewer names")
    stems, suffixes = _deal(pools.METHOD_STEMS, n, rng), _deal(pools.METHOD_SUFFIXES, n, rng)
    names: list[str] = []
    for stem, first_choice in zip(stems, suffixes):
        others = rng.sample(pools.METHOD_SUFFIXES, len(pools.METHOD_SUFFIXES))
        candidates = [stem[column] + suffix for suffix in (first_choice, *others)]
        name = next((candidate for candidate in candidates if candidate in free), None) or min(free)
        free.remove(name)
        names.append(name)
    return names


def make_sheets(
    n: int, seed: int, language: str, id_prefix: str, avoid: frozenset[str] = frozenset()
) -> list[FactSheet]:
    """`n` fact sheets (n >= 2) that depend on the arguments only; no method name is in `avoid`."""
    if n < 2:
        raise ValueError(f"a world needs at least 2 papers, for each is related to another one; got n={n}")
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}: expected one of {', '.join(LANGUAGES)}")
    rng = random.Random(seed)
    methods = make_names(n, rng, language, avoid)
    column = _COLUMNS[language]
    dealt = {field: [names[column] for names in _deal(pool, n, rng)] for field, pool in _POOLS.items()}
    sizes, scores = _deal(pools.DATASET_SIZES, n, rng), _deal(pools.SCORES, n, rng)
    years, relations = _deal(pools.YEARS, n, rng), _deal(pools.RELATIONS, n, rng)
    partners, eldest = _partners(years, rng)
    relations[eldest] = "compares"  # its partner is younger, so it can't build on it
    sheets = []
    for index in range(n):
        values: dict[str, Any] = {field: column_values[index] for field, column_values in dealt.items()}
        values |= {"dataset_size": sizes[index], "score": scores[index], "year": years[index]}
        values |= {"relation": relations[index], "related_method": methods[partners[index]], "method": methods[index]}
        values["baseline_score"] = round(scores[index] - 0.7 * rng.randint(2, 8), 1)
        paper_id = f"{id_prefix}-{index:04d}"
        title = pick(wording_for(language).titles, paper_id, seed, "title")
        values["title"] = title.format(m=values["method"], task=values["task"])
        sheets.append(FactSheet(paper_id=paper_id, language=language, **values))
    return sheets


def _deal(pool: Sequence[T], n: int, rng: random.Random) -> list[T]:
    """`n` values, each of the pool as often as any other (give or take one)."""
    dealt: list[T] = []
    while len(dealt) < n:
        deck = list(pool)
        rng.shuffle(deck)
        dealt += deck
    return dealt[:n]


def _partners(years: Sequence[int], rng: random.Random) -> tuple[list[int], int]:
    """For each paper another one that is not younger, and the eldest, for which there is none: it gets the second
    eldest."""
    order = list(range(len(years)))
    rng.shuffle(order)
    order.sort(key=years.__getitem__)
    partners = [0] * len(years)
    partners[order[0]] = order[1]
    for rank in range(1, len(order)):
        partners[order[rank]] = rng.choice(order[max(0, rank - _RECENT) : rank])
    return partners, order[0]
