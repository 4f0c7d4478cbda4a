"""Run folders and manifests: finished work is skipped, changed inputs are refused, one process a folder.

A stage's `manifest.json` holds a fingerprint of everything that shapes its output (config and input bytes, not paths
or times). Same fingerprint: done. Another one: refused with what changed, unless the user says `--redo`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import nemo_kcpt
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import canonical_json, read_json, sha256_file, sha256_files, sha256_text, sync, write_json

FORMAT = 1
"""Version of the run folder's layout; raised whenever a later version could misread an older folder."""

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Shard:
    """One of `of` equal shares of a stage's work, counted from 0."""

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `i/n`.

        Raises:
            ValueError: another form, or i is not below n.
        """
        match = re.fullmatch(r"(\d+)/([1-9]\d*)", text)
        if not match:
            raise ValueError(f"shard: '{text}' is not of the form i/n, as 0/4")
        if int(match[1]) >= int(match[2]):
            raise ValueError(f"shard: '{text}': shards are counted from 0 to n-1")
        return cls(int(match[1]), int(match[2]))

    def holds(self, name: str) -> bool:
        """Whether what has this name is in the shard; by the name alone, wherever it stands."""
        return int(sha256_text(name)[:15], 16) % self.of == self.index


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process alone; the operating system releases it when the process ends, however it ends.

    Raises:
        BadInput: another process holds it; the message names that process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise BadInput(
                f"{folder}: in use by another kcpt process (pid {holder}). "
                "Wait for it or stop it, or give another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def hash_input(path: Path) -> str:
    """Content hash of an input: of a stage's folder its manifest's fingerprint and output hashes, of a file its bytes.

    Raises:
        BadInput: it does not exist, or is a folder without a manifest.
    """
    if path.is_dir():
        if not (path / MANIFEST).is_file():
            raise BadInput(
                f"{path}: no {MANIFEST} in it, so the stage that makes it has not finished; run that stage first"
            )
        manifest = read_manifest(path)
        return sha256_text(canonical_json({"fingerprint": manifest["fingerprint"], "outputs": manifest["outputs"]}))
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    return sha256_file(path)


def hash_files(path: Path) -> str:
    """Identity of a user's own file, or of the files in a folder: their names and bytes; the path may begin with ~.

    Raises:
        BadInput: there is nothing.
    """
    path = path.expanduser()
    if path.is_file():
        return sha256_file(path)
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else []
    if not files:
        raise BadInput(f"{path}: no such file or folder, or nothing in it")
    return sha256_text(canonical_json([[file.name, digest] for file, digest in zip(files, sha256_files(files))]))


def read_manifest(folder: Path) -> dict[str, Any]:
    """A stage's manifest.

    Raises:
        BadInput: missing, unreadable, incomplete or written by another version of nemo_kcpt's run layout.
    """
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        actual = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise BadInput(
            f"{folder / MANIFEST}: written by another version of nemo_kcpt "
            f"(format {actual}, this version reads {FORMAT}). "
            "Use the version that made it, or make the folder again under another name"
        )
    for name in ("stage", "fingerprint", "config", "inputs", "outputs"):
        if name not in manifest:
            raise BadInput(
                f"{folder / MANIFEST}: field {name} is missing; the file was damaged. "
                "Delete the folder and run the stage again"
            )
    return manifest


@dataclass
class Stage:
    """One run of a stage on one output folder, handed out by `stage()`."""

    name: str
    out: Path
    config: dict[str, Any]
    inputs: dict[str, str]
    done: bool = False
    counts: dict[str, Any] = field(default_factory=dict)
    outputs: list[Path] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over stage name, config and input hashes."""
        return sha256_text(canonical_json({"stage": self.name, "config": self.config, "inputs": self.inputs}))

    def add(self, *paths: Path) -> None:
        """Name finished output files (in or below `out`); their sizes and hashes go into the manifest."""
        self.outputs.extend(paths)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} was {old.get(key, 'absent')}, now {new.get(key, 'absent')}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def _is_done(stage: Stage) -> bool:
    if not (stage.out / MANIFEST).is_file():
        return False
    manifest = read_manifest(stage.out)
    if manifest["fingerprint"] != stage.fingerprint:
        as_read = json.loads(canonical_json(stage.config))
        changed = _differences(manifest["config"], as_read)
        inputs = _differences(manifest["inputs"], stage.inputs)
        changed += [f"input {text.split(' was ')[0]} has other content" for text in inputs]
        raise BadInput(
            f"{stage.out}: holds the result of another run of {manifest['stage']}: "
            f"{'; '.join(changed) or 'another stage'}. "
            "Give --redo to make it again, or another out= folder to keep both"
        )
    return all(
        (stage.out / name).is_file() and (stage.out / name).stat().st_size == entry["bytes"]
        for name, entry in manifest["outputs"].items()
    )


@contextmanager
def stage(
    name: str,
    out: Path,
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, Path | str],
    redo: bool = False,
    scrap: str = "",
) -> Iterator[Stage]:
    """Run a stage on `out`, alone in it, with a manifest at the end.

    The body looks at `.done` (finished before, nothing to do), writes its files atomically, names them with `.add()`
    and fills `.counts`. The manifest is written last, so a killed stage is not taken for a finished one.

    Args:
        name: the stage's name.
        out: output folder, made if missing.
        config: what shapes the output, paths left out.
        inputs: name -> file or stage folder read by it, or a string that already identifies the content.
        redo: make it again though another or the same result is there.
        scrap: pattern of files in `out` that only an unfinished run needs, as a journal of answers. They are deleted
            once the manifest is on disk, not before: a run that is killed in between would have to pay again.

    Raises:
        BadInput: an input is missing, the folder holds the result of other inputs, or another process works in it.
    """
    started = time.perf_counter()
    hashes = {key: entry if isinstance(entry, str) else hash_input(entry) for key, entry in inputs.items()}
    with exclusive(out):
        current = Stage(name=name, out=out, config=dict(config), inputs=hashes)
        if redo:
            (out / MANIFEST).unlink(missing_ok=True)
        current.done = _is_done(current)
        if not current.done:
            for left in out.glob(".*.tmp"):  # by atomic_write of a killed run; this process is alone in the folder
                left.unlink()
        yield current
        if not current.done:
            _write_manifest(current, started)
        for path in out.glob(scrap) if scrap else ():
            path.unlink()


def _write_manifest(current: Stage, started: float) -> None:
    """Say that a stage is finished, once everything that it made is on disk."""
    out = current.out
    for path in sorted({*current.outputs, *(path.parent for path in current.outputs)}):
        sync(path)  # whatever library wrote it: the manifest must not outlive a power cut that its files do not
    outputs = sorted(current.outputs)
    write_json(
        out / MANIFEST,
        {
            "format": FORMAT,
            "stage": current.name,
            "version": nemo_kcpt.__version__,
            "fingerprint": current.fingerprint,
            "config": current.config,
            "inputs": current.inputs,
            "outputs": {
                str(path.relative_to(out)): {"bytes": path.stat().st_size, "sha256": digest}
                for path, digest in zip(outputs, sha256_files(outputs))
            },
            "counts": current.counts,
            "seconds": round(time.perf_counter() - started, 3),
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        },
    )


LATER = {"later": True}
"""Metadata of a field that `later` makes; for one whose default is a list."""


def _default(known: Field[Any]) -> Any:
    return known.default if known.default_factory is MISSING else known.default_factory()


def later(default: Any) -> Any:
    """A config's field that an earlier version did not have.

    At its default it stays out of fingerprints, so that what the earlier version finished is not taken for stale.
    """
    return field(default=default, metadata=LATER)


def shaping(config: Any, *leave_out: str) -> dict[str, Any]:
    """A config dataclass as a plain dict without its paths: what enters a fingerprint."""
    silent = {known.name: _default(known) for known in fields(config) if known.metadata.get("later")}
    return {
        key: value
        for key, value in asdict(config).items()
        if key not in leave_out and not isinstance(value, Path) and not (key in silent and value == silent[key])
    }
