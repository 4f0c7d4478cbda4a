"""A run of `kcpt synthesize` that dies at any of its writes ends like one that did not, and pays little twice."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.llm import journal_damage
from nemo_kcpt.llm.journal import Journal, salvage
from nemo_kcpt.llm.request import TeacherReply, TeacherRequest
from nemo_kcpt.synthesis import calls, page, prompts, stage, teachers
from tests.crash import KILL, crash_everywhere
from tests.synthesis.fake_server import FakeServer
from tests.synthesis.papers import StubTeacher, corpus, paper
from tests.synthesis.test_batch_teacher import Batches
from tests.synthesis.test_journal import row

CONCURRENCY = 2
TIMES = ("journal.sqlite*", "synthesis.html", "synthesis.md", "synthesis.json")
"""What holds times."""


class NotingTeacher(StubTeacher):
    """Notes each call where a kill cannot undo it; one reply is cut off and has to be asked for again."""

    def __init__(self, paid: Path) -> None:
        super().__init__()
        self._paid = os.open(paid, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        os.write(self._paid, f"{request.paper_id} {request.kind} {request.seed}\n".encode())
        if request.kind == "qa_easy" and request.paper_id == "p1" and not request.seed:
            return TeacherReply('{"pairs": [', "length", {"prompt_tokens": 5})
        return await super().complete(request)


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of a small run. Prompts are read once and nothing is drawn: both take longer than the run."""
    loaded = prompts.load_prompts()
    monkeypatch.setattr(calls, "load_prompts", lambda **_: loaded)
    monkeypatch.setattr(page, "_plot", lambda *_: "")
    folder = corpus(tmp_path / "corpus", [paper(number) for number in range(2)])
    return {"corpus": folder, "out": tmp_path / "out", "kinds": ["qa_easy", "summary"], "concurrency": CONCURRENCY}


@pytest.fixture
def run(keys: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`kcpt synthesize` with a teacher that notes its calls."""
    monkeypatch.setattr(teachers, "make", lambda config: NotingTeacher(tmp_path / "paid"))
    return lambda **more: stage.run(stage.Config(**keys, teacher="openai", **more))


@pytest.fixture
def everywhere(tmp_path: Path) -> Callable[..., list[str]]:
    """Let a run die everywhere."""
    return functools.partial(
        crash_everywhere, tmp_path / "out", leave_out=TIMES, paid=tmp_path / "paid", under_way=CONCURRENCY
    )


def test_a_run(run: Callable[..., None], everywhere: Callable[..., list[str]]) -> None:
    points = everywhere(run, least=40)
    assert sum(point.startswith("sqlite COMMIT") for point in points) >= 3


def test_shards(run: Callable[..., None], everywhere: Callable[..., list[str]]) -> None:
    def all_of_it() -> None:
        run(shard="0/2")
        run(shard="1/2")
        run(merge=True)

    everywhere(all_of_it, ways=(KILL,), least=45)


def test_batches_are_submitted_once(
    keys: dict[str, Any], tmp_path: Path, everywhere: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with FakeServer() as server:
        api = Batches(server)
        create = server.routes["POST", "/v1/batches"]

        def noted(given: Any) -> Any:
            with (tmp_path / "paid").open("a") as stream:
                stream.write("batch\n")
            return create(given)

        def forget() -> None:
            api.files.clear()
            api.batches.clear()

        server.routes["POST", "/v1/batches"] = noted
        given = stage.Config(**keys, teacher="batch", base_url=server.url, model="stub", poll=0.001, retries=1)
        everywhere(lambda: stage.run(given), prepare=forget, under_way=0, ways=(KILL,), least=40)


def test_a_salvage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the rows that it has saved none is lost, also not if the next command does not ask for a salvage."""
    monkeypatch.setattr(journal_damage, "GIVE_UP", 2)
    out, path = tmp_path / "out", tmp_path / "out/journal.sqlite"
    made = tmp_path / "made.sqlite"
    with Journal(made) as journal:
        journal.add([row(number) for number in range(300)])
    damaged = made.read_bytes()[: made.stat().st_size // 2]

    def work() -> None:
        if damaged == (path.read_bytes() if path.is_file() else b""):
            salvage(path)
        with Journal(path) as journal:
            (out / "rows").write_text("".join(found.key for found in journal.rows()))
        (out / "manifest.json").write_text('{"outputs": {}}')

    points = crash_everywhere(
        out, work, prepare=lambda: void(path.write_bytes(damaged)), leave_out=("*.sqlite*",), ways=(KILL,)
    )
    assert sum(point.startswith("os.rename") for point in points) >= 3


def void(_: object) -> None:
    """Nothing."""


def test_what_is_committed_is_flushed(tmp_path: Path) -> None:
    """That SQLite flushes each commit is not seen by a kill; it is by what the journal asks of it."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert journal._db.isolation_level is None
