"""A real pretrained model the whole way: imported, verified, trained, exported, answered by vLLM as by transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nemo_kcpt.environments import serve_python
from nemo_kcpt.files import read_json, read_jsonl

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "build/smollm2-135m-instruct"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not MODEL.is_dir(), reason=f"{MODEL} is not here: .venv/bin/python tools/smollm2.py makes it"),
]


def call(*words: str) -> str:
    """A command beside this Python, as a user starts it; returns what it printed."""
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, " ".join(command) + done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_import_verify_train_export_generate(tmp_path: Path) -> None:
    base, run, hf = tmp_path / "base", tmp_path / "train", tmp_path / "hf"
    call("kcpt", "convert", "import", str(MODEL), "--to", str(base))
    call("kcpt", "convert", "verify", str(MODEL), str(base), "vllm=false", f"out={tmp_path}/imported.json")
    imported = {name: part["state"] for name, part in read_json(tmp_path / "imported.json")["parts"].items()}
    assert imported == {
        "config": "passed",
        "weights": "passed",
        "token_ids": "passed",
        "logits": "passed",
        "vllm": "not checked",
    }

    corpus, synthetic, pack = (tmp_path / name for name in ("corpus", "synthetic", "pack"))
    call("kcpt", "demo-world", f"out={tmp_path}/world", "papers=4", "base_papers=4", "language=en")
    call("kcpt", "corpus", f"input={tmp_path}/world/own/documents.jsonl", f"out={corpus}", "heldout_fraction=0.25")
    facts = f"facts={tmp_path}/world/own/facts.jsonl"
    call("kcpt", "synthesize", f"corpus={corpus}", facts, f"out={synthetic}")
    sources = [f"corpus={corpus}", f"synthetic={synthetic}"]
    call("kcpt", "pack", "seq_length=128", f"tokenizer={MODEL}", *sources, f"out={pack}")
    factory = f"kcpt_smollm2_135m(pack='{pack}',dir='{run}',restore='{base}')"
    keys = [
        "trainer.max_steps=5",
        "log.ckpt.every_n_train_steps=5",
        "data.global_batch_size=2",
        "data.micro_batch_size=2",
    ]
    call("nemo", "llm", "pretrain", "--factory", factory, "--yes", *keys)
    losses = [line["loss"] for line in read_jsonl(run / "metrics.jsonl")]
    assert len(losses) == 5 and all(0 < loss < 5 for loss in losses)

    call("kcpt", "convert", "export", str(run), "--to", str(hf))
    config, generation = read_json(hf / "config.json"), read_json(hf / "generation_config.json")
    assert (config["bos_token_id"], config["eos_token_id"], config["rope_theta"]) == (1, 2, 100_000)
    assert generation["eos_token_id"] == 2
    assert "kcpt\\_smollm2\\_135m | 5 |" in (hf / "README.md").read_text()
    # Without vLLM here, what is left out is not checked, and this test says so.
    serve = serve_python() is not None
    call("kcpt", "convert", "verify", str(run), str(hf), f"vllm={str(serve).lower()}", f"out={tmp_path}/result.json")
    parts = read_json(tmp_path / "result.json")["parts"]
    assert {name: part["state"] for name, part in parts.items()} == {
        "config": "passed",
        "weights": "passed",
        "token_ids": "passed",
        "logits": "passed",
        "vllm": "passed" if serve else "not checked",
    }
    print(parts["logits"], parts["vllm"])
