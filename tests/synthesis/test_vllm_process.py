"""The server that teacher=vllm starts: its processes end with the run, however that ends. The server here is a stub."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nemo_kcpt.environments import SERVE_VARIABLE
from nemo_kcpt.llm.openai import OpenAITeacher
from nemo_kcpt.llm.request import TeacherFault, TeacherReply, TeacherRequest, request_sha256
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.llm.vllm import KEY, VllmTeacher
from nemo_kcpt.synthesis.config import Config
from tests.waiting import is_running, wait_for

REQUEST = TeacherRequest("p0", "summary", "ja", ({"role": "user", "content": "要約して"},))
STUB = """
import json, os, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
folder = Path(__file__).parent
engine = subprocess.Popen(["sleep", "300"])  # as vLLM's engine: a process of its own in the same group
(folder / "pids.part").write_text(f"{os.getpid()} {engine.pid}")
(folder / "pids.part").rename(folder / "pids")
if (folder / "broken").exists():
    print("CUDA out of memory;", os.environ["VLLM_API_KEY"], flush=True)
    sys.exit(7)
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self): self.say({})
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if self.headers["authorization"] != "Bearer " + os.environ["VLLM_API_KEY"]: return self.say({}, 401)
        message = {"role": "assistant", "content": "ok"}
        self.say({"id": "c", "model": "stub", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    def say(self, body, status=200):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""
CLIENT = """
import asyncio, sys
from pathlib import Path
from nemo_kcpt.synthesis.config import Config
from nemo_kcpt.llm.vllm import VllmTeacher
teacher = VllmTeacher(Config(corpus=Path("c"), out=Path(sys.argv[1]), teacher="vllm", model="stub").llm())
async def wait():
    await teacher.prepare()
    print("ready", flush=True)
    await asyncio.sleep(300)
asyncio.run(wait())
"""


@pytest.fixture(autouse=True)
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A python that runs the stub instead of vLLM."""
    (tmp_path / "stub.py").write_text(STUB)
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path / "stub.py"} "$@"\n')
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setenv(SERVE_VARIABLE, str(tmp_path / "python"))
    monkeypatch.setenv(KEY, "")  # so that what the teacher sets is taken back


def config(folder: Path) -> Llm:
    return Config(corpus=Path("c"), out=folder / "out", teacher="vllm", model="stub", retries=8).llm()


def test_a_greedy_request_is_made_again_without_a_seed(tmp_path: Path) -> None:
    """vLLM 0.32 cannot sample with one on a CPU."""
    teacher = VllmTeacher(replace(config(tmp_path), temperature=0.0))
    assert teacher.is_greedy and teacher.body(REQUEST)["seed"] == 0
    again = teacher.body(replace(REQUEST, temperature=0.7))
    assert again["temperature"] == 0.7 and "seed" not in again


def started(folder: Path) -> list[int]:
    """The server and its engine."""
    wait_for(lambda: (folder / "pids").exists())
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def test_a_killed_run_leaves_no_engine_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLIENT, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None and client.stdout.readline() == "ready\n"
        pids = started(tmp_path)
        assert all(map(is_running, pids))
        client.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(map(is_running, pids)), 10)


def test_the_run_s_end_is_the_server_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # a cluster's proxy is not asked for our own server

    async def once() -> TeacherReply:
        teacher = VllmTeacher(config(tmp_path))
        try:
            await teacher.prepare()
            return await teacher.complete(REQUEST)
        finally:
            await teacher.close()

    assert asyncio.run(once()).text == "ok"
    wait_for(lambda: not any(map(is_running, started(tmp_path))), 10)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()

    async def once() -> None:
        teacher = VllmTeacher(config(tmp_path))
        try:
            await teacher.prepare()
        finally:
            await teacher.close()

    with pytest.raises(TeacherFault, match="ended with code 7.*\n.*CUDA out of memory") as caught:
        asyncio.run(once())
    assert caught.value.fatal and os.environ[KEY] not in str(caught.value) and "[key]" in str(caught.value)
    wait_for(lambda: not any(map(is_running, started(tmp_path))), 10)


def test_a_server_that_dies_is_not_waited_for(tmp_path: Path) -> None:
    async def once() -> TeacherFault:
        teacher = VllmTeacher(config(tmp_path))
        try:
            await teacher.prepare()
            os.kill(started(tmp_path)[0], signal.SIGKILL)
            await asyncio.wait_for(teacher.complete(REQUEST), 20)  # eight attempts would take two minutes
        except TeacherFault as fault:
            return fault
        finally:
            await teacher.close()
        raise AssertionError("a dead server answered")

    fault = asyncio.run(once())
    assert fault.name == "server_ended" and fault.fatal and "code -9" in str(fault)
    wait_for(lambda: not any(map(is_running, started(tmp_path))), 10)


def test_its_answers_are_those_of_any_server_with_the_model(tmp_path: Path) -> None:
    """Requests have the same names over HTTP, so a journal that was begun there is gone on with."""
    own = VllmTeacher(config(tmp_path))
    other = OpenAITeacher(replace(config(tmp_path), engine="openai", base_url="http://127.0.0.1:9/v1"))
    names = {request_sha256(one.model, one.params, REQUEST) for one in (own, other)}
    assert len(names) == 1
