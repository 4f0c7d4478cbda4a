"""What several test files share: the repository's root, real data if it is there, and `kcpt` as a process."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import settings

from nemo_kcpt.logs import kept
from nemo_kcpt.threads import wait_briefly

wait_briefly()  # before torch is loaded, here and in whatever the tests start
settings.register_profile("kcpt", deadline=None)  # machines are noisy: how long an example takes says nothing
settings.load_profile("kcpt")

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("KCPT_TEST_DATA", ROOT.parent / "shared" / "data"))
WORKER_BYTES = 4 << 30
"""Memory that a worker of pytest-xdist may need: NeMo imported once, and a training."""


@pytest.hookimpl(optionalhook=True)  # Megatron-Bridge's environment has no pytest-xdist
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """`-n auto`: a worker a core, as far as memory goes; more than four find too little to do."""
    return max(1, min(os.cpu_count() or 1, psutil.virtual_memory().total // WORKER_BYTES, 4))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing that is imported is garbage: looking for some takes a sixth of the import, and part of every test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def same_logging() -> Iterator[None]:
    """The root logger is after a test as before it: `kcpt` in this process sets it up for a terminal."""
    with kept():
        yield


@pytest.fixture
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture
def shared_data() -> Path:
    """Real data, which is not part of the repository; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there: give KCPT_TEST_DATA=FOLDER, as tools/bench/data.py describes it")
    return DATA


@pytest.fixture
def kcpt() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `kcpt WORDS` as a process of its own."""

    def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nemo_kcpt.cli", *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}, timeout=600
        )

    return run


@pytest.fixture
def write_lines() -> Callable[[Path, Iterable[Mapping[str, Any]]], Path]:
    """Write records as JSON Lines without any of the project's own code."""

    def write(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
        return path

    return write
