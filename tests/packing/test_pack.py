"""The concat packing: every token once and in order, held-out questions never, a store that stock Megatron reads."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import write_jsonl
from nemo_kcpt.packing import stage as pack_stage
from nemo_kcpt.packing.concat import concat_windows
from nemo_kcpt.packing.segments import Segment, paper_segments
from nemo_kcpt.packing.statistics import PackStatistics
from nemo_kcpt.packing.store import iterate_table, open_tokens, read_info
from nemo_kcpt.packing.tokenise import PackTokenizer
from nemo_kcpt.runs import stage

ROLES = st.sampled_from(["text", "instruction", "output"])


@st.composite
def segment_lists(draw: st.DrawFn) -> list[Segment]:
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    documents = np.cumsum(draw(st.lists(st.integers(0, 1), min_size=len(lengths), max_size=len(lengths))))
    counter = iter(range(10_000))
    return [
        Segment(
            ids=[next(counter) for _ in range(length)],
            paper_id=f"p{document}",
            kind="k",
            role=draw(ROLES),
            document=int(document),
        )
        for length, document in zip(lengths, documents)
    ]


@given(segment_lists(), st.integers(8, 32))
def test_every_token_stands_once_in_order(segments: list[Segment], seq_length: int) -> None:
    windows = list(concat_windows(segments, seq_length, pad_id=-1))
    assert all(len(window.ids) == seq_length for window in windows)
    assert all(window.length == seq_length for window in windows[:-1])
    stream = [token for window in windows for token in window.ids[: window.length]]
    assert stream == [token for segment in segments for token in segment.ids]
    assert set(windows[-1].ids[windows[-1].length :]) <= {-1}


@given(segment_lists(), st.integers(8, 32))
def test_the_table_describes_the_windows(segments: list[Segment], seq_length: int) -> None:
    origin = {token: segment for segment in segments for token in segment.ids}
    for window in concat_windows(segments, seq_length, pad_id=-1):
        ends = [*window.segment_starts[1:], window.length]
        for paper, role, start, end in zip(window.paper_ids, window.segment_roles, window.segment_starts, ends):
            assert start < end
            assert all(
                origin[token].paper_id == paper and origin[token].role == role for token in window.ids[start:end]
            )
        borders = window.cu_seqlens
        assert borders[0] == 0 and borders[-1] == window.length and borders == sorted(set(borders))
        for start, end in itertools.pairwise(borders):
            assert len({origin[token].document for token in window.ids[start:end]}) == 1


@given(segment_lists(), st.integers(8, 32))
def test_cut_and_co_located_pairs_are_counted_as_defined(segments: list[Segment], seq_length: int) -> None:
    """Against a slow recount from the definition, over whole windows at once."""
    numbered = [
        replace(segment, pair=index if segment.role != "text" else -1) for index, segment in enumerate(segments)
    ]
    windows = list(concat_windows(numbered, seq_length, pad_id=-1))
    statistics = PackStatistics(seq_length)
    for window in windows:
        statistics.add(window)
    homes = {
        pair: [index for index, window in enumerate(windows) if pair in window.segment_pairs]
        for pair in {segment.pair for segment in numbered} - {-1}
    }
    paper_of = {segment.pair: segment.paper_id for segment in numbered}
    text = {
        (index, segment.paper_id): len(
            set(window.ids)
            & {i for s in numbered if s.role == "text" and s.paper_id == segment.paper_id for i in s.ids}
        )
        for index, window in enumerate(windows)
        for segment in numbered
    }
    beside = 0
    for pair, places in homes.items():
        known = sum(text[index, paper_of[pair]] for index in range(places[0] + 1))
        beside += known > 0 and text[places[0], paper_of[pair]] >= min(seq_length // 4, known)
    assert statistics.pairs == len(homes)
    assert statistics.cut_pairs == sum(len(places) > 1 for places in homes.values())
    assert statistics.co_located == beside
    assert statistics.tokens == sum(len(segment.ids) for segment in segments)


PAPERS = [
    {"paper_id": f"p{i}", "title": f"題{i}", "text": f"カスミNet{i}の学習データは12,40{i}件である。"} for i in range(4)
]
SYNTHETIC = [
    {
        "paper_id": paper["paper_id"],
        "kind": kind,
        "pairs": [{"instruction": f"問{kind}{paper['paper_id']}", "output": f"答{kind}{paper['paper_id']}"}],
    }
    for paper in PAPERS
    for kind in ("summary", "qa_easy", "keywords")
]


def test_held_out_questions_never_reach_a_window(tokenizer: PackTokenizer) -> None:
    segments = list(paper_segments(PAPERS, SYNTHETIC, ["p1", "p2"], tokenizer))
    text = tokenizer._plain.decode([token for segment in segments for token in segment.ids])
    for paper in PAPERS:
        heldout = paper["paper_id"] in ("p1", "p2")
        for kind in ("qa_easy", "keywords"):
            assert (f"問{kind}{paper['paper_id']}" in text) is not heldout
            assert (f"答{kind}{paper['paper_id']}" in text) is not heldout
        assert f"問summary{paper['paper_id']}" in text
        assert paper["text"] in text


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    with stage("corpus", tmp_path / "corpus", config={}, inputs={}) as current:
        write_jsonl(tmp_path / "corpus/papers.jsonl", PAPERS)
        (tmp_path / "corpus/split.json").write_text(
            json.dumps({"seed": 0, "heldout": ["p1"], "train": ["p0", "p2", "p3"]})
        )
        current.add(tmp_path / "corpus/papers.jsonl", tmp_path / "corpus/split.json")
    with stage("synthesize", tmp_path / "synthetic", config={}, inputs={}) as current:
        write_jsonl(tmp_path / "synthetic/synthetic.jsonl", SYNTHETIC)
        current.add(tmp_path / "synthetic/synthetic.jsonl")
    return {"corpus": tmp_path / "corpus", "synthetic": tmp_path / "synthetic", "out": tmp_path / "pack"}


def test_the_store_is_read_by_stock_megatron(
    folders: dict[str, Path], tokenizer_folder: Path, tokenizer: PackTokenizer
) -> None:
    pack_stage.run(pack_stage.Config(seq_length=32, tokenizer=tokenizer_folder, **folders))
    info = read_info(folders["out"])
    expected = list(concat_windows(paper_segments(PAPERS, SYNTHETIC, ["p1"], tokenizer), 32, tokenizer.pad_id))
    tokens, rows = open_tokens(folders["out"]), list(iterate_table(folders["out"]))
    assert info.windows == len(tokens) == len(rows) == len(expected)
    assert [list(tokens[index]) for index in range(len(tokens))] == [window.ids for window in expected]
    assert [row["segment_starts"] for row in rows] == [window.segment_starts for window in expected]
    assert (info.seq_length, info.mode, info.vocab_size) == (32, "concat", tokenizer.vocab_size)


def test_the_second_run_does_nothing_and_a_changed_key_is_refused(
    folders: dict[str, Path], tokenizer_folder: Path
) -> None:
    config = pack_stage.Config(seq_length=32, tokenizer=tokenizer_folder, **folders)
    pack_stage.run(config)
    before = (folders["out"] / "tokens.bin").stat().st_mtime_ns
    pack_stage.run(config)
    assert (folders["out"] / "tokens.bin").stat().st_mtime_ns == before
    with pytest.raises(BadInput, match="seq_length was 32, now 64"):
        pack_stage.run(pack_stage.Config(seq_length=64, tokenizer=tokenizer_folder, **folders))


def test_a_truncated_store_is_refused(folders: dict[str, Path], tokenizer_folder: Path) -> None:
    pack_stage.run(pack_stage.Config(seq_length=32, tokenizer=tokenizer_folder, **folders))
    path = folders["out"] / "tokens.bin"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BadInput, match=r"tokens\.bin: \d+ bytes, the manifest says"):
        read_info(folders["out"])


def test_keys_that_a_mode_needs_are_named(tmp_path: Path, tokenizer_folder: Path) -> None:
    with pytest.raises(BadInput, match="mode=concat needs corpus=PATH"):
        pack_stage.run(pack_stage.Config(tokenizer=tokenizer_folder, out=tmp_path / "x"))
    with pytest.raises(ValueError, match="mode: 'conact' is not one of"):
        pack_stage.Config(mode="conact")
