"""tools/setup_env.py: built once, rebuilt when the pins change, never taken as done when it was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools import setup_env


class Recorder:
    """Stands in for the commands of a build: keeps their names, makes the interpreter, fails where told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.failing: set[str] = set()

    def __call__(self, build: setup_env.Build, what: str, *command: str, may_fail: bool = False) -> bool:
        step = "uv" if command[0].endswith("/uv") and "--torch-backend" not in command else what
        self.steps.append(step)
        if what == "virtual environment":
            build.python.parent.mkdir(parents=True)
            build.python.symlink_to(sys.executable)
        if step in self.failing:
            if may_fail:
                return False
            raise setup_env.SetUpError(f"{step} failed")
        return True


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorder:
    root = Path(__file__).resolve().parent.parent
    (tmp_path / "constraints").mkdir()
    for name in ("setup.py", *(f"constraints/{side}.txt" for side in ("train", "serve", "bridge"))):
        (tmp_path / name).write_text((root / name).read_text())
    recorder = Recorder()
    monkeypatch.setattr(setup_env, "ROOT", tmp_path)
    monkeypatch.setattr(setup_env, "LOGS", tmp_path / "build" / "setup")
    names = {"train": ".venv", "serve": ".venv-serve", "bridge": ".venv-bridge"}
    monkeypatch.setattr(setup_env, "SIDES", {side: tmp_path / name for side, name in names.items()})
    monkeypatch.setattr(setup_env.Build, "run", lambda *words, **keys: recorder(*words, **keys))
    return recorder


def make(recorder: Recorder, *words: str) -> tuple[int, list[str]]:
    """Run the tool; gives exit code and steps."""
    recorder.steps = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["setup_env.py", *words])
        return setup_env.main(), recorder.steps


def test_built_once(recorder: Recorder) -> None:
    code, steps = make(recorder, "train")
    assert code == 0
    assert steps == ["virtual environment", steps[1], "torch==2.13.0", "uv", "nemo_kcpt (editable)"]
    assert steps[1].startswith("uv==")
    assert make(recorder, "train") == (0, [])


def test_new_pins_mean_a_new_environment(recorder: Recorder, tmp_path: Path) -> None:
    make(recorder, "train", "serve")
    (tmp_path / ".venv" / "leftover").touch()
    with (tmp_path / "constraints" / "train.txt").open("a") as stream:
        stream.write("six==1.16.0\n")
    code, steps = make(recorder, "train", "serve")
    assert code == 0 and steps[0] == "virtual environment" and steps.count("virtual environment") == 1
    assert not (tmp_path / ".venv" / "leftover").exists()


def test_a_changed_setup_py_means_a_new_package_only(recorder: Recorder, tmp_path: Path) -> None:
    make(recorder, "train", "serve")
    with (tmp_path / "setup.py").open("a") as stream:
        stream.write("# changed\n")
    assert make(recorder, "train", "serve") == (0, ["nemo_kcpt (editable)"])


@pytest.mark.parametrize("step", ["torch==2.13.0", "nemo_kcpt (editable)"])
def test_a_build_that_stopped_half_way_is_not_taken_as_done(
    recorder: Recorder, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    recorder.failing = {step}
    assert make(recorder, "train")[0] == 1
    assert f".venv: {step} failed" in capsys.readouterr().err
    recorder.failing = set()
    code, steps = make(recorder, "train")
    assert code == 0 and steps[0] == "virtual environment"


@pytest.mark.parametrize(
    ("words", "gpu", "cuda", "failing", "expected"),
    [
        ([], False, False, set(), ["torch==2.13.0"]),  # pip's settings lead to a CPU build
        ([], False, True, set(), ["torch==2.13.0 for CPUs"]),
        ([], False, True, {"torch==2.13.0 for CPUs"}, ["torch==2.13.0 for CPUs", "torch==2.13.0"]),
        ([], True, True, set(), ["torch==2.13.0"]),
        (["--torch-index", "file:///wheels"], False, True, set(), ["torch==2.13.0"]),
    ],
)
def test_without_a_gpu_torch_is_a_cpu_build_where_one_can_be_had(
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    gpu: bool,
    cuda: bool,
    failing: set[str],
    expected: list[str],
) -> None:
    monkeypatch.setattr(setup_env, "has_gpu", lambda: gpu)
    monkeypatch.setattr(setup_env.Build, "pip_brings_cuda", lambda build, torch: cuda)
    recorder.failing = failing
    code, steps = make(recorder, "train", *words)
    assert code == 0 and [step for step in steps if step.startswith("torch")] == expected
    assert ("several gigabytes" in capsys.readouterr().out) is bool(failing)


@pytest.mark.parametrize(
    ("required", "cuda"),
    [
        (["filelock", "nvidia-cublas==13.1 ; platform_system == 'Linux'"], True),
        (["cuda-toolkit[cublas]==13.0"], True),
        (["filelock", "jinja2", "cuda-bindings ; extra == 'x'"], False),
        (None, False),
    ],
)
def test_pips_own_report_tells_which_build_it_is(
    monkeypatch: pytest.MonkeyPatch, required: list[str] | None, cuda: bool
) -> None:
    report = "no JSON" if required is None else json.dumps({"install": [{"metadata": {"requires_dist": required}}]})
    done = subprocess.CompletedProcess([], 0, stdout=report)
    monkeypatch.setattr(setup_env.subprocess, "run", lambda *words, **keys: done)
    assert setup_env.Build("train", False, None).pip_brings_cuda("torch==2.13.0") is cuda


def test_pip_takes_over_where_uv_fails(recorder: Recorder) -> None:
    recorder.failing = {"uv"}
    code, steps = make(recorder, "serve")
    assert code == 0
    assert steps[3] == "uv" and steps[4].endswith("packages")


def test_torch_index_and_gpu_are_other_environments(recorder: Recorder) -> None:
    make(recorder, "train")
    assert make(recorder, "train", "--torch-index", "file:///wheels")[1]
    assert "transformer-engine[pytorch]" in make(recorder, "train", "--gpu")[1]
    assert make(recorder, "serve", "--gpu")[1] == ["virtual environment", "vllm==0.32.0"]


def test_megatron_bridge_comes_without_what_it_requires(recorder: Recorder, tmp_path: Path) -> None:
    code, steps = make(recorder, "bridge")
    assert code == 0
    assert steps[2:] == ["torch==2.13.0", "uv", "megatron-bridge==0.6.2 megatron-core==0.19.2"]
    listed = (tmp_path / "build" / "setup" / "bridge-pins.txt").read_text().splitlines()
    assert not any(line.startswith(("#", *setup_env.BY_THE_BOOK)) for line in listed)
    assert any(line.startswith("triton==") for line in listed)
    assert make(recorder, "bridge") == (0, [])


def test_megatron_bridge_gets_its_own_python_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {sys.executable: (3, 11), "python3.12": (3, 12)}
    monkeypatch.setattr(setup_env, "version_of", versions.get)
    monkeypatch.setattr(setup_env, "has_gpu", lambda: False)
    assert setup_env.choose_python("bridge", gpu=False) == sys.executable
    assert setup_env.choose_python("bridge", gpu=True) == "python3.12"
    assert setup_env.choose_python("train", gpu=True) == sys.executable
    monkeypatch.setattr(setup_env, "version_of", {sys.executable: (3, 10)}.get)
    with pytest.raises(setup_env.SetUpError, match=r"needs Python 3.11"):
        setup_env.choose_python("bridge", gpu=False)


def test_a_real_failure_shows_the_end_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_env, "LOGS", tmp_path)
    build = setup_env.Build("train", False, None)
    with pytest.raises(setup_env.SetUpError, match=r"(?s)step failed \(exit code 3\).*train\.log.*no such wheel"):
        build.run("step", sys.executable, "-c", "print('no such wheel'); raise SystemExit(3)")
    assert not build.run("step", sys.executable, "-c", "raise SystemExit(3)", may_fail=True)


def test_where_vllm_cannot_be_had(
    recorder: Recorder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_env, "version_of", lambda python: (3, 10))
    monkeypatch.setattr(setup_env.platform, "system", lambda: "Linux")
    monkeypatch.setattr(setup_env.platform, "machine", lambda: "x86_64")
    assert make(recorder, "serve", "--optional-serve") == (0, [])
    assert "needs Python 3.11 or 3.12" in capsys.readouterr().out
    assert make(recorder, "serve")[0] == 1
    assert "PYTHON=/path/to/python3.11" in capsys.readouterr().err
    assert make(recorder, "train")[1], "the train side takes 3.10"


def test_only_an_environment_with_exactly_the_pins_is_adopted(
    recorder: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / ".venv")], check=True)
    assert make(recorder, "train", "--adopt")[0] == 1
    assert "packages differ from the pins: " in capsys.readouterr().err
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    other = 'none==1 ; python_version < "3.0"\n'
    (tmp_path / "constraints" / "train.txt").write_text(f"# nothing for Python {python}\n{other}")
    assert make(recorder, "train", "--adopt") == (0, [])
    assert make(recorder, "train") == (0, [])


@pytest.mark.parametrize(
    ("marker", "python", "holds"),
    [
        ("", [3, 10], True),
        ('python_version < "3.11"', [3, 10], True),
        ('python_version < "3.11"', [3, 11], False),
        ('python_version >= "3.11"', [3, 12], True),
        ('python_version == "3.10" or python_version == "3.12"', [3, 12], True),
        ('python_version == "3.10" or python_version == "3.12"', [3, 11], False),
    ],
)
def test_markers(marker: str, python: list[int], holds: bool) -> None:
    assert setup_env._holds(marker, python) is holds
