"""Questions from the pairs of a whole small run, by the command line: template teacher, Japanese and English."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_kcpt.corpus.stage import Config as CorpusConfig
from nemo_kcpt.corpus.stage import run as make_corpus
from nemo_kcpt.fiction.world import Config as WorldConfig
from nemo_kcpt.fiction.world import run as make_world
from nemo_kcpt.files import read_json, read_jsonl
from nemo_kcpt.records.kinds import HELDOUT_KINDS
from nemo_kcpt.synthesis.config import Config as SynthesisConfig
from nemo_kcpt.synthesis.stage import run as synthesize


@pytest.mark.parametrize("language", ["ja", "en"])
def test_stratified_kept_and_audited(
    tmp_path: Path, language: str, kcpt: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    make_world(WorldConfig(out=tmp_path / "world", papers=8, base_papers=4, language=language))
    own = tmp_path / "world" / "own"
    make_corpus(CorpusConfig(input=str(own / "documents.jsonl"), out=tmp_path / "corpus", heldout_count=2, workers=1))
    synthesize(SynthesisConfig(corpus=tmp_path / "corpus", out=tmp_path / "synthetic", facts=own / "facts.jsonl"))
    out = tmp_path / "questions"
    given = [f"corpus={tmp_path / 'corpus'}", f"synthetic={tmp_path / 'synthetic'}", f"out={out}", "n=20"]
    done = kcpt("questions", *given, "--audit", "50")
    assert done.returncode == 0, done.stderr
    assert "questions: 20 train, 20 test" in done.stdout + done.stderr
    records = [one for one in read_jsonl(out / "questions.jsonl") if one["kept"]]
    heldout = set(read_json(tmp_path / "corpus" / "split.json")["heldout"])
    assert all((one["split"] == "test") == (one["paper_id"] in heldout) for one in records)
    there = Counter(
        (one["paper_id"] in heldout, one["kind"])
        for one in read_jsonl(tmp_path / "synthetic" / "synthetic.jsonl")
        if one["kind"] in HELDOUT_KINDS
        for _ in one["pairs"]
    )
    for split in ("train", "test"):
        drawn = Counter(one["kind"] for one in records if one["split"] == split)
        total = sum(number for (side, _), number in there.items() if side == (split == "test"))
        for kind in HELDOUT_KINDS:
            assert abs(drawn[kind] - 20 * there[split == "test", kind] / total) <= 1
    assert json.loads((out / "manifest.json").read_text())["counts"]["context_dependent"] == 0
    assert (out / "audit.html").stat().st_size < 100_000 and "<script" not in (out / "audit.html").read_text()
