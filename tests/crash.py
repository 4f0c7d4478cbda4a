"""Every moment at which a run could die: each is tried, in a process of its own, and the run is then resumed.

A point is whatever changes files below a folder: opening to write, rename, delete, fsync, a commit of SQLite. Python
announces most of them to an audit hook (`sys.addaudithook`), whatever function was called, so the product needs no hook
of its own and new code is covered without knowing of this; fsync and SQLite are wrapped. A hook cannot be taken away
again, which is why it is only ever set in a fork.

Before each point the run dies in two ways. `KILL` is SIGKILL: what was handed to the system is kept. `CUT` is a power
cut, as hard on the files as POSIX lets it be: bytes that no fsync has flushed are lost but for their first half, and a
rename is undone unless its folder was flushed after it. (SQLite's own files are left alone: it flushes them itself.)

`crash_everywhere` calls `work` once in this process, which imports what it needs, so that a death costs milliseconds.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import sqlite3
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.files import sha256_file

KILL, CUT = "kill", "power cut"
NO_POINT = -1
END = "end"
"""The last point: the run has said that it is finished."""
HANGS = 120
"""Seconds after which a fork that has not ended is killed."""
TIMES = ("seconds", "created")
"""Of a manifest: what differs between equal runs; and among the counts times, and who gave the last answers."""


@dataclass
class Probe:
    """Counts the points of this process below `root`, and ends it at one of them."""

    root: Path
    stop: int = NO_POINT
    way: str = KILL
    safe: Sequence[str] = ()
    """Patterns of files that a power cut leaves alone: what writes them, another program, flushes them itself."""
    log: Path | None = None
    """Each point is told here, one line each."""
    passed: int = 0
    flushed: dict[int, int] = field(default_factory=dict)
    """Inode -> bytes that are safe from a power cut."""
    renames: list[tuple[Path, Path, Path | None]] = field(default_factory=list)
    """Source, target and the target's former content, of each whose folder was not flushed since."""
    _lock: Any = field(default_factory=threading.RLock)
    _inside: Any = field(default_factory=threading.local)

    def install(self) -> None:
        """From now on for good."""
        self.root = self.root.resolve()
        for path in self.root.rglob("*"):
            if path.is_file():
                self.flushed[path.stat().st_ino] = path.stat().st_size  # was there before: long on disk
        flush = os.fsync

        def fsync(descriptor: Any) -> None:
            number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
            path = Path(os.readlink(f"/proc/self/fd/{number}"))
            self.point("fsync", path)
            flush(descriptor)
            with self._lock:
                status = os.fstat(number)
                self.flushed[status.st_ino] = status.st_size
                if path.is_dir():
                    self.renames = [one for one in self.renames if one[1].parent != path]

        os.fsync = os.fdatasync = fsync  # type: ignore[assignment]
        _wrap_sqlite(self)
        sys.addaudithook(self._heard)

    def _heard(self, event: str, told: tuple[Any, ...]) -> None:
        if event == "open" and not _writes(told[1], told[2]):
            return
        if event not in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate"):
            return
        if isinstance(told[0], int) or getattr(self._inside, "now", False):
            return
        self._inside.now = True
        try:
            folder = told[1] if event in ("os.remove", "os.rmdir") else told[2] if event == "os.rename" else -1
            path = _absolute(told[0], folder)
            target = _absolute(told[1], told[3]) if event == "os.rename" else path
            if self.root not in (*path.parents, *target.parents, target) or target.name == ".lock":
                return
            if path.exists() == (event == "os.mkdir") and event in ("os.mkdir", "os.remove"):
                return  # it will fail, and change nothing
            self.point(event, target)
            if event == "os.rename":
                self._renamed(path, target)
            elif event == "os.remove" and path.exists():
                self.flushed.pop(path.stat().st_ino, None)
        finally:
            self._inside.now = False

    def _renamed(self, path: Path, target: Path) -> None:
        kept = None
        if target.is_file():
            kept = self.root.with_name(f"{self.root.name}.before-{self.passed}")
            os.link(target, kept)
        self.renames.append((path, target, kept))

    def point(self, what: str, path: Path) -> None:
        """The run is about to do this; it may be its end."""
        with self._lock:
            if self.log is not None:
                with self.log.open("a") as stream:
                    stream.write(f"{what} {path.name}{'/' if path.is_dir() else ''}\n")
            if self.passed == self.stop:
                self._inside.now = True
                if self.way == CUT:
                    self._cut()
                os.kill(os.getpid(), signal.SIGKILL)
            self.passed += 1

    def _cut(self) -> None:
        for path in self.root.rglob("*"):
            if path.is_file() and not any(path.match(pattern) for pattern in ("*.sqlite*", *self.safe)):
                status = path.stat()
                safe = self.flushed.get(status.st_ino, 0)
                if status.st_size > safe:
                    os.truncate(path, safe + (status.st_size - safe) // 2)
        for source, target, kept in reversed(self.renames):
            if target.exists() and source.parent.is_dir():
                target.rename(source)
                if kept is not None:
                    os.link(kept, target)


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return bool(set(mode) & set("wax+"))
    return bool(flags & (os.O_WRONLY | os.O_RDWR))


def _absolute(path: Any, folder: Any) -> Path:
    path = os.fsdecode(path)
    if isinstance(folder, int) and folder >= 0 and not os.path.isabs(path):
        path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
    return Path(os.path.abspath(path))


def _wrap_sqlite(probe: Probe) -> None:
    connect = sqlite3.connect

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
            word = sql.split(None, 1)[0].upper()
            if word == "COMMIT" or (word in ("INSERT", "DELETE", "UPDATE", "CREATE") and not self.in_transaction):
                probe.point(f"sqlite {word}", Path("journal"))
                found = super().execute(sql, *given)
                probe.point(f"sqlite after {word}", Path("journal"))
                return found
            return super().execute(sql, *given)

    def connecting(*given: Any, **more: Any) -> sqlite3.Connection:
        return connect(*given, **{"factory": Connection, **more})

    sqlite3.connect = connecting  # type: ignore[assignment]


def _be_alone() -> None:
    """In a fork: rely on no threads of the process it is a fork of, and do not wait for ever where that fails."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(HANGS)


def in_fork(work: Callable[[], None], probe: Probe | None = None) -> int:
    """Run `work` in a fork; its exit code, or the negative number of the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _be_alone()
            if probe is not None:
                probe.install()
            work()
            if probe is not None:
                probe.point(END, probe.root)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def manifests(folder: Path) -> list[Path]:
    """Those in and below a folder, each held against the files that it names: what it says is finished is whole."""
    found = sorted(folder.rglob("manifest.json"))
    for path in found:
        try:
            told = json.loads(path.read_text())["outputs"]
        except ValueError as error:
            raise AssertionError(f"{path} is torn: {error}") from error
        for name, entry in told.items():
            assert sha256_file(path.parent / name) == entry["sha256"], f"{path} tells of another {name}"
    return found


def contents(folder: Path, leave_out: Sequence[str] = ()) -> dict[str, str]:
    """Name -> hash of everything in and below a folder but locks; of manifests what is not a time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or path.name == ".lock" or any(Path(name).match(pattern) for pattern in leave_out):
            continue
        if path.name == "manifest.json":
            manifest = json.loads(path.read_text())
            counts = manifest.get("counts", {})
            varying = {key for key in counts if "second" in key or key == "engine"}
            manifest["counts"] = {key: value for key, value in counts.items() if key not in varying}
            found[name] = json.dumps({key: value for key, value in manifest.items() if key not in TIMES})
        else:
            found[name] = sha256_file(path)
    return found


def _says_nothing(way: str, points: Sequence[str], number: int) -> bool:
    """Whether what the run that follows can see at a point is what it can see at the point before it.

    A flush changes nothing for a killed process. A power cut changes what is there since a rename or a flush of a
    folder, or what an open file has got since it was flushed; a temporary file is deleted however much it holds.
    """
    here, before = points[number], points[number - 1] if number else ""
    if way == KILL:
        return before.startswith("fsync")
    if here.startswith(("fsync", END)) and not here.endswith((".tmp", "/")):
        return before.startswith("fsync") and not before.endswith("/")
    return not (before.startswith("os.rename") or before.endswith("/"))


def crash_everywhere(
    root: Path,
    work: Callable[[], None],
    *,
    leave_out: Sequence[str] = (),
    paid: Path | None = None,
    under_way: int = 0,
    again: str = "",
    ways: Sequence[str] = (KILL, CUT),
    safe: Sequence[str] = (),
    prepare: Callable[[], None] = lambda: None,
    at: str = "",
    least: int = 1,
) -> list[str]:
    """Let `work` die at each of its points, resume it, and hold what it made against an undisturbed run's.

    After each death every manifest names whole files, and after the last one everything is there. After the resumed
    run the same files are there with the same bytes, and nothing else, and no more than `under_way` calls were paid for
    twice.

    Args:
        root: the folder in which `work` writes; it is deleted before each run.
        work: the run.
        leave_out: patterns of files whose bytes depend on the time.
        paid: a file to which `work` appends a line for each call that costs money.
        under_way: calls at a time.
        again: a call that every run makes, as one that always fails.
        ways: of dying.
        safe: patterns of files that a power cut leaves alone.
        prepare: called before each first run, with nothing there.
        at: text of the points at which to die, where others are another test's.
        least: points that there are at least; else the probe has missed what it was to see.

    Returns:
        The points.
    """
    log = root.with_name(f"{root.name}.points")

    def fresh() -> None:
        shutil.rmtree(root, ignore_errors=True)
        for left in (log, paid, *root.parent.glob(f"{root.name}.before-*")):
            if left is not None:
                left.unlink(missing_ok=True)
        root.mkdir(parents=True)
        prepare()

    def calls() -> Counter[str]:
        found = paid.read_text().splitlines() if paid is not None and paid.is_file() else []
        return Counter(call for call in found if call != again)

    fresh()
    work()  # imports what it imports
    gc.freeze()  # a fork that collects garbage copies the memory that it looks at; so do those of later tests
    fresh()
    assert in_fork(work, Probe(root, log=log)) == 0
    points = log.read_text().splitlines()
    assert len(points) >= least, points
    whole, once = contents(root, leave_out), calls()
    assert manifests(root) and in_fork(work) == 0 and contents(root, leave_out) == whole and calls() == once
    for way in ways:
        for number, what in enumerate(points):
            if at not in what or _says_nothing(way, points, number):
                continue
            where = f"{way} before point {number}, {what}"
            fresh()
            code = in_fork(work, Probe(root, stop=number, way=way, safe=safe))
            assert code in (-signal.SIGKILL, 0), f"{where}: exit code {code}"
            manifests(root)
            if what.startswith(END):
                assert contents(root, leave_out) == whole, f"{where}: what was finished is not there any more"
            assert in_fork(work) == 0, f"{where}: the resumed run failed"
            found = contents(root, leave_out)
            other = [name for name in {*whole, *found} if whole.get(name) != found.get(name)]
            assert not other, f"{where}: {[(whole.get(name), found.get(name)) for name in other]} of {other}"
            made = calls()
            assert set(made) == set(once), where
            twice = (made - once).total()
            assert twice <= under_way, f"{where}: {twice} calls were paid for twice"
    fresh()
    shutil.rmtree(root)
    return points
