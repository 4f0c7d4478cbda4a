"""Faults put into the code on purpose, one at a time, to see that the tests notice each.

    .venv/bin/python tests/mutations/run.py [NAME ...]

Every module of this folder with a list `MUTATIONS` is read; names choose some of them, `crashes` all of that module.
The tree is copied, a replacement made, the tests that are named with it run, and it is taken back. Exit code 1 if one
was not noticed, or its text is not there any more.

The tests run in a fork of this process, which has imported the libraries, and of ours nothing: that takes longer than
most of them.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("pytest", "hypothesis", "transformers", "safetensors.torch", "duckdb", "pyarrow", "nemo.collections.llm")
SECONDS = 900
"""Tests that take longer have noticed it, too: they wait for what does not come."""
LATE = -1000
"""In place of an exit code, where they do."""
WORDS = ["-x", "-q", "-p", "no:cacheprovider"]


@dataclass(frozen=True)
class Mutation:
    """One fault."""

    name: str
    file: str
    """From the repository's root."""
    old: str
    """Text that stands there once."""
    new: str
    tests: str
    """What pytest is given: paths, -k."""


def mutations() -> list[tuple[str, Mutation]]:
    """All of them, each with its module's name."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name == "run.py" or path.name.startswith("test_"):
            continue
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += [(path.stem, Mutation(*one)) for one in getattr(module, "MUTATIONS", [])]
    return found


def notices(tree: Path, mutation: Mutation) -> str:
    """What came of a fault: `noticed`, or what is wrong with it."""
    file = tree / mutation.file
    whole = file.read_text(encoding="utf-8")
    if whole.count(mutation.old) != 1:
        return f"its text is there {whole.count(mutation.old)} times"
    file.write_text(whole.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        code, printed = tested(tree, [*WORDS, *shlex.split(mutation.tests)])
    finally:
        file.write_text(whole, encoding="utf-8")
    return {1: "noticed", 0: "NOT NOTICED", LATE: "noticed"}.get(code, f"pytest: {printed[-800:]}")


def tested(tree: Path, words: list[str]) -> tuple[int, str]:
    """What pytest ends with in a tree, and prints."""
    log = tree / "log"
    child = os.fork()
    if child == 0:
        _test(tree, words, log)
    code, deadline = LATE, time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if code == LATE:
        os.waitpid(child, 0)
    return code, log.read_text(errors="replace")


def _test(tree: Path, words: list[str], log: Path) -> None:
    """In the fork: what `python -B -m pytest` does in the tree, whose files come before those of the environment."""
    code = 3
    try:
        os.setsid()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.chdir(tree)
        sys.dont_write_bytecode = True
        sys.path[:0] = (str(tree), str(tree / "path"))
        os.environ["PYTHONPATH"] = f"{tree}:{tree / 'path'}"
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        code = int(importlib.import_module("pytest").main(words))
    finally:
        sys.stdout.flush()
        os._exit(code)


def main(names: list[str]) -> int:
    """Try those of these names, or all."""
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    gc.disable()
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # what a fork looks at it copies
    gc.enable()
    assert not any(name.split(".")[0] in ("nemo_kcpt", "nemo_kcpt_recipes", "tests") for name in sys.modules)
    chosen = [one for module, one in mutations() if not names or one.name in names or module in names]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        for name in ("nemo_kcpt", "recipes", "tests", "tools", "conf", "docs"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        (tree / "path").mkdir()
        (tree / "path/nemo_kcpt_recipes").symlink_to(tree / "recipes")  # else that of the environment is imported
        for path in (*ROOT.glob("*.toml"), *ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "setup.py"):
            shutil.copy(path, tree)
        for name in (".venv", ".venv-serve"):
            if (ROOT / name).exists():
                (tree / name).symlink_to((ROOT / name).resolve())
        for one in chosen:
            started = time.monotonic()
            found = notices(tree, one)
            missed += found != "noticed"
            print(f"{one.name}: {found} ({time.monotonic() - started:.0f} s; {one.tests})", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} noticed")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
