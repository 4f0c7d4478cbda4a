"""What is dropped and what stays on one side, through the stage: documents in, papers, split and dropped.jsonl out."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.corpus.duplicates import components
from nemo_kcpt.corpus.papers import Settings
from nemo_kcpt.corpus.parts import Job, make_part
from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.files import read_json, read_jsonl
from nemo_kcpt.runs import read_manifest
from tests.readers.reading import pieces_of

Write = Callable[[Path, Iterable[Mapping[str, Any]]], Path]


def essay(seed: int, characters: int = 600) -> str:
    """Sentences of common kanji and kana, unlike those of any other seed."""
    generator = random.Random(seed)
    letters = [chr(generator.randrange(0x3042, 0x3092)) for _ in range(characters)]
    return "".join(letter + ("。" if place % 40 == 39 else "") for place, letter in enumerate(letters))


class Made:
    """A corpus made from records."""

    def __init__(self, folder: Path, write: Write, records: Iterable[Mapping[str, Any]], **keys: Any) -> None:
        keys = {"heldout_count": 0, "without": ["references"], "fresh_split": True} | keys
        run(Config(input=str(write(folder / "in.jsonl", records)), out=folder / "out", **keys), redo=True)
        out = folder / "out"
        self.papers = {paper["paper_id"]: paper for paper in read_jsonl(out / "papers.jsonl")}
        self.split = read_json(out / "split.json")
        dropped = out / "dropped.jsonl"
        self.dropped = {one["paper_id"]: one for one in read_jsonl(dropped)} if dropped.is_file() else {}
        self.counts = read_manifest(out)["counts"]


@pytest.fixture
def made(tmp_path: Path, write_lines: Write) -> Callable[..., Made]:
    def make(*records: Mapping[str, Any], **keys: Any) -> Made:
        return Made(tmp_path, write_lines, records, **keys)

    return make


def test_of_near_duplicates_the_longest_is_kept(made: Callable[..., Made]) -> None:
    text = essay(1)
    found = made(
        {"id": "draft", "text": text[:550]},
        {"id": "final", "text": text + "謝辞を加えた。"},
        {"id": "copy", "text": text.replace("。", "")},
        {"id": "other", "text": essay(2)},
    )
    assert list(found.papers) == ["final", "other"]
    assert set(found.dropped) == {"draft", "copy"}
    assert all(one["kept"] == "final" and one["fate"] == "near duplicate" for one in found.dropped.values())
    assert 0.8 <= found.dropped["draft"]["similarity"] < found.dropped["copy"]["similarity"]
    assert "characters, the kept one has" in found.dropped["draft"]["reason"]


def test_near_duplicates_can_be_kept_but_not_torn(made: Callable[..., Made]) -> None:
    records = [
        {"id": f"{name}{seed}", "text": essay(seed)[:length]}
        for seed in range(10)
        for name, length in (("a", 600), ("b", 560))
    ]
    found = made(*records, near_duplicates=0, heldout_count=4)
    assert len(found.papers) == 20 and not found.dropped
    assert len(found.split["heldout"]) == 4
    assert {name[1:] for name in found.split["heldout"]} & {name[1:] for name in found.split["train"]} == set()
    loose = made(*records, near_duplicates=0, same_side=0, heldout_count=5, seed=3)
    assert len(loose.split["heldout"]) == 5


def test_what_a_duplicate_gives_way_to_is_what_is_kept(made: Callable[..., Made]) -> None:
    """A copy of a draft points to the final paper, not to the draft that went too."""
    text = essay(1)
    found = made({"id": "draft", "text": text[:560]}, {"id": "copy", "text": text[:560]}, {"id": "final", "text": text})
    assert list(found.papers) == ["final"]
    assert (found.dropped["copy"]["fate"], found.dropped["copy"]["kept"]) == ("duplicate", "final")


def test_a_chain_does_not_drop_what_is_unlike(made: Callable[..., Made]) -> None:
    """a ~ b ~ c with a unlike c: only b may go for a; c is no duplicate of a."""
    words = [essay(seed, 100) for seed in range(9)]
    a, b, c = "".join(words[:7]) + "あ" * 9, "".join(words[1:8]), "".join(words[2:9])
    found = made({"id": "a", "text": a}, {"id": "b", "text": b}, {"id": "c", "text": c}, near_duplicates=0.7)
    assert list(found.papers) == ["a", "c"]
    assert found.dropped["b"]["kept"] == "a"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"title": "継続事前学習による知識獲得"}, {"title": "継続事前学習による 知識獲得。"}),
        ({"doi": "10.1234/ABC.5"}, {"doi": "https://doi.org/10.1234/abc.5"}),
        ({"translation_of": "twin"}, {"id": "twin"}),
        ({"head": "DOI: 10.1234/xyz-9\n\n"}, {"head": "https://doi.org/10.1234/XYZ-9\n\n"}),
    ],
)
def test_editions_stay_on_one_side(made: Callable[..., Made], one: dict[str, str], other: dict[str, str]) -> None:
    others = [{"id": f"p{number}", "title": f"題名{number}", "text": essay(number)} for number in range(8)]
    pair = [
        {"id": "one", "text": one.get("head", "") + essay(100), **one},
        {"text": other.get("head", "") + essay(200)},
    ]
    pair[1] = {"id": "two", **pair[1], **other}
    for seed in range(4):
        found = made(*others, *pair, heldout_count=5, seed=seed)
        ids = {"one", pair[1]["id"]}
        assert ids <= set(found.split["heldout"]) or ids <= set(found.split["train"])


def test_titles_that_one_reference_cites_together_stay_on_one_side(made: Callable[..., Made]) -> None:
    citing = (
        essay(7)
        + "\n\n参考文献\n\n"
        + "\n".join(
            [
                "[1] 高橋, 鈴木. 継続事前学習による言語モデルの知識獲得. "
                "Knowledge Acquisition by Continual Pretraining. NLP, 2025.",
                "[2] 山田. 別の論文の題名. 言語処理学会, 2024.",
            ]
        )
    )
    records = [
        {"id": "ja", "title": "継続事前学習による言語モデルの知識獲得", "text": essay(1)},
        {"id": "en", "title": "Knowledge acquisition by continual pretraining", "text": essay(2)},
        {"id": "citing", "title": "引用する論文", "text": citing},
        *({"id": f"p{number}", "title": f"題名{number}", "text": essay(20 + number)} for number in range(7)),
    ]
    sides = []
    for seed in range(6):
        found = made(*records, heldout_count=5, seed=seed, without=[])
        assert len(found.papers["citing"]["references"]) == 2
        sides.append({"ja", "en"} <= set(found.split["heldout"]) or {"ja", "en"} <= set(found.split["train"]))
    assert all(sides)


def test_a_title_that_many_share_means_nothing(made: Callable[..., Made], caplog: pytest.LogCaptureFixture) -> None:
    records = [{"id": f"p{number}", "title": "一枚の絵", "text": essay(number)} for number in range(20)]
    found = made(*records, heldout_count=5)
    assert len(found.split["heldout"]) == 5
    assert "20 papers share the title '一枚の絵'" in caplog.text
    assert found.counts["shared_identifiers"] == ["20 papers share the title '一枚の絵'"]


@pytest.mark.parametrize("title", ["Overview", "はじめに"])
def test_a_title_that_says_nothing_ties_no_papers(
    made: Callable[..., Made], caplog: pytest.LogCaptureFixture, title: str
) -> None:
    records = [{"id": f"p{number}", "title": title, "text": essay(number)} for number in range(3)]
    found = made(*records, heldout_count=1)
    assert len(found.split["heldout"]) == 1
    assert found.counts["shared_identifiers"] == [f"3 papers share the title '{title}'"]
    assert f"3 papers share the title '{title}'" in caplog.text


def test_filters_say_why(made: Callable[..., Made]) -> None:
    found = made(
        {"id": "ja", "text": essay(1), "license": "CC BY 4.0"},
        {"id": "en", "text": "Knowledge acquisition by continual pretraining of models. " * 9, "license": "CC BY 4.0"},
        {"id": "short", "text": "短い。", "license": "CC BY 4.0"},
        {"id": "closed", "text": essay(2), "license": "all rights reserved"},
        {"id": "long", "text": essay(3, 2000), "license": "cc-by 4.0"},
        languages=["ja"],
        licenses=["CC-BY-4.0"],
        max_characters=1000,
    )
    assert list(found.papers) == ["ja"]
    reasons = {name: one["reason"] for name, one in found.dropped.items()}
    assert reasons == {
        "en": "language en",
        "short": "language unknown",
        "closed": "licence all rights reserved",
        "long": "longer than 1000 characters",
    }
    assert found.counts["filtered"] == 4


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40), st.randoms())
def test_components_do_not_depend_on_the_order_of_edges(edges: list[tuple[int, int]], random: random.Random) -> None:
    found = components(edges)
    shuffled = edges[:]
    random.shuffle(shuffled)
    assert components([(b, a) for a, b in shuffled]) == found
    assert all(found[a] == found[b] <= min(a, b) for a, b in edges)
    assert all(found[leader] == leader for leader in found.values())


_PEAK = """
import sys
from pathlib import Path
from nemo_kcpt.corpus.duplicates import connect
from nemo_kcpt.processes import peak_memory
print(connect(Path(sys.argv[1])).execute("SELECT count(*) FROM documents").fetchone()[0], peak_memory() >> 20)
"""


def test_memory_does_not_grow_with_the_number_of_parts(tmp_path: Path, write_lines: Write) -> None:
    """As many parts as 100,000 files make; DuckDB holds a third of a MiB of each that it has open."""
    peaks = []
    write_lines(tmp_path / "in.jsonl", ({"id": f"d{number}", "text": essay(number, 90)} for number in range(3)))
    place, pieces = pieces_of(tmp_path / "in.jsonl")
    make_part(Job(0, place, pieces[0], Settings(), tmp_path))
    part = tmp_path / "000000.parquet"
    for count in (50, 1_500):
        folder = tmp_path / f"{count}"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:06d}.parquet").hardlink_to(part)
        done = subprocess.run([sys.executable, "-c", _PEAK, str(folder)], check=True, capture_output=True, text=True)
        rows, peak = map(int, done.stdout.split()[-2:])
        assert rows == 3 * count
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 100, peaks
