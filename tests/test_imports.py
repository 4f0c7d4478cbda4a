"""The package starts fast because it does not import what is slow; checked by name, not by a clock."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_kcpt.stages import STAGES

HEAVY = ("torch", "nemo", "nemo_run", "megatron", "lightning", "pytorch_lightning", "transformers", "datasets", "vllm")


def imported_by(program: str) -> set[str]:
    """Top-level modules loaded after `program` ran in a fresh interpreter."""
    program += "\nimport json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return set(json.loads(output.splitlines()[-1]))


def test_importing_the_package_costs_nothing() -> None:
    assert not imported_by("import nemo_kcpt") & {*HEAVY, "numpy", "omegaconf", "rich", "pyarrow"}


def test_kcpt_help_imports_nothing_heavy() -> None:
    program = "import nemo_kcpt.cli\ntry: nemo_kcpt.cli.main(['--help'])\nexcept SystemExit: pass"
    assert not imported_by(program) & {*HEAVY, "numpy", "pyarrow"}


@pytest.mark.parametrize("name", STAGES)
def test_help_of_a_stage_imports_nothing_heavy(name: str, root: Path) -> None:
    if not (root / f"{STAGES[name][0].replace('.', '/')}.py").exists():
        pytest.skip(f"{STAGES[name][0]} is not written yet")
    assert not imported_by(f"from nemo_kcpt.cli import main; main(['{name}', '--help'])") & set(HEAVY)


def modules(root: Path) -> list[Path]:
    return sorted([*(root / "nemo_kcpt").rglob("*.py"), *(root / "recipes").rglob("*.py")])


def test_every_file_says_what_it_is_for(root: Path) -> None:
    silent = []
    for path in modules(root):
        text = path.read_text(encoding="utf-8")
        if text.strip() and not ast.get_docstring(ast.parse(text)):
            silent.append(str(path.relative_to(root)))
    assert silent == []


def test_files_stay_short_enough_to_see_whole(root: Path) -> None:
    lengths = {str(path.relative_to(root)): len(path.read_text().splitlines()) for path in modules(root)}
    assert {path: count for path, count in lengths.items() if count > 400} == {}
