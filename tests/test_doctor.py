from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_kcpt import doctor, environments
from nemo_kcpt.doctor import Check, Config, examine, font_checks, pins, run, serve_checks, train_checks
from nemo_kcpt.environments import serve_python, versions
from nemo_kcpt.errors import BadInput, KcptError


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_every_problem_comes_with_its_command() -> None:
    checks = examine()
    assert len({check.name for check in checks}) == len(checks)
    for check in checks:
        assert check.found
        assert (check.state == "ok") == (check.fix == "") or check.state == "note"


def test_a_japanese_font_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "truetype" / "dejavu").mkdir(parents=True)
    (tmp_path / "truetype" / "dejavu" / "DejaVuSans.ttf").touch()
    (check,) = font_checks([str(tmp_path), str(tmp_path / "none")])
    assert (check.state, check.fix.split(" (")[0]) == ("note", "apt-get install fonts-noto-cjk")
    (tmp_path / "opentype").mkdir()
    (tmp_path / "opentype" / "NotoSansCJK-Regular.ttc").touch()
    (check,) = font_checks([str(tmp_path)])
    assert (check.state, check.found) == ("ok", "NotoSansCJK-Regular.ttc")


def test_pins_are_found_in_the_checkout() -> None:
    assert pins("train")["megatron-core"] == {"0.15.3"}
    assert pins("train")["nemo-run"] == {"0.11.1"}
    assert len(pins("train")["pandas"]) == 2, "one for Python 3.10, one for the others"


def test_missing_and_other_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"torch": "2.13.0+cpu", "megatron-core": "0.16.1", "transformers": "4.50.0"}
    monkeypatch.setattr(doctor, "_installed", installed.get)
    found = by_name(train_checks([]))
    assert found["torch"].state == "ok"
    assert (found["megatron-core"].state, found["megatron-core"].found) == ("missing", "0.16.1, pinned 0.15.3")
    assert found["transformers"].state == "note"
    assert (found["nemo-toolkit"].state, found["nemo-toolkit"].fix) == ("missing", "make setup")
    assert "transformer-engine" not in found


def test_transformer_engine_matters_on_a_gpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: None)
    engine = by_name(train_checks(["H100, 81559 MiB"]))["transformer-engine"]
    assert (engine.state, engine.fix) == ("note", "make setup GPU=1")


def test_no_serve_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "serve_python", lambda: None)
    monkeypatch.setattr(doctor, "vllm_expected", lambda: True)
    (check,) = serve_checks()
    assert (check.state, check.fix) == ("missing", "make setup-serve")
    monkeypatch.setattr(doctor, "vllm_expected", lambda: False)
    (check,) = serve_checks()
    assert check.state == "note" and "transformers" in check.found


def test_a_serve_environment_that_is_broken_or_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "vllm_expected", lambda: True)
    monkeypatch.setattr(doctor, "serve_python", lambda: tmp_path)
    assert "does not start" in serve_checks()[0].found
    empty = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(empty)], check=True)
    monkeypatch.setattr(doctor, "serve_python", lambda: empty / "bin" / "python")
    assert by_name(serve_checks())["vLLM"].state == "missing"


def test_a_wrong_setting_of_the_serve_python_is_a_line_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environments.SERVE_VARIABLE, "/no/such/python")
    (check,) = serve_checks()
    assert "KCPT_SERVE_PYTHON=/no/such/python: no executable there" in check.found
    assert check.fix == "correct or unset KCPT_SERVE_PYTHON"


def test_exit_code_and_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    broken = [Check(name="a", found="x"), Check(name="b", found="no", state="missing", fix="make setup")]
    monkeypatch.setattr(doctor, "examine", lambda: broken)
    with pytest.raises(KcptError, match="b: missing or unusable. To fix it: make setup"):
        run(Config(json=True))
    shown = json.loads(capsys.readouterr().out)
    assert shown["demo_can_run"] is False and shown["checks"][1]["fix"] == "make setup"
    monkeypatch.setattr(doctor, "examine", lambda: broken[:1])
    run(Config())
    assert "ok" in capsys.readouterr().out


def test_the_command_line(kcpt: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    for word in ("json=true", "--json"):
        done = kcpt("doctor", word)
        shown = json.loads(done.stdout)
        assert done.returncode == (0 if shown["demo_can_run"] else 1)


def test_where_the_serve_python_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environments, "repository_root", lambda: None)
    monkeypatch.delenv(environments.SERVE_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "project" / ".venv"))
    monkeypatch.chdir(tmp_path)
    assert serve_python() is None
    places = [tmp_path, tmp_path / "project"]
    for place in places:
        python = place / ".venv-serve" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.touch()
        assert serve_python() == python, "beside the running environment comes before the current folder"
    for wrong in (tmp_path / "none", tmp_path, python):  # the last is no executable
        monkeypatch.setenv(environments.SERVE_VARIABLE, str(wrong))
        with pytest.raises(BadInput, match=f"KCPT_SERVE_PYTHON={wrong}: no executable there"):
            serve_python()
    monkeypatch.setenv(environments.SERVE_VARIABLE, sys.executable)
    assert serve_python() == Path(sys.executable)


def test_versions_without_importing() -> None:
    found = versions(Path(sys.executable), ["pytest", "no-such-package"])
    assert found is not None
    assert found["pytest"] == pytest.__version__ and found["no-such-package"] is None
    assert versions(Path("/no/such/python"), ["pytest"]) is None


def test_megatron_bridge_is_a_note_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = {name: next(iter(doctor.pins("bridge")[name])) for name in doctor.BRIDGE_PACKAGES}
    monkeypatch.setattr(doctor, "bridge_python", lambda: Path("/b/python"))
    for found, state, said in (
        (pinned, "ok", f"megatron-core {pinned['megatron-core']}"),
        ({**pinned, "torch": pinned["torch"] + "+cpu"}, "ok", "+cpu"),
        ({**pinned, "megatron-core": "0.15.3"}, "note", "megatron-core 0.15.3 (pinned 0.19.2)"),
        ({**pinned, "megatron-bridge": None}, "note", "megatron-bridge missing (pinned 0.6.2)"),
        (None, "note", "/b/python does not start"),
    ):
        monkeypatch.setattr(doctor, "versions", lambda python, packages, found=found: found)
        (check,) = doctor.bridge_checks()
        assert check.state == state and said in check.found, check
        assert bool(check.fix) == (state == "note")
    monkeypatch.setattr(doctor, "bridge_python", lambda: None)
    (check,) = doctor.bridge_checks()
    assert check.state == "note" and check.fix == "make setup-bridge"
    monkeypatch.undo()
    monkeypatch.setenv(environments.BRIDGE_VARIABLE, "/no/such/python")
    (check,) = doctor.bridge_checks()
    assert "KCPT_BRIDGE_PYTHON=/no/such/python: no executable there" in check.found


def test_the_running_python_serves_where_it_has_megatron_bridge(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a container that has everything in one environment."""
    (tmp_path / "megatron/bridge").mkdir(parents=True)
    (tmp_path / "megatron/bridge/__init__.py").touch()
    program = "from nemo_kcpt.environments import bridge_python; print(bridge_python())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    environment.pop(environments.BRIDGE_VARIABLE, None)
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == sys.executable
