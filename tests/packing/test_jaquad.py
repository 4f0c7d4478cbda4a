"""Packs of real Japanese articles with questions that people asked about them, where there are any (conftest.py).

What the same claims rest on where that folder is absent: tests/packing/test_pack.py (held-out questions),
test_anchored.py (cut and co-located pairs) and test_passages.py (which passage a pair is about), on made-up papers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.packing import stage as pack_stage
from nemo_kcpt.packing.store import iterate_table, open_tokens
from nemo_kcpt.runs import read_manifest
from tests.conftest import DATA
from tools.bench import data
from tools.bench import packing as bench

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there")]
ARTICLES = 24


@pytest.fixture(scope="module", autouse=True)
def real_data() -> None:
    data.FOLDER = DATA


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bench.tokenizer_folder(tmp_path_factory.mktemp("llm-jp"))


@pytest.fixture(scope="module")
def articles() -> list[dict[str, Any]]:
    return bench.articles()[:ARTICLES]


def pack(folder: Path, tokenizer: Path, mode: str, seq_length: int) -> Path:
    out = folder / f"{mode}-{seq_length}"
    config = pack_stage.Config(
        mode=mode,
        seq_length=seq_length,
        tokenizer=tokenizer,
        out=out,
        corpus=folder / "corpus",
        synthetic=folder / "synthetic",
    )
    pack_stage.run(config)
    return out


def test_nearly_every_question_stands_beside_the_sentence_that_annotators_marked(
    tmp_path: Path, tokenizer: Path, articles: list[dict[str, Any]]
) -> None:
    bench.write_sources(tmp_path, articles)
    gold = bench.gold_spans(articles, PackTokenizer(tokenizer))
    shares = {}
    for mode in ("anchored", "concat"):
        for seq_length in (1024, 4096):
            out = pack(tmp_path, tokenizer, mode, seq_length)
            kinds: dict[str, list[int]] = {}
            bench.beside(out, gold, kinds)
            counts = read_manifest(out)["counts"]
            assert sum(pairs for pairs, _ in kinds.values()) == counts["pairs"] == len(gold)
            shares[mode, seq_length] = sum(found for _, found in kinds.values()) / len(gold)
            if mode == "anchored":
                assert counts["cut_pairs"] == 0 and counts["repeated_share"] <= 0.3
    assert shares["anchored", 1024] >= 0.95 and shares["anchored", 4096] >= 0.95
    assert shares["concat", 1024] < 0.05 and shares["concat", 4096] < 0.5


@pytest.mark.parametrize("mode", ["anchored", "concat"])
def test_no_held_out_question_is_in_any_window(
    tmp_path: Path, tokenizer: Path, articles: list[dict[str, Any]], mode: str
) -> None:
    heldout = range(0, ARTICLES, 3)
    bench.write_sources(tmp_path, articles, [f"a{number}" for number in heldout])
    out, decode = pack(tmp_path, tokenizer, mode, 1024), PackTokenizer(tokenizer).decode
    tokens, rows = open_tokens(out), list(iterate_table(out))
    # At once: in concat a question may go on in the next window.
    stream = decode([token for index, row in enumerate(rows) for token in tokens[index][: row["length"]].tolist()])
    texts = "".join(article["text"] for article in articles)
    for number, article in enumerate(articles):
        for question, answer, _ in article["questions"]:
            if number not in heldout:
                assert question in stream
                continue
            assert question not in stream
            assert answer in texts or answer not in stream
