from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from nemo_kcpt.config import MISSING, conf_folder, config_help, field_docs, load_config
from nemo_kcpt.errors import BadInput
from nemo_kcpt.stages import STAGES


@dataclass(kw_only=True)
class Example:
    """Keys of an example."""

    out: Path = Path(MISSING)
    """Where to."""
    name: str = MISSING
    """What it is called."""
    seq_length: int = 4096
    """Tokens in a window,
    over two lines."""
    share: float | None = None
    """A share."""
    other: Path | None = None
    """A file."""

    def __post_init__(self) -> None:
        if self.seq_length < 1:
            raise ValueError(f"seq_length: {self.seq_length} is too short")


def test_later_layers_win(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("out: a\nname: from file\nseq_length: 8\n")
    config = load_config(Example, file=file, overrides=["seq_length=16", "share=0.5", "name=a = b", "other=x/y"])
    assert config == Example(out=Path("a"), name="a = b", seq_length=16, share=0.5, other=Path("x/y"))


def test_required_keys_are_named_with_their_meaning() -> None:
    with pytest.raises(BadInput, match=r"required: name \(What it is called\); out \(Where to\)\. Give it as name="):
        load_config(Example)


def test_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="command line: unknown key 'seq_lenght'; did you mean 'seq_length'"):
        load_config(Example, overrides=["seq_lenght=3"])
    file = tmp_path / "typo.yaml"
    file.write_text("nmae: x\n")
    with pytest.raises(BadInput, match=r"typo\.yaml: unknown key 'nmae'; did you mean 'name'"):
        load_config(Example, file=file)
    with pytest.raises(BadInput, match="unknown key 'zzz'; known names: out, name"):
        load_config(Example, overrides=["zzz=3"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: [1\n", "not YAML"),
        ("- a\n- b\n", "expected `key: value` lines, found a list"),
        ("seq_length: many\n", r"seq_length: Value 'many'"),
        (b"\xff", "not YAML"),
    ],
)
def test_bad_yaml_is_named(tmp_path: Path, content: str | bytes, expected: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput, match=rf"bad\.yaml: .*{expected}"):
        load_config(Example, file=file)


def test_missing_yaml_and_words_that_are_no_keys(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load_config(Example, file=tmp_path / "none.yaml")
    with pytest.raises(BadInput, match="is a folder"):
        load_config(Example, file=tmp_path)
    with pytest.raises(BadInput, match="'seq_length' is not of the form key=value"):
        load_config(Example, overrides=["seq_length"])
    with pytest.raises(BadInput, match=r"seq_length=abc.*could not be converted"):
        load_config(Example, overrides=["seq_length=abc"])


def test_an_empty_yaml_file_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing yet\n")
    assert load_config(Example, file=file, overrides=["name=x", "out=y"]).seq_length == 4096


def test_a_dataclass_may_refuse_values() -> None:
    with pytest.raises(BadInput, match="seq_length: 0 is too short"):
        load_config(Example, overrides=["name=x", "out=y", "seq_length=0"])


def test_help_shows_each_key_with_type_default_and_explanation() -> None:
    shown = config_help(Example)
    assert "  out  [Path, required]\n      Where to." in shown
    assert "  seq_length  [int, default 4096]\n      Tokens in a window, over two lines." in shown


def test_an_inherited_field_keeps_its_explanation() -> None:
    @dataclass(kw_only=True)
    class Derived(Example):
        more: int = 1
        """More."""

    assert field_docs(Derived)["name"] == "What it is called."
    assert field_docs(Derived)["more"] == "More."


def _existing_stages() -> Iterator[str]:
    for name, (module, _) in STAGES.items():
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not module.startswith(str(error.name)):
                raise
        else:
            yield name


@pytest.mark.parametrize("name", _existing_stages())
def test_every_key_of_every_stage_is_explained(name: str) -> None:
    module = importlib.import_module(STAGES[name][0])
    assert module.__doc__
    docs = field_docs(module.Config)
    assert [field.name for field in fields(module.Config) if not docs.get(field.name)] == []


def test_every_shipped_yaml_fits_its_stage() -> None:
    """conf/<stage>/*.yaml holds keys of that stage; what is required may be left to the user."""
    for path in sorted(conf_folder().glob("*/*.yaml")):
        if path.parent.name not in STAGES:
            continue
        cls = importlib.import_module(STAGES[path.parent.name][0]).Config
        try:
            load_config(cls, file=path)
        except BadInput as error:
            assert str(error).startswith("required:"), path
