"""A recipe's call is read by us as NeMo's command line reads it, whatever is in a folder's name.

Without annotations from __future__: nemo_run reads those of the factory.
"""

from pathlib import Path
from typing import Any, Optional

import pytest

from nemo_kcpt.conversion.import_stage import Config as Import
from nemo_kcpt.conversion.import_stage import run as convert_import
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.demo_stage import Config as Demo
from nemo_kcpt.experiment.demo_stage import run as demo
from nemo_kcpt.experiment.slurm.recipes import parse_call
from nemo_kcpt.experiment.stage import Config as Grid
from nemo_kcpt.experiment.stage import run as grid
from nemo_kcpt.packing.stage import Config as Pack
from nemo_kcpt.packing.stage import run as pack
from nemo_kcpt.recipe_calls import BREAKING, breaking, call, check_folder

CHARACTERS = [chr(code) for code in range(1, 0x180)] + list("\u2028\u2029\u3000（），、日が")
NAMES = [
    *(f"runs/a{one}b" for one in CHARACTERS),
    *(f"runs/{one}" for one in CHARACTERS),
    "'a'", '"a"', "it's", 'say "a"', "it's \"a\"", "a\\'b", "x=y", "a+=b", "[a]", "dict(a)", "lambda", "true", "None",
    "1", "1.5", "os.path", "日本　語", " a ", "a (1) [2] {3}", "--yes", "@a", "",
]  # fmt: skip


@pytest.fixture(scope="module")
def nemo() -> Any:
    """What NeMo's command line makes of a call: the arguments that the factory gets, or None if it refuses."""
    run = pytest.importorskip("nemo_run")
    from nemo_run.cli.cli_parser import parse_factory

    got: dict[str, Any] = {}

    def target(pack: str = "p", restore: Optional[str] = None, epochs: float = 0.0) -> None:  # noqa: UP045
        """What a recipe trains."""

    @run.cli.factory(target=target, name="kcpt_characters")
    def kcpt_characters(pack: str = "p", restore: Optional[str] = None, epochs: float = 0.0) -> Any:  # noqa: UP045
        got.update(pack=pack, restore=restore, epochs=epochs)
        return run.Partial(target, pack=pack, restore=restore, epochs=epochs)

    def read(text: str) -> dict[str, Any] | None:
        got.clear()
        try:
            parse_factory(target, "factory", target, text)
        except Exception:
            return None
        return dict(got)

    return read


def test_the_table_of_characters_is_nemo_s(nemo: Any) -> None:
    broken = set()
    for name in NAMES:
        if breaking(name):
            text = f"kcpt_characters(pack='{name}',restore='{name}',epochs=2.5)"
            assert nemo(text) != {"pack": name, "restore": name, "epochs": 2.5}
            broken |= set(name) & set(BREAKING)
            continue
        arguments = {"pack": name, "restore": name, "epochs": 2.5}
        text = call("kcpt_characters", arguments)
        assert nemo(text) == arguments, text
        assert parse_call(text) == ("kcpt_characters", [], arguments)
    assert broken == set(BREAKING)


def test_a_call_that_cannot_be_written() -> None:
    with pytest.raises(BadInput, match=r"kcpt_tiny: dir='a,\\nb' holds a comma and a line feed"):
        call("kcpt_tiny", {"pack": "ok", "dir": "a,\nb"})


@pytest.mark.parametrize("name", ["a,b", "runs, old/pack", "a\nb"])
def test_folders_that_no_recipe_could_be_given_are_not_made(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    stages: list[tuple[Any, Any]] = [
        (pack, Pack(out=out, mode="raw", seq_length=64, tokenizer=tmp_path, corpus=tmp_path)),
        (convert_import, Import(hf=tmp_path, out=out)),
        (demo, Demo(out=out)),
        (grid, Grid(out=out, model=tmp_path, corpus={"input": "x"})),
    ]
    for run, config in stages:
        with pytest.raises(BadInput, match="where NeMo's command line divides a recipe's arguments"):
            run(config)
        assert list(tmp_path.iterdir()) == []


def test_what_is_finished_is_not_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a,b"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    check_folder(folder, finished="manifest.json")
    with pytest.raises(BadInput, match="holds a comma"):
        check_folder(folder, finished="other.json")
    check_folder(tmp_path / "a (1) [2] 'x'")
