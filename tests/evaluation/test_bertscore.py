"""BERTScore: bert-score's numbers, on both versions of transformers, whatever the order, batches and cache."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_kcpt.environments import serve_python
from nemo_kcpt.evaluation.scoring.bertscore import BertScore, Prf
from tests.evaluation.encoders import SENTENCES, make_encoder, pairs, text

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS = ("Bert", "Roberta", "Albert", "DistilBert", "DebertaV2", "ModernBert", "Llama", "T5")
NOTHING = Prf(0, 0, 0)


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoders") / "bert")


def rows(scores: list[Prf]) -> list[list[float]]:
    return [[score.precision, score.recall, score.f1] for score in scores]


def theirs(folder: Path, layers: int, candidates: list[str], references: list[str]) -> list[list[float]]:
    """bert-score's own numbers, pair by pair, which keeps its padding out of them."""
    from bert_score import BERTScorer

    scorer = BERTScorer(model_type=str(folder), num_layers=layers, idf=False, device="cpu")
    columns = scorer.score(candidates, references, batch_size=1)
    return [list(three) for three in zip(*(column.tolist() for column in columns))]


def difference(ours: list[list[float]], reference: list[list[float]]) -> float:
    assert len(ours) == len(reference)
    return max(abs(a - b) for mine, other in zip(ours, reference) for a, b in zip(mine, other))


@pytest.mark.parametrize("layers", [3, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_bert_score(tmp_path: Path, kind: str, layers: int) -> None:
    folder = make_encoder(tmp_path / kind.lower(), kind)
    candidates, references = pairs(12, 400)
    candidates[3] = f"  {candidates[3]}\n"
    candidates[5] = "これは[SEP]と[CLS]を含む。"
    scorer = BertScore(folder, layers)
    reference = theirs(folder, layers, candidates, references)
    assert difference(rows(scorer.score(candidates, references)), reference) <= 1e-5
    assert scorer.encoder.limit == 512
    spread = sorted(f1 for _, _, f1 in reference)
    assert spread[-1] - spread[0] > 0.02, "an encoder that calls everything alike would prove nothing"


@pytest.mark.parametrize("template", ["[MASK] $A", "$A [SEP]", "$A"])
def test_equals_bert_score_whatever_the_tokenizer_adds(tmp_path: Path, template: str) -> None:
    """As llm-jp's, which adds <s> alone: a token that counts, because it is neither [CLS] nor [SEP]."""
    folder = make_encoder(tmp_path / "e", template=template)
    candidates, references = pairs(8, 200)
    assert (
        difference(rows(BertScore(folder).score(candidates, references)), theirs(folder, 3, candidates, references))
        <= 1e-5
    )


def test_equals_bert_score_with_robertas_own_tokenizer(tmp_path: Path) -> None:
    """Its byte-level BPE cuts a first word by whether a space is before it; bert-score puts one there."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizer

    folder = make_encoder(tmp_path / "roberta", "Roberta", vocab_size=400)
    for path in folder.glob("*token*"):
        path.unlink()
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(SENTENCES * 3, 380, 1, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    trained.save_model(str(folder))
    RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=512).save_pretrained(
        folder
    )
    candidates, references = (
        ["The encoder", "layers on", "学習データ"],
        ["encoder The", "on tokens", "データは12,400件"],
    )
    reference = theirs(folder, 3, candidates, references)
    assert difference(rows(BertScore(folder).score(candidates, references)), reference) <= 1e-5


SERVE = """
import json, sys
from nemo_kcpt.evaluation.scoring.bertscore import BertScore
import transformers
given = json.load(open(sys.argv[1]))
found = []
for folder in given["folders"]:
    scores = BertScore(folder, 2).score(given["candidates"], given["references"])
    found.append([[one.precision, one.recall, one.f1] for one in scores])
json.dump({"version": transformers.__version__, "scores": found}, open(sys.argv[2], "w"))
"""


def test_equals_bert_score_on_transformers_5(tmp_path: Path, root: Path) -> None:
    """The serve environment has no bert-score: its numbers are compared with those of bert-score in this one."""
    python = serve_python()
    if python is None:
        pytest.skip("no serve environment")
    kinds = ("Bert", "Roberta", "ModernBert", "T5")
    folders = [make_encoder(tmp_path / kind.lower(), kind) for kind in kinds]
    candidates, references = pairs(8, 300)
    blank = {"candidates": [*candidates, "", "あ", " \n"], "references": [*references, "あ", "", ""]}
    (tmp_path / "given.json").write_text(json.dumps({"folders": list(map(str, folders)), **blank}))
    command = [str(python), "-c", SERVE, str(tmp_path / "given.json"), str(tmp_path / "found.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["version"].startswith("5.")
    for folder, scores in zip(folders, found["scores"]):
        assert difference(scores[:-3], theirs(folder, 2, candidates, references)) <= 1e-5
        assert scores[-3:] == [[0, 0, 0]] * 3


def test_texts_without_tokens(bert: Path) -> None:
    scorer = BertScore(bert)
    assert scorer.score([], []) == []
    assert scorer.score(["", "あ", "  \n", "[SEP]", "\u3000"], ["学習", "", "", "学習", "学習"]) == [NOTHING] * 5
    assert scorer.f1(["学習", ""], ["学習", ""]) == [pytest.approx(1, abs=1e-5), 0]
    with pytest.raises(ValueError, match="1 candidates and 2 references"):
        scorer.score(["a"], ["a", "b"])


def test_half_a_surrogate_pair_is_no_failure(bert: Path) -> None:
    (score,) = BertScore(bert).score(["学習\ud83d"], ["学習?"])
    assert score.f1 == pytest.approx(1, abs=1e-5)


LINES = st.text(alphabet=sorted({*"".join(SENTENCES), "漢", "\n"}), max_size=60)


@given(lines=st.lists(LINES, min_size=1, max_size=6), seed=st.integers(0, 9))
@settings(max_examples=12)
def test_properties(bert_scorers: tuple[BertScore, BertScore], lines: list[str], seed: int) -> None:
    usual, tight = bert_scorers
    candidates, references = zip(*((a, b) for a in lines for b in lines))
    scores = usual.score(candidates, references)
    order = list(range(len(scores)))
    random.Random(seed).shuffle(order)
    again = usual.score([candidates[i] for i in order], [references[i] for i in order])
    other = tight.score(candidates, references)
    assert difference(rows(other), rows(scores)) <= 1e-6, "batches of one text, no cache"
    for place, index in enumerate(order):
        assert again[place] == scores[index], "order"
    for index, score in enumerate(scores):
        first, second = candidates[index], references[index]
        mirrored = scores[list(zip(candidates, references)).index((second, first))]
        assert mirrored.precision == pytest.approx(score.recall, abs=1e-6)
        if first == second:
            assert score.f1 == pytest.approx(1 if first.strip() else 0, abs=1e-5)
        assert score == NOTHING or -1 <= score.precision <= 1 + 1e-5


@pytest.fixture(scope="session")
def bert_scorers(bert: Path) -> tuple[BertScore, BertScore]:
    return BertScore(bert), BertScore(bert, tokens_per_batch=1, cache_bytes=0)


def test_references_are_encoded_once_for_all_models(bert: Path) -> None:
    scorer = BertScore(bert)
    papers = [text(900, seed) for seed in range(4)]
    questions = [papers[number % 4] for number in range(20)]
    answers = [text(20 + number, 100 + number) for number in range(60)]
    scorer.score(answers, questions * 3)
    different = {*answers, *papers}
    assert scorer.statistics.texts == len(different)
    short = [text(30, 200 + number) for number in range(20)]
    scorer.score(answers, short * 3)
    different |= {*short}
    assert scorer.statistics.texts == len(different), "the answers are still there"
    assert (scorer.windowed, scorer.windowed_rate, scorer.truncated) == (4, 4 / len(different), 0)


@pytest.mark.parametrize("longest", [60, 450])
def test_little_is_padded(bert: Path, longest: int) -> None:
    scorer = BertScore(bert)
    scorer.score(*pairs(300, longest))
    assert 1 <= scorer.statistics.padding <= 1.25
    assert scorer.statistics.padded_tokens / scorer.statistics.real_tokens == scorer.statistics.padding


def test_a_small_cache_gives_the_same_numbers(bert: Path) -> None:
    candidates, references = pairs(40, 800)
    references = [references[number // 8] for number in range(40)]
    expected = rows(BertScore(bert).score(candidates, references))
    scorer = BertScore(bert, cache_bytes=100_000)
    assert difference(rows(scorer.score(candidates, references)), expected) <= 1e-6
    assert sum(one.size for one in scorer._cache.values()) <= 100_000 + 1502 * 32 * 4
    assert scorer.statistics.texts == len({*candidates, *references}), (
        "a reference that spans two chunks is not encoded again"
    )


def test_lower_precision_only_if_asked(bert: Path) -> None:
    import torch

    candidates, references = pairs(8, 100)
    exact: Any = BertScore(bert)
    rough: Any = BertScore(bert, dtype="bfloat16")
    assert difference(rows(rough.score(candidates, references)), rows(exact.score(candidates, references))) < 0.05
    assert (exact.encoder.model.dtype, rough.encoder.model.dtype) == (torch.float32, torch.bfloat16)
