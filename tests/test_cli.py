from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import nemo_kcpt
from nemo_kcpt.cli import main
from nemo_kcpt.config import keys_of
from nemo_kcpt.errors import BadInput
from nemo_kcpt.stages import STAGES, find_stage

Kcpt = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def document(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.md").write_text(f"# {name}\ntext of {name}\n")
    return folder


def test_help_names_every_stage(kcpt: Kcpt) -> None:
    done = kcpt("--help")
    assert done.returncode == 0
    for name in STAGES:
        assert f"  {name} " in done.stdout
    assert kcpt().stdout == done.stdout
    assert kcpt("--version").stdout == f"nemo_kcpt {nemo_kcpt.__version__}\n"


def test_help_of_a_stage_explains_its_keys(kcpt: Kcpt) -> None:
    done = kcpt("corpus", "--help")
    assert done.returncode == 0
    assert "input  [str, required]" in done.stdout
    assert "--redo" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """`kcpt … --help | head -1`"""
    command = [Path(sys.executable).with_name("kcpt"), "pack", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 128 + signal.SIGPIPE


def test_exit_codes(kcpt: Kcpt, tmp_path: Path, document: Path) -> None:
    unknown = kcpt("corpsu")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "unknown stage 'corpsu'; did you mean 'corpus'?" in unknown.stderr
    bad = kcpt("corpus", f"input={tmp_path / 'none'}", f"out={tmp_path / 'out'}")
    assert bad.returncode == 2
    assert "no such file or folder" in bad.stderr and "Traceback" not in bad.stderr
    assert kcpt("corpus", f"input={document}", f"out={tmp_path / 'out'}", "heldout_count=1").returncode == 0
    (tmp_path / "file").write_text("")
    failed = kcpt("corpus", f"input={document}", f"out={tmp_path / 'file' / 'out'}")
    assert failed.returncode == 1
    assert "Not a directory" in failed.stderr and "Traceback" not in failed.stderr


def test_keys_may_be_written_as_options(kcpt: Kcpt, tmp_path: Path, document: Path) -> None:
    out = tmp_path / "out"
    words = ["--input", document, f"--out={out}", "--heldout-count", "1", "--log", tmp_path / "log"]
    assert kcpt("corpus", *words).returncode == 0
    assert "3 papers" in (tmp_path / "log").read_text()
    again = kcpt("corpus", *words)
    assert again.returncode == 0 and "is finished" in again.stdout
    other = kcpt("corpus", *words[:-4], "heldout_count=2")
    assert other.returncode == 2 and "heldout_count was 1, now 2" in other.stderr
    assert kcpt("corpus", *words[:-4], "heldout_count=2", "--redo").returncode == 0
    assert kcpt("corpus", "--out").returncode == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--json"], ["json=true"]),
        (["--json", "--seed", "3"], ["json=true", "seed=3"]),
        (["--json", "seed=3"], ["json=true", "seed=3"]),
        (["--json", "false"], ["json=false"]),
        (["--json=no", "--keep-all"], ["json=no", "keep_all=true"]),
        (["--seed", "-3"], ["seed=-3"]),
    ],
)
def test_keys_that_are_true_or_false_need_no_value(words: list[str], expected: list[str]) -> None:
    assert keys_of(words, {"json", "keep_all"}) == expected
    with pytest.raises(BadInput, match="--seed needs a value"):
        keys_of(["--seed"], {"json"})


def test_config_file(kcpt: Kcpt, tmp_path: Path, document: Path) -> None:
    file = tmp_path / "corpus.yaml"
    file.write_text(f"input: {document}\nout: {tmp_path / 'out'}\nheldout_fractoin: 0.5\n")
    typo = kcpt("corpus", "--config", file)
    assert typo.returncode == 2
    assert "unknown key 'heldout_fractoin'; did you mean 'heldout_fraction'?" in typo.stderr
    file.write_text(file.read_text().replace("fractoin", "fraction"))
    assert kcpt("corpus", "--config", file).returncode == 0


def test_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nemo_kcpt.cli._run_stage", interrupted)
    assert main(["corpus"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_an_interrupt_that_a_library_wrapped_is_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrapped(name: str, words: list[str]) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise RuntimeError("Query interrupted") from interrupt

    monkeypatch.setattr("nemo_kcpt.cli._run_stage", wrapped)
    assert main(["corpus"]) == 130
    assert "rerun the same command to resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["import", "a/b", "--to", "c"], ["hf=a/b", "--out", "c"]),
        (["import", "runs/--step=1-last", "--to=c"], ["hf=runs/--step=1-last", "--out=c"]),
        (["import", "--to", "c", "hf=a"], ["--out", "c", "hf=a"]),
        (["export", "a", "--to", "c", "check=false"], ["checkpoint=a", "--out", "c", "check=false"]),
        (["verify", "a/b", "runs/--step=1-last", "--to", "c"], ["a=a/b", "b=runs/--step=1-last", "--out", "c"]),
        (["verify", "a/b", "b=c/d", "json=true"], ["a=a/b", "b=c/d", "json=true"]),
        (["verify", "a/b", "--json"], ["a=a/b", "--json"]),
        (["verify"], []),
        (["checkpoint=a", "out=c"], ["checkpoint=a", "out=c"]),
        (["--out", "c"], ["--out", "c"]),
    ],
)
def test_a_stage_with_actions_takes_its_source_by_place(words: list[str], keys: list[str]) -> None:
    module, found = find_stage("convert", words)
    assert found == keys
    expected = {"import": "import_stage", "verify": "verify_stage"}.get(words[0], "stage")
    assert module == f"nemo_kcpt.conversion.{expected}"
    assert find_stage("corpus", ["import"]) == (STAGES["corpus"][0], ["import"])


def test_actions_are_taught_and_misspelt_ones_named(kcpt: Kcpt) -> None:
    both = kcpt("convert", "--help").stdout
    for action in ("import HF --to OUT", "export CHECKPOINT --to OUT", "verify A B [--to OUT]"):
        usage = f"usage: kcpt convert {action} "
        assert usage in both and usage in kcpt("convert", action.split()[0], "--help").stdout
    assert "export" not in kcpt("convert", "import", "--help").stdout
    misspelt = kcpt("convert", "imprt", "a", "--to", "b")
    assert misspelt.returncode == 2 and "unknown action 'imprt'; did you mean 'import'?" in misspelt.stderr
