"""kcpt train: what it reads from the command line, the commands of both backends, and how it ends."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt import environments
from nemo_kcpt.cli import main
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment import train
from nemo_kcpt.experiment.backends import NEMO_SCRIPT
from nemo_kcpt.planning.planned import plan_training
from nemo_kcpt.several import run
from tests.tiny_pack import make_pack

PYTHON = "/somewhere/.venv-bridge/bin/python"
STUB = '''#!{python}
"""Stands where the Bridge's Python does: does two steps of a training, or what its folder's name says."""
import json, sys, time
from pathlib import Path

words = sys.argv[1:]
assert words[:3] == ["-m", "nemo_kcpt.bridge.train", "--arguments"], words
given = json.loads(words[3])
folder = Path(given["dir"])
folder.mkdir(parents=True, exist_ok=True)
(folder / "words.json").write_text(json.dumps(words[4:]))
if folder.name == "refused":
    print("kcpt train: the weights are of another model", file=sys.stderr)
    sys.exit(2)
if folder.name == "failed":
    raise RuntimeError("Error: out of memory")
with (folder / "metrics.jsonl").open("a") as stream:
    for step in (1, 2):
        print(json.dumps({{"step": step, "max_steps": 2, "loss": 5.0 / step}}), file=stream, flush=True)
'''


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("pack"))


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "python"
    path.write_text(STUB.format(python=sys.executable))
    path.chmod(0o755)
    monkeypatch.setenv(environments.BRIDGE_VARIABLE, str(path))
    return path


def command(pack: Path, *words: str) -> list[str]:
    asked = train.read(["kcpt_sft_tiny", f"pack={pack}", *words])
    return train.command(asked, plan_training(asked.recipe, **asked.arguments))


def test_words_are_arguments_or_overrides() -> None:
    words = ["kcpt_tiny", "pack=packs/a.b", "--epochs", "3", "restore=runs/x", "--lora-embeddings", "lora=4"]
    asked = train.read([*words, "optimizer.lr=1e-4", "++model.new=1", "~ddp.bucket_size", "trainer.callbacks[1].x=2"])
    expected = {"pack": "packs/a.b", "restore": "runs/x", "epochs": 3.0, "lora": 4, "lora_embeddings": True}
    assert asked.arguments == expected and (asked.backend, asked.dryrun) == ("nemo", False)
    assert asked.overrides == ["optimizer.lr=1e-4", "++model.new=1", "~ddp.bucket_size", "trainer.callbacks[1].x=2"]
    assert train.read(["kcpt_tiny", "data=kcpt_packed(pack='p')", "--dryrun"]).overrides == [
        "data=kcpt_packed(pack='p')"
    ]


def test_keys_come_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_text("epochs: 4\nbackend: bridge\nrestore: runs/x\n")
    asked = train.read(["kcpt_tiny", "epochs=5"], tmp_path / "keys.yaml")
    assert asked.arguments == {"restore": "runs/x", "epochs": 5.0} and asked.backend == "bridge"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the recipe is missing; kcpt train RECIPE"),
        (["pack=x"], "the recipe is missing"),
        (["kcpt_tyny"], "no recipe kcpt_tyny; did you mean 'kcpt_tiny'"),
        (["kcpt_tiny", "epoch=1"], "unknown key 'epoch'; did you mean 'epochs'"),
        (["kcpt_tiny", "epochs=two"], "epochs=two: epochs: Value 'two' of type 'str' could not be converted to Float"),
        (["kcpt_tiny", "backend=brigde"], "backend: 'brigde' is not one of nemo, bridge"),
    ],
)
def test_what_cannot_be_read_is_said(words: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        train.read(words)


def test_nemos_command_is_the_documented_one(pack: Path) -> None:
    call = f"kcpt_sft_tiny(pack='{pack}',dir='x')"
    expected = [NEMO_SCRIPT, "llm", "finetune", "--factory", call, "--yes", "optim.config.lr=1e-4"]
    assert command(pack, "dir=x", "optim.config.lr=1e-4") == expected
    two = command(pack, "dir=x", "processes=2")
    assert two[4] == f"kcpt_sft_tiny(pack='{pack}',dir='x',processes=2)"
    assert two[6:] == ["run.executor=kcpt_torchrun", "run.executor.ntasks_per_node=2"]
    with pytest.raises(BadInput, match="gives the executor itself"):
        command(pack, "run.executor=kcpt_torchrun")


def test_the_bridges_command(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nemo_kcpt.experiment.backends.bridge_python", lambda: Path(PYTHON))
    given = json.dumps({"pack": str(pack), "dir": "x,y"})
    program = ["-m", "nemo_kcpt.bridge.train", "--arguments"]
    one = command(pack, "dir=x,y", "backend=bridge", "optimizer.lr=1e-4")
    assert one == [PYTHON, *program, given, "kcpt_sft_tiny", "optimizer.lr=1e-4"]
    two = command(pack, "dir=x", "backend=bridge", "processes=2")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    assert two[: 2 + len(launcher) + 1] == [PYTHON, *launcher, "-m", "nemo_kcpt.bridge.train"]
    monkeypatch.setattr("nemo_kcpt.experiment.backends.bridge_python", lambda: None)
    with pytest.raises(BadInput, match="Megatron-Bridge is missing: run `make setup-bridge`"):
        command(pack, "backend=bridge")


def test_the_package_is_found_by_the_other_python(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    root = str(Path(environments.__file__).parents[1])
    found = train.environment("bridge", plan_training("kcpt_sft_tiny", pack=str(pack), processes=2))
    assert found["PYTHONPATH"].split(":") == [root, "/mine"] and found["OMP_NUM_THREADS"] == "1"
    assert train.environment("nemo", plan_training("kcpt_sft_tiny", pack=str(pack))) == {}
    monkeypatch.setattr(environments, "repository_root", lambda: None)
    assert environments.package_path() == {}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 does not know PYTHONSAFEPATH")
def test_another_checkout_in_the_current_folder_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "nemo_kcpt").mkdir()
    (tmp_path / "nemo_kcpt/__init__.py").write_text("raise SystemExit(3)")
    for variables, code in (({}, 3), (environments.package_path(), 0)):
        command = [sys.executable, "-m", "nemo_kcpt.errors"]
        assert subprocess.run(command, cwd=tmp_path, env={**os.environ, **variables}).returncode == code


def test_several_machines_are_slurms(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = train.Asked(recipe="kcpt_tiny", arguments={"dir": "x"}, overrides=[], backend="bridge", dryrun=False)
    plan: Any = plan_training("kcpt_tiny", pack=str(pack))
    object.__setattr__(plan, "nodes", 2)
    with pytest.raises(BadInput, match=r"kcpt slurm train 'kcpt_tiny\(dir=.*--backend bridge"):
        train.command(asked, plan)


def test_a_dry_run_says_what_would_be(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "kcpt_sft_tiny", f"pack={pack}", f"dir={tmp_path}/run", "--dryrun"]) == 0
    said = capsys.readouterr().out
    for part in (
        "kcpt_sft_tiny (finetune)",
        "DP1",
        "0.0003 after a warm-up",
        "stays the model's own",
        "32 tokens each",
    ):
        assert part in said
    words = shlex.split(said.split("  command        ")[1])
    assert words[:3] == [NEMO_SCRIPT, "llm", "finetune"] and not (tmp_path / "run").exists()


def test_it_trains_and_says_how_far_it_came(
    pack: Path, stub: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "kcpt_sft_tiny", f"pack={pack}", "backend=bridge", "train.train_iters=2"]
    assert main([*words, f"dir={tmp_path}/run"]) == 0
    assert json.loads((tmp_path / "run/words.json").read_text()) == ["kcpt_sft_tiny", "train.train_iters=2"]
    assert "2 of 2 steps done, loss 2.5000" in capfd.readouterr().out
    assert main([*words, f"dir={tmp_path}/run"]) == 0  # again: the program finds its checkpoint
    for name, code, said in (("refused", 2, "weights are of another model"), ("failed", 1, "out of memory")):
        assert main([*words, f"dir={tmp_path}/{name}"]) == code
        shown = capfd.readouterr().err
        assert said in shown and f"whole log: {tmp_path}/{name}/train.log" in shown


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([["train", "--help"]]) == run([["train", "kcpt_model", "--help"]]) == 0
    said = capsys.readouterr().out
    for part in (
        "optimizer.lr=1e-4",
        "optim.config.lr=1e-4",
        "kcpt_sft_demo",
        "model  [required]",
        "rope  [default auto]",
    ):
        assert part in said
