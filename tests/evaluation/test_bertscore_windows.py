"""Long texts: which windows are read, that they form the set they should, and that memory stays flat."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.evaluation.scoring.bertscore import BertScore
from nemo_kcpt.evaluation.scoring.bertscore import matching as matching_module
from nemo_kcpt.evaluation.scoring.bertscore.windows import Window, plan_batches, plan_windows
from tests.evaluation.encoders import make_encoder, text

pytestmark = pytest.mark.usefixtures("one_thread")


def context(token: int, window: Window, length: int) -> float:
    """Tokens between `token` and the nearer edge of its window; the text's own ends are no edges."""
    if not window.start <= token < window.end:
        return -1
    left = token - window.start if window.start > 0 else np.inf
    right = window.end - 1 - token if window.end < length else np.inf
    return min(left, right)


@given(st.integers(0, 400), st.integers(1, 60), st.floats(0, 0.5))
def test_windows(length: int, capacity: int, share: float) -> None:
    overlap = int(capacity * share)
    windows = plan_windows(length, capacity, overlap)
    kept = [token for window in windows for token in range(window.first, window.last)]
    assert kept == list(range(length)), "every token once, in order"
    assert all(0 <= window.start <= window.first <= window.last <= window.end <= length for window in windows)
    if length > capacity:
        assert all(window.end - window.start == capacity for window in windows)
        assert all(after.start <= before.end - overlap for before, after in pairwise(windows))
        assert len(windows) - 1 < (length - overlap) / (capacity - overlap), "one fewer would not reach"
    for window in windows:
        for token in range(window.first, window.last):
            assert context(token, window, length) == max(context(token, other, length) for other in windows)


@given(st.lists(st.integers(1, 600), max_size=80), st.integers(1, 2000))
def test_batches(lengths: list[int], tokens_per_batch: int) -> None:
    batches = plan_batches(lengths, tokens_per_batch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        longest, shortest = lengths[batch[0]], lengths[batch[-1]]
        assert len(batch) == 1 or longest * len(batch) <= tokens_per_batch
        assert shortest >= min(0.9 * longest, longest - 4)
        assert all(shortest <= lengths[index] <= longest for index in batch)


def naive(folder: Path, words: str, limit: int, overlap: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (tokens, hidden) and weights of a text, window by window and token by token, in plain numpy."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    ids = tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"]
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    windows = plan_windows(len(ids), limit - 2, overlap)
    outputs = []
    for window in windows:
        with torch.no_grad():
            given_ids = torch.tensor([[first, *ids[window.start : window.end], last]])
            outputs.append(model(given_ids)[0][0].double().numpy())
    rows = [outputs[0][0]]
    for token in range(len(ids)):
        best = max(range(len(windows)), key=lambda index: context(token, windows[index], len(ids)))
        rows.append(outputs[best][1 + token - windows[best].start])
    rows.append(outputs[-1][-1])
    found = np.stack(rows)
    return found / np.linalg.norm(found, axis=1, keepdims=True), np.array([0] + [1] * len(ids) + [0])


@pytest.mark.parametrize("block", [7, 2048])
def test_a_windowed_document_is_one_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(matching_module, "BLOCK", block)
    folder = make_encoder(tmp_path / "bert", limit=64)
    document, answers = text(700, 1), [text(40, 2), text(200, 3)]
    scorer = BertScore(folder)
    scores = scorer.score(answers, [document] * 2)
    assert (scorer.windowed, scorer.truncated) == (2, 0)
    overlap = int(62 * 0.25)
    reference, weights = naive(folder, document, 64, overlap)
    for answer, score in zip(answers, scores):
        candidate, own = naive(folder, answer, 64, overlap)
        similarity = candidate @ reference.T
        precision = np.average(similarity.max(1), weights=own)
        recall = np.average(similarity.max(0), weights=weights)
        assert score.precision == pytest.approx(precision, abs=1e-5)
        assert score.recall == pytest.approx(recall, abs=1e-5)
        assert score.f1 == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-5)


def test_a_text_within_the_limit_takes_one_window(tmp_path: Path) -> None:
    """And one token more takes two; a document's end counts as much as its beginning."""
    scorer = BertScore(make_encoder(tmp_path / "bert", limit=64))
    scorer.score(["あ" * 62], ["い" * 62])
    assert (scorer.windowed, scorer.statistics.windows) == (0, 2)
    scorer.score(["あ" * 63], ["い" * 62])
    assert (scorer.windowed, scorer.statistics.windows) == (1, 4)
    (score,) = scorer.score(["手法である。"], [f"{text(900)}手法である。"])
    (other,) = scorer.score(["手法である。"], [f"{text(900)}"])
    assert score != other


MEMORY = """
import json, resource, sys, time
from nemo_kcpt.evaluation.scoring.bertscore import BertScore
scorer = BertScore(sys.argv[1])
answer, short, long = json.loads(open(sys.argv[2]).read())
scorer.score([long[:2000]], [short])
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
scores = scorer.score([answer] * 2, [short, long])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
numbers = [[one.precision, one.recall, one.f1] for one in scores]
print(json.dumps([(after - before) / 1024, time.perf_counter() - started, numbers, scorer.statistics.windows]))
"""


def test_an_answer_of_200000_characters(tmp_path: Path, root: Path) -> None:
    """Its similarities to 4,000 characters alone would take 3 GiB at once."""
    folder = make_encoder(tmp_path / "bert")
    texts = [text(200_000, 3), text(50, 4), text(4_000, 5)]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    command = [sys.executable, "-W", "ignore", "-c", MEMORY, str(folder), str(tmp_path / "texts.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    mebibytes, seconds, numbers, windows = json.loads(done.stdout.splitlines()[-1])
    assert mebibytes < 500, f"{mebibytes:.0f} MiB"
    assert seconds < 120, f"{seconds:.0f} s"
    assert windows > 400
    assert all(0 < number <= 1 + 1e-5 for three in numbers for number in three)


def test_memory_does_not_follow_the_number_of_texts(tmp_path: Path) -> None:
    scorer: Any = BertScore(make_encoder(tmp_path / "bert"), cache_bytes=200_000)
    for start in range(0, 60, 20):
        scorer.score([text(50, start + n) for n in range(20)], [text(600, 100 + start + n) for n in range(20)])
        assert sum(one.size for one in scorer._cache.values()) <= 200_000 + 602 * 32 * 4
