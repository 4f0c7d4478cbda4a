"""A real vLLM server on the CPU with a small real model over HTTP: all 16 kinds, the client killed, the server killed.

The model's weights are random, so what it writes means nothing; that it is JSON is the server's structured output.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path

import psutil
import pytest

from nemo_kcpt.environments import serve_python
from nemo_kcpt.files import read_jsonl
from nemo_kcpt.llm.journal import DONE, Journal
from nemo_kcpt.llm.vllm import server_command
from nemo_kcpt.records.kinds import KINDS
from nemo_kcpt.runs import read_manifest
from nemo_kcpt.synthesis.config import Config
from tests.evaluation.small import make_tokenizer
from tests.synthesis.papers import corpus, paper
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(serve_python() is None, reason="no serve environment; make setup-serve"),
]
PAPERS = 16


def make_model(folder: Path) -> int:
    """A tiny Llama with room for our prompts; returns the token of a quotation mark."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    make_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return int(tokenizer.encode('"', add_special_tokens=False)[-1])


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.timeout(1200)
def test_all_kinds_through_kills_of_client_and_server(tmp_path: Path) -> None:
    quote = make_model(tmp_path / "model")
    folder = corpus(tmp_path / "corpus", [paper(number, text="カスミは手法である。" * 30) for number in range(PAPERS)])
    out = tmp_path / "out"
    # Greedy, since vLLM 0.32 on a CPU cannot sample with a seed; the bias lets the untrained model end its strings.
    keys = {
        "corpus": folder,
        "out": out,
        "model": tmp_path / "model",
        "temperature": 0,
        "max_tokens": 400,
        "window": 8192,
        "concurrency": 2,
        "retries": 2,
        "without": "[all]",
        "extra_body": f"{{logit_bias: {{'{quote}': 6}}}}",
    }
    words = [f"{name}={value}" for name, value in keys.items()]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    config = Config(
        corpus=folder,
        out=out,
        teacher="vllm",
        model=str(tmp_path / "model"),
        gpu_memory=0.05,
        window=8192,
        max_tokens=400,
    )
    python = serve_python()
    assert python is not None

    def answered() -> int:
        if not (out / "journal.sqlite").exists():
            return 0
        with Journal(out / "journal.sqlite", read_only=True) as journal:
            return sum(row["requests"] for row in journal.totals() if row["status"] == DONE)

    def client(*more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "nemo_kcpt.cli", "synthesize", *words, *more]
        environment = {**os.environ, "OPENAI_API_KEY": ""}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            server_command(python, config.llm(), port),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=tmp_path,
        )
    try:
        wait_for(lambda: healthy(url) or server.poll() is not None, 400)
        assert server.poll() is None, (tmp_path / "server.log").read_text()[-3000:]
        over_http = ("teacher=openai", f"base_url={url}/v1")
        first = client(*over_http)
        wait_for(lambda: answered() >= 20 or first.poll() is not None, 100)
        first.send_signal(signal.SIGKILL)
        printed, _ = first.communicate()
        at_kill = answered()
        assert 20 <= at_kill < PAPERS * len(KINDS), printed
        second = client(*over_http)
        wait_for(lambda: answered() >= at_kill + 20 or second.poll() is not None, 100)
        os.killpg(server.pid, signal.SIGKILL)
        printed, _ = second.communicate(timeout=200)
        assert second.returncode == 1 and "no server answers" in printed, printed
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    before = answered()
    assert at_kill + 20 <= before < PAPERS * len(KINDS)
    third = client("teacher=vllm", "gpu_memory=0.05")  # the same requests, so the journal's answers count
    children = wait_for(lambda: [one.pid for one in psutil.Process(third.pid).children(recursive=True)], 60)
    printed, _ = third.communicate(timeout=500)
    assert third.returncode == 0, printed + (out / "vllm.log").read_text()[-3000:]
    assert not any(psutil.pid_exists(pid) for pid in children)
    records = list(read_jsonl(out / "synthetic.jsonl"))
    assert Counter(record["kind"] for record in records) == Counter(dict.fromkeys(KINDS, PAPERS))
    counts = read_manifest(out)["counts"]
    assert counts["calls"] == PAPERS * len(KINDS) and counts["failed"] == 0
    with Journal(out / "journal.sqlite", read_only=True) as journal:
        totals = journal.totals()
        done = [row for row in totals if row["status"] == DONE]
    assert sum(row["requests"] for row in done) == PAPERS * len(KINDS)
    cached, prompts = (sum(row[name] for row in done) for name in ("cached_tokens", "prompt_tokens"))
    print(
        f"{before} calls before the server was killed, {at_kill} before the client; {cached / prompts:.0%} from cache"
    )
    assert cached > 0.3 * prompts  # the papers are short; the wait for two processes takes some hits away
