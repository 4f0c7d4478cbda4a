"""A copy of what an earlier commit made, and the server that it asked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stale import commands
from tests.synthesis.fake_server import FakeServer

MADE = Path(__file__).resolve().parent.parent / "fixtures/stale"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copy, in which this process stands: the paths of the commands are relative."""
    folder = tmp_path / "made"
    shutil.copytree(MADE, folder)
    commands.date(folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return folder


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """The stub that the earlier commit asked."""
    with FakeServer(commands.reply) as server:
        yield server
