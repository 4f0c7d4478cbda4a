"""The kinds that rules can write, each a function from a document to pairs. Nothing is said that its text does not say.

    paraphrase          its parts again, shuffled, each asked for by a term that it holds; Japanese in polite style
    summary             the first sentences of its paragraphs
    kg_extraction       of its parts, triples (document, subject, what is said of it)
    qa_easy             a sentence with a term left blank
    qa_numbers_formula  a sentence with a number left blank
    qa_people_names     a sentence with a name left blank
    keywords            a term and the sentence that speaks of it
    discussion          conversations of two turns, each turn about a term

A part is a few sentences, so that a pair fits a short window beside the passage that it is about.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nemo_kcpt.fiction.choice import pick, shuffled
from nemo_kcpt.synthesis.prompts import BEGINNING, paper_name
from nemo_kcpt.synthesis.rules.cloze import Gap, cloze, names, terms
from nemo_kcpt.synthesis.rules.sentences import Sentence, pieces, polite, sentences
from nemo_kcpt.synthesis.rules.wording import ASKING, INSTRUCTIONS, SPEAKERS
from nemo_kcpt.text.language import rules_language

MOST_PAIRS, MOST_TERMS, MOST_LEADS = 10, 8, 5
"""Pairs, terms and leads of one kind about one document, at most."""
TURNS = 2
"""Turns of a conversation."""
PART = {"ja": 120, "en": 360}
"""Characters of a part: a sentence or a few."""
LEAD_SHARE = 0.3
"""Share of the text's characters that a summary may have; its first sentence is always in it."""

_NOUN = r"[^ぁ-ん、。，．\s「」『』()（）]{2,}"
_SUBJECT = {
    "ja": r"(?P<subject>(?:{title}|"
    + _NOUN
    + r")(?:[(（][^()（）]*[)）])?(?:の"
    + _NOUN
    + r")*)[はが]、?(?P<rest>[^、].*)[。．]$",
    "en": r"(?P<subject>(?:The |An? )?(?:{title}|[\w'’-]+(?: [\w'’-]+){0,4}?)(?: \([^()]*\))?) "
    r"(?P<rest>(?:is|was|are|were|has|had|have|can|will|may|became)\b.*)[.]$",
}
"""The noun before the first は or が, or before the first auxiliary: the title, or words that hold no clause."""
_ABOUT = {"ja": re.compile(r"(?:とは|は|が)"), "en": re.compile(r" (?:is|was|are|were)\b")}


class Document:
    """A document as the rules see it."""

    def __init__(self, paper: Mapping[str, Any], language: str) -> None:
        self.paper = paper
        self.language = language
        self.name = paper_name(paper, language)
        self.title = str(paper.get("title") or "").strip()
        self.sentences = sentences(paper["text"], language)
        self.alone = [sentence for sentence in self.sentences if not sentence.back]

    def instruction(self, kind: str, *key: object, **values: str) -> str:
        """One of the kind's wordings, which one the document's id (and `key`) decides."""
        chosen = pick(INSTRUCTIONS[self.language][kind], self.paper["paper_id"], kind, *key)
        return filled(chosen, name=self.name, **values)

    def said(self, sentence: Sentence) -> str:
        """A sentence as it is said to somebody."""
        return polite(sentence.text) if self.language == "ja" else sentence.text

    def join(self, texts: Sequence[str]) -> str:
        """Sentences as running text."""
        return ("" if self.language == "ja" else " ").join(texts)

    def parts(self) -> list[tuple[str, list[Sentence]]]:
        """The parts of the text in its order, each with a name or term that is in it and names no earlier one."""
        parts: list[tuple[str, list[Sentence]]] = []
        used: set[str] = set()
        for piece in pieces(self.sentences, PART[self.language]):
            gaps = [gap for look in (names, terms) for sentence in piece for gap in look(sentence.text, self.language)]
            own = [
                gap.text for gap in gaps if gap.text not in used and gap.text.casefold() not in self.title.casefold()
            ]
            term = own[0] if own else f"{piece[0].text[:BEGINNING]}…"
            used.add(term)
            parts.append((term, piece))
        return parts

    def key_terms(self, most: int) -> list[tuple[str, Sentence]]:
        """The most frequent names and terms, each with a sentence of its own that speaks of it, in the text's order."""
        counts: Counter[str] = Counter()
        for sentence in self.sentences:
            gaps: list[Gap] = [*names(sentence.text, self.language), *terms(sentence.text, self.language)]
            counts.update({gap.text for gap in gaps if gap.text.casefold() not in self.title.casefold()})
        used: dict[int, str] = {}
        for term, _ in sorted(counts.items(), key=lambda item: (-item[1], -len(item[0]), item[0])):
            if len(used) == most:
                break
            places = [
                index for index, candidate in enumerate(self.alone) if index not in used and term in candidate.text
            ]
            about = [index for index in places if _speaks_of(self.alone[index].text, term, self.language)]
            if places and not any(term in other or other in term for other in used.values()):
                used[(about or places)[0]] = term
        return [(used[index], self.alone[index]) for index in sorted(used)]


def filled(wording: str, **values: str) -> str:
    """A wording with its fields, in one pass: what a document says may hold braces, or a field's name."""
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], wording)


def write_pairs(paper: Mapping[str, Any], kind: str) -> list[dict[str, str]]:
    """The pairs of one kind about a document; none where its text has nothing for the kind.

    Raises:
        ValueError: rules cannot write this kind, or not in the document's language.
    """
    if kind not in WRITERS:
        raise ValueError(f"rules cannot write the kind {kind!r}; they can {', '.join(WRITERS)}")
    if not (language := rules_language(paper)):
        raise ValueError(f"rules know Japanese and English; the document's language is {paper.get('language')!r}")
    document = Document(paper, language)
    return WRITERS[kind](document) if document.sentences else []


def _pair(instruction: str, output: str) -> dict[str, str]:
    return {"instruction": instruction, "output": output}


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many, evenly from the whole."""
    return [items[index * len(items) // most] for index in range(most)] if len(items) > most else list(items)


def _speaks_of(sentence: str, term: str, language: str) -> bool:
    start = sentence.find(term)
    return start >= 0 and _ABOUT[language].match(sentence, start + len(term)) is not None


def _paraphrase(document: Document) -> list[dict[str, str]]:
    return [
        _pair(
            document.instruction("paraphrase", term, term=term),
            document.join([document.said(sentence) for sentence in piece]),
        )
        for term, piece in shuffled(document.parts(), document.paper["paper_id"], "paraphrase")
    ]


def _summary(document: Document) -> list[dict[str, str]]:
    room = LEAD_SHARE * sum(len(sentence.text) for sentence in document.sentences)
    leads: list[Sentence] = []
    for sentence in document.sentences:
        first = not leads or (sentence.paragraph != leads[-1].paragraph and not sentence.back)
        fits = not leads or sum(len(lead.text) for lead in [*leads, sentence]) <= room
        if first and fits and len(leads) < MOST_LEADS:
            leads.append(sentence)
    return [_pair(document.instruction("summary"), document.join([sentence.text for sentence in leads]))]


def _kg_extraction(document: Document) -> list[dict[str, str]]:
    pairs = []
    for term, piece in _spread(document.parts(), MOST_PAIRS):
        lines = [line for sentence in piece if not sentence.back and (line := _triple(document, sentence))]
        if lines:
            pairs.append(_pair(document.instruction("kg_extraction", term, term=term), "\n".join(lines)))
    return pairs


def _triple(document: Document, sentence: Sentence) -> str:
    """(document, subject, what is said of it); where no subject is sure, a term and the sentence; empty without one."""
    pattern = _SUBJECT[document.language].replace("{title}", re.escape(document.title) or "(?!)")
    if match := re.match(pattern, sentence.text):
        subject, rest = match["subject"], match["rest"]
    else:
        gaps = [*names(sentence.text, document.language), *terms(sentence.text, document.language)]
        subject, rest = (gaps[0].text if gaps else ""), sentence.text.rstrip("。．.")
    return f"({document.title or document.name}, {subject}, {rest})" if subject else ""


def _cloze(kind: str) -> Callable[[Document], list[dict[str, str]]]:
    def write(document: Document) -> list[dict[str, str]]:
        questions = cloze(document.sentences, document.paper, document.language)[kind]
        chosen = _spread(questions, MOST_PAIRS)
        return [_pair(document.instruction(kind, text, text=text), answer) for text, answer in chosen]

    return write


def _keywords(document: Document) -> list[dict[str, str]]:
    return [
        _pair(document.instruction("keywords", term, term=term), document.said(sentence))
        for term, sentence in document.key_terms(2 * MOST_TERMS)[::2]
    ]


def _discussion(document: Document) -> list[dict[str, str]]:
    asking, answering = SPEAKERS[document.language]
    first, *others = ASKING[document.language]
    # Not the terms of keywords: these are kept out of training for held-out documents, and conversations are not.
    own = document.key_terms(2 * MOST_TERMS)[1::2]
    topics = shuffled(own, document.paper["paper_id"], "discussion")
    pairs = []
    for start in range(0, len(topics), TURNS):
        lines = []
        for turn, (term, sentence) in enumerate(topics[start : start + TURNS]):
            asked = filled(pick(others, term) if turn else first, name=document.name, term=term)
            lines += [f"{asking}: {asked}", f"{answering}: {document.said(sentence)}"]
        term = topics[start][0]
        pairs.append(_pair(document.instruction("discussion", term, term=term), "\n".join(lines)))
    return pairs


WRITERS: dict[str, Callable[[Document], list[dict[str, str]]]] = {
    "paraphrase": _paraphrase,
    "summary": _summary,
    "kg_extraction": _kg_extraction,
    "qa_easy": _cloze("qa_easy"),
    "qa_numbers_formula": _cloze("qa_numbers_formula"),
    "qa_people_names": _cloze("qa_people_names"),
    "keywords": _keywords,
    "discussion": _discussion,
}
"""Kind -> its rule; RULE_KINDS."""
