"""Papers, the template teacher and the questions: what a model is taught, and what it is asked, fit together."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_kcpt.evaluation.scoring.exact_match import exact_match
from nemo_kcpt.fiction.fact_questions import QA_FACTS, make_questions, teacher_questions
from nemo_kcpt.fiction.facts import FACTS, FactSheet, fact_value
from nemo_kcpt.fiction.papers import fields_of, make_world
from nemo_kcpt.fiction.template_teacher import TemplateTeacher, write_pairs
from nemo_kcpt.fiction.wordings import wording_for
from nemo_kcpt.llm.request import TeacherFault, TeacherRequest
from nemo_kcpt.records.kinds import HELDOUT_KINDS, KINDS, QA_KINDS
from nemo_kcpt.synthesis.replies import read_pairs

LANGUAGES = ("ja", "en")
TRANSLATIONS = ("translation_en", "translation_zh")
CLOSE = {"ja": 90, "en": 220}
"""Characters between a value and the method's name before it."""


def everything(language: str, n: int = 24, seed: int = 7) -> str:
    """A world, all its pairs and questions, as JSON."""
    papers, sheets = make_world(n, seed, language, "w")
    pairs = [[write_pairs(sheet, kind) for kind in KINDS] for sheet in sheets]
    questions = make_questions(sheets[: n // 2], "train", seed) + make_questions(sheets[n // 2 :], "test", seed)
    return json.dumps([papers, [sheet.to_dict() for sheet in sheets], pairs, questions], ensure_ascii=False)


def taught(sheet: FactSheet) -> str:
    """What a held-out paper's training data says besides its text, translations aside (their values are translated)."""
    kinds = [kind for kind in KINDS if kind not in HELDOUT_KINDS + TRANSLATIONS]
    return "\n".join(pair["output"] for kind in kinds for pair in write_pairs(sheet, kind))


def places(text: str, value: str) -> list[int]:
    return [match.start() for match in re.finditer(rf"(?<![\d.,]){re.escape(value)}", text)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_another_process_with_another_hash_seed_writes_the_same_bytes(language: str) -> None:
    code = (
        f"import hashlib, sys; sys.path[:0] = {[os.path.dirname(__file__), *sys.path]!r}\n"
        "from test_world import everything\n"
        f"print(hashlib.sha256(everything({language!r}).encode()).hexdigest())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == hashlib.sha256(everything(language).encode()).hexdigest()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(2, 12), language=st.sampled_from(LANGUAGES))
def test_texts_and_lessons_state_every_fact_after_the_method(seed: int, n: int, language: str) -> None:
    papers, sheets = make_world(n, seed, language, "w")
    for paper, sheet in zip(papers, sheets, strict=True):
        assert {"paper_id", "title", "text", "source", "license", "meta"} == set(paper)
        assert language == "en" or 245 <= len(paper["text"]) <= 400
        lessons = taught(sheet)
        for fact in FACTS:
            value = fact_value(sheet, fact)
            assert len(places(paper["text"], value)) == 1, (fact, value, paper["text"])
            assert len(places(lessons, value)) >= 6, (fact, value)
            for text in (paper["text"], lessons):
                for place in places(text, value):
                    before = text[max(0, place - CLOSE[language]) : place]
                    assert sheet.method in before, (fact, before)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_of_a_text_names_the_method_before_the_value(language: str) -> None:
    papers, sheets = make_world(48, 5, language, "w")
    for paper, sheet in zip(papers, sheets, strict=True):
        sentences = re.split(r"。|\n|(?<=[a-z0-9M])\. ", paper["text"])
        for fact in FACTS:
            value = fact_value(sheet, fact)
            # The last sentence of a section may end in a full stop, which belongs to no value.
            (stating,) = [sentence for sentence in sentences if places(sentence, value)]
            assert sheet.method in stating[: places(stating, value)[0]], stating


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_kinds_stand_alone_and_vary(language: str) -> None:
    _, sheets = make_world(48, 5, language, "w")
    for kind in KINDS:
        instructions, outputs = set(), set()
        for sheet in sheets:
            pairs = write_pairs(sheet, kind)
            assert pairs
            for pair in pairs:
                assert sheet.method in pair["instruction"], pair
                assert pair["output"].strip() and "{" not in pair["output"] + pair["instruction"], pair
                instructions.add(anonymous(pair["instruction"], sheet))
                if kind not in QA_KINDS:
                    outputs.add(anonymous(pair["output"], sheet))
        least = 5 if language == "ja" else 3
        assert len(instructions) >= least, kind
        assert kind in QA_KINDS or len(outputs) >= (4 if language == "ja" else 3), kind


def anonymous(text: str, sheet: FactSheet) -> str:
    """`text` with the paper's own values taken out, so that only the wording is left."""
    fields = {**fields_of(sheet, "zh"), **fields_of(sheet, "en"), **fields_of(sheet, "ja")}
    values = {sheet.title, *fields.values(), *fields_of(sheet, "en").values(), *fields_of(sheet, "zh").values()}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "*")
    return text


@pytest.mark.parametrize("language", LANGUAGES)
def test_wordings_are_many_and_unseen_ones_are_unseen(language: str) -> None:
    wording = wording_for(language)
    assert set(wording.questions) == set(wording.unseen_questions) == set(FACTS)
    papers, sheets = make_world(60, 5, language, "w")
    for fact in FACTS:
        assert len(set(wording.questions[fact])) >= 5 and len(set(wording.unseen_questions[fact])) >= 2
    for sheet, paper in zip(sheets, papers, strict=True):
        written = json.dumps([paper, [write_pairs(sheet, kind) for kind in KINDS]], ensure_ascii=False)
        for options in wording.unseen_questions.values():
            assert not [option for option in options if option.format(**fields_of(sheet, language)) in written]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_fact_is_asked_twice_in_different_words(language: str) -> None:
    _, sheets = make_world(20, 5, language, "w")
    assert tuple(QA_FACTS) == QA_KINDS
    for sheet in sheets:
        asked = teacher_questions(sheet)
        for fact in FACTS:
            questions = [item.question for item in asked if item.fact == fact]
            assert len(questions) == len(set(questions)) >= 2
        for kind in QA_KINDS:
            expected = [{"instruction": item.question, "output": item.answer} for item in asked if item.kind == kind]
            assert write_pairs(sheet, kind) == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_questions_keep_the_contract(language: str) -> None:
    _, sheets = make_world(30, 9, language, "w")
    train, test = make_questions(sheets[:20], "train", 0), make_questions(sheets[20:], "test", 0)
    assert len(train) == 20 * len(FACTS) and len(test) == 10 * len(FACTS)
    for field in ("question_id", "question"):
        assert len({record[field] for record in train + test}) == len(train + test)
    by_id = {sheet.paper_id: sheet for sheet in sheets}
    for record in train + test:
        assert record["kept"] is True and set(record["filter"]) == {"by", "reason"} and record["kind"] in QA_KINDS
        sheet = by_id[record["paper_id"]]
        assert sheet.method in record["question"]
        assert record["answer"] == fact_value(sheet, record["fact"])
        assert exact_match(record["answer"], record["accepted"])
        asked = {pair["instruction"] for pair in write_pairs(sheet, record["kind"])}
        assert (record["question"] in asked) == (record["wording"] == "seen")
    assert {record["wording"] for record in train} == {"seen"}
    for fact in FACTS:
        unseen = [record["wording"] == "unseen" for record in test if record["fact"] == fact]
        assert sum(unseen) == len(unseen) / 2


def test_unknown_split_is_named() -> None:
    with pytest.raises(ValueError, match="'dev'"):
        make_questions([], "dev", 0)


def test_the_teacher_replies_as_an_llm_would() -> None:
    papers, sheets = make_world(4, 5, "ja", "w")
    teacher = TemplateTeacher(sheets)
    reply = asyncio.run(teacher.complete(TeacherRequest(papers[0]["paper_id"], "summary", "ja")))
    assert reply.finish_reason == "stop" and "not an LLM" in teacher.model
    assert read_pairs(reply.text) == write_pairs(sheets[0], "summary")
    with pytest.raises(TeacherFault, match="paper other"):
        asyncio.run(teacher.complete(TeacherRequest("other", "summary", "ja")))
    with pytest.raises(ValueError, match="'poem'"):
        write_pairs(sheets[0], "poem")


@pytest.mark.parametrize(("language", "least", "most"), [("ja", 3_000, 3_300), ("en", 5_100, 5_500)])
def test_lessons_stay_short(language: str, least: int, most: int) -> None:
    """Characters of a paper's pairs: on average 3,157 to 3,173 (ja) and 5,305 to 5,329 (en) over six seeds."""
    _, sheets = make_world(48, 5, language, "w")
    sizes = [
        sum(len(pair["instruction"] + pair["output"]) for kind in KINDS for pair in write_pairs(sheet, kind))
        for sheet in sheets
    ]
    assert least <= sum(sizes) / len(sizes) <= most


def test_contents_are_parallel_in_both_languages() -> None:
    ja, en = wording_for("ja"), wording_for("en")
    assert [[parts for _, parts in layout] for layout in ja.layouts] == [
        [parts for _, parts in layout] for layout in en.layouts
    ]
    assert len(ja.layouts) >= 6
    assert len(ja.opening) == len(en.opening) and len(ja.closing) == len(en.closing)
    assert len(ja.statements["mechanism"]) == len(en.statements["mechanism"])
    for layout in ja.layouts:
        parts = [part for _, section in layout for part in section]
        assert len(parts) == len(set(parts)) and set(FACTS) <= set(parts)
    for language, least in (("ja", 5), ("en", 3)):
        statements = wording_for(language).statements
        assert min(len(set(options)) for options in statements.values()) >= min(least, 4 if language == "ja" else 3)
        assert min(len(set(statements[fact])) for fact in FACTS[:-1]) >= least


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("seed", [4, 5])
def test_a_retelling_words_every_fact_differently(language: str, seed: int) -> None:
    papers, sheets = make_world(12, seed, language, "w")
    for paper, sheet in zip(papers, sheets, strict=True):
        ends = r"(?<=。)|\n" if language == "ja" else r"(?<=\.) |\n"
        told = [
            set(re.split(ends, text))
            for text in (
                paper["text"],
                *(write_pairs(sheet, kind)[0]["output"] for kind in ("paraphrase", "elaboration")),
            )
        ]
        for first, second in itertools.combinations(told, 2):
            assert not {sentence.strip() for sentence in first & second} - {""}
