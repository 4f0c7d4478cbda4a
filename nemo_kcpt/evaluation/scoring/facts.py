"""Each fact of an answer looked up: supported, contradicted or unknown; and which facts of the reference it states.

supported      the reference has it, or else the paper
contradicted   neither has it, and the reference has another fact of that kind which the answer does not state
unknown        neither has it, and nothing stands against it; `where` says if another paper of the corpus has it

Facts that the question itself gives are not counted. Precision is the share of the answer's facts that are supported,
recall the share of the reference's facts that the answer states. A short reference without numbers and names, such as
文法誤り訂正, is one fact of kind `term`; of a sentence without them its compound nouns are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nemo_kcpt.text.agreement import agree, same_kind
from nemo_kcpt.text.proper_names import Name, NameText, cached_names, compounds, name_key
from nemo_kcpt.text.quantities import Quantity, cached_quantities, quantities

LONGEST_TERM = 40
"""Characters of a reference without numbers and names that is taken for one term."""
_SENTENCE = re.compile(r"[。．!?！？]|\.\s|です|ます|である|した$")


@dataclass(frozen=True)
class Checked:
    """A fact of an answer and what was found of it."""

    text: str
    start: int
    end: int
    """Place in the answer: answer[start:end]."""
    kind: str
    """number or name."""
    status: str
    """supported, contradicted or unknown."""
    where: str
    """reference, paper, a paper_id of the corpus, or empty."""


@dataclass(frozen=True)
class FactCheck:
    """The facts of one answer."""

    facts: tuple[Checked, ...]
    """Those that the question does not give."""
    wanted: tuple[tuple[str, str, bool], ...]
    """Text, kind (number, name or term) and whether the answer states it, of each of the reference's facts."""

    @property
    def precision(self) -> float | None:
        """Share of the answer's facts that are supported; None without facts."""
        return self.share("supported") if self.facts else None

    @property
    def recall(self) -> float | None:
        """Share of the reference's facts that the answer states; None without facts."""
        return sum(stated for *_, stated in self.wanted) / len(self.wanted) if self.wanted else None

    def share(self, status: str) -> float:
        """Share of the answer's facts with this status; 0 without facts."""
        return sum(fact.status == status for fact in self.facts) / len(self.facts) if self.facts else 0.0


class Source:
    """A text in which facts are looked up; what is made of it is made once."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def names(self) -> NameText:
        """For names."""
        return NameText(self.text)

    @cached_property
    def numbers(self) -> tuple[Quantity, ...]:
        """Its numbers."""
        return tuple(quantities(self.text))

    def number(self, stated: Quantity) -> bool:
        """Whether it has the number, in whatever notation."""
        return any(agree(stated, known) for known in self.numbers)


class Corpus:
    """All papers; where a fact stands that its own paper has not."""

    def __init__(self, papers: Mapping[str, Mapping[str, Any]]) -> None:
        """
        Args:
            papers: records with a `text` and perhaps a `title`, by paper_id.
        """
        self._sources = {name: Source(f"{paper.get('title') or ''}\n{paper['text']}") for name, paper in papers.items()}
        self._first_papers: dict[Any, str] = {}

    def source(self, paper_id: str) -> Source:
        """One paper."""
        return self._sources[paper_id]

    def name(self, key: str) -> str:
        """The first paper that has the name; empty if none."""
        if key not in self._first_papers:
            self._first_papers[key] = next(
                (paper_id for paper_id, source in self._sources.items() if source.names.holds(key)), ""
            )
        return self._first_papers[key]

    def number(self, stated: Quantity) -> str:
        """The first paper that has the number; empty if none."""
        key = stated.key
        if key not in self._first_papers:
            self._first_papers[key] = next(
                (paper_id for paper_id, source in self._sources.items() if source.number(stated)), ""
            )
        return self._first_papers[key]


def check(
    question: str,
    answer: str,
    reference: str,
    paper: Source | None = None,
    corpus: Corpus | None = None,
    accepted: Sequence[str] = (),
) -> FactCheck:
    """Look up the facts of an answer.

    Args:
        question: what was asked.
        answer: a model's.
        reference: the right answer.
        paper: the question's.
        corpus: all papers.
        accepted: other forms of the right answer.
    """
    asked = Source(question)
    right = Source("\n".join([reference, *accepted]))
    whole = said = Source(answer)
    numbers, names = _numbers(reference), _names(reference, cached_quantities(reference))
    news = [number for number in numbers if not asked.number(number)]
    named = [name for name in names if not asked.names.holds(name.key)]
    if _is_term(reference) and not (news or named):
        # The question names what it wants chosen, and the choice is the fact; an answer may begin with the question.
        said = Source(answer[_shared_beginning(question, answer) :])
    else:
        numbers, names = news, named
    wanted = _wanted(reference, accepted, numbers, names, asked, said)
    missing_numbers = [number for number in numbers if not said.number(number)]
    missing_names = any(kind == "name" and not stated for _, kind, stated in wanted)
    facts: list[tuple[Any, str, str, str]] = []
    for number in whole.numbers:
        if asked.number(number):
            continue
        against = any(same_kind(number, other) for other in missing_numbers)
        facts.append(_status(number, "number", right.number(number), paper, against, corpus))
    for name in _names(answer, whole.numbers):
        if asked.names.holds(name.key):
            continue
        facts.append(_status(name, "name", right.names.holds(name.key), paper, missing_names, corpus))
    facts.sort(key=lambda fact: fact[0].start)
    checked = tuple(
        Checked(answer[fact.start : fact.end], fact.start, fact.end, kind, status, where)
        for fact, kind, status, where in facts
    )
    return FactCheck(checked, tuple(wanted))


def _numbers(text: str) -> list[Quantity]:
    """The numbers of a text, each value once."""
    return list({(number.value, number.measure, number.high): number for number in cached_quantities(text)}.values())


def _names(text: str, numbers: Sequence[Quantity]) -> list[Name]:
    """The names of a text but those that are part of one of its numbers, as 平成 of 平成22年."""
    spans = [(number.start, number.end) for number in numbers]
    return [name for name in cached_names(text) if not any(s <= name.start and name.end <= e for s, e in spans)]


def _wanted(
    reference: str,
    accepted: Sequence[str],
    numbers: Sequence[Quantity],
    names: Sequence[Name],
    asked: Source,
    said: Source,
) -> list[tuple[str, str, bool]]:
    """The reference's facts, and whether they are stated."""
    others = [Source(form) for form in accepted]
    # An accepted form that is stated in full states all that it says in other words.
    whole = any(form.text and _states(form, said) for form in others)
    wanted = [
        (reference[number.start : number.end], "number", whole or any(agree(stated, number) for stated in said.numbers))
        for number in numbers
    ]
    keys = {name.key: reference[name.start : name.end] for name in names}
    wanted += [(text, "name", whole or said.names.holds(key)) for key, text in keys.items()]
    key = name_key(_bare(reference)) if not wanted and _is_term(reference) else ""
    if len(key) > 1 or "\u3400" <= key <= "\u9fff":
        wanted = [(_bare(reference), "term", whole or said.names.holds(key))]
    elif not wanted:
        terms = {term.key: reference[term.start : term.end] for term in compounds(reference)}
        new = {key: text for key, text in terms.items() if not asked.names.holds(key)}
        wanted = [(text, "term", whole or said.names.holds(key)) for key, text in new.items()]
    return wanted


def _shared_beginning(first: str, second: str) -> int:
    return next((index for index, (a, b) in enumerate(zip(first, second)) if a != b), min(len(first), len(second)))


def _bare(reference: str) -> str:
    return reference.strip().strip('。.「」『』"')


def _is_term(reference: str) -> bool:
    """Whether a reference is a word or two and no sentence."""
    term = _bare(reference)
    return 0 < len(term) <= LONGEST_TERM and not _SENTENCE.search(reference.strip())


def _states(form: Source, said: Source) -> bool:
    key = name_key(form.text.strip())
    if key and not key.isdigit() and said.names.holds(key):
        return True
    return (
        bool(form.numbers) and len(form.numbers) == 1 and any(agree(stated, form.numbers[0]) for stated in said.numbers)
    )


def _status(
    fact: Any, kind: str, right: bool, paper: Source | None, against: bool, corpus: Corpus | None
) -> tuple[Any, str, str, str]:
    if right:
        return fact, kind, "supported", "reference"
    if paper is not None and (paper.number(fact) if kind == "number" else paper.names.holds(fact.key)):
        return fact, kind, "supported", "paper"
    where = ""
    if corpus is not None:
        where = corpus.number(fact) if kind == "number" else corpus.name(fact.key)
    return fact, kind, "contradicted" if against else "unknown", where
