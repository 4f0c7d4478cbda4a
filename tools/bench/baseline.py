"""What benchmarks share that compare this tree with an earlier commit: its checkout, other work beside, the machine."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BASELINE = "4176ff7"
"""The commit that issue figures are ratios to."""


@dataclass(frozen=True)
class Tree:
    """A checkout, and how programs of this environment find its package instead of the installed one."""

    name: str
    root: Path
    environment: Mapping[str, str]

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command with this tree's package, in its folder.

        Raises:
            SystemExit: it failed; with the end of what it printed.
        """
        done = subprocess.run(
            list(words), cwd=self.root, env={**self.environment, **more}, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{self.name}: {' '.join(words)[:200]}\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
        return done


def _tree(name: str, root: Path, links: Path) -> Tree:
    """`links` gets the name under which the recipes are installed."""
    links.mkdir(parents=True)
    (links / "nemo_kcpt_recipes").symlink_to(root / "recipes")
    environment = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    return Tree(name, root, {**environment, "PYTHONPATH": f"{root}{os.pathsep}{links}"})


@contextlib.contextmanager
def trees(commit: str = BASELINE) -> Iterator[tuple[Tree, Tree]]:
    """The checkout of `commit`, made for the time of the benchmark, and this tree; both with this environment."""
    with tempfile.TemporaryDirectory(prefix="kcpt-baseline-") as temporary:
        folder = Path(temporary)
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", str(folder / "old"), commit], cwd=ROOT, check=True
        )
        for name in (".venv", ".venv-serve"):
            if (ROOT / name).exists():
                (folder / "old" / name).symlink_to((ROOT / name).resolve())
        try:
            yield _tree(commit, folder / "old", folder / "links-old"), _tree("now", ROOT, folder / "links-now")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(folder / "old")], cwd=ROOT, check=False)


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in others:
            process.kill()
            process.wait()


def machine() -> str:
    """Cores and vector instructions of this machine."""
    import torch

    capabilities = [
        name for name, there in torch.cpu.get_capabilities().items() if there is True and name.startswith(("a", "v"))
    ]
    return f"{os.cpu_count()} cores, {platform.machine()}: {', '.join(capabilities)}"
