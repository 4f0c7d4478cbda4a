"""Stage configs: a dataclass per stage, filled from defaults < YAML file < `key=value` on the command line.

The schema is a dataclass whose fields each carry a one-line string underneath; that string is the `--help` text.
Types are checked by OmegaConf; an unknown key is refused with the nearest known name.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import textwrap
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from nemo_kcpt.errors import BadInput

Config = TypeVar("Config")

MISSING = "???"
"""A field with this default must be given by the user (OmegaConf's own mark)."""


def field_docs(cls: type) -> dict[str, str]:
    """The string under each field of a dataclass (its bases included), by field name."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:]):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                text = ast.literal_eval(below.value)
                docs[field.target.id] = " ".join(str(text).split())
    return docs


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint of the form ` (did you mean 'x'?)` for a misspelt name, or the list of known names."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known names: {', '.join(known)}"


def check_choices(config: Any, **allowed: Sequence[str]) -> None:
    """
    Raises:
        ValueError: a key of a stage's config is not one of its values.
    """
    for name, known in allowed.items():
        if (value := getattr(config, name)) not in known:
            raise ValueError(f"{name}: '{value}' is not one of {', '.join(known)}")


def check_least(config: Any, **least: float) -> None:
    """
    Raises:
        ValueError: a key of a stage's config is less than it may be, or no number at all (NaN).
    """
    for name, known in least.items():
        if not (value := getattr(config, name)) >= known:
            raise ValueError(f"{name}: {value} was given; at least {known} is needed")


def refuse_unknown(cls: type, given: Mapping[str, Any], where: str) -> None:
    """Check the names of keys against the fields of a stage's config.

    Raises:
        BadInput: one is unknown; the message has `where` and the nearest known one.
    """
    known = [field.name for field in dataclasses.fields(cls)]
    for key in given:
        if key not in known:
            raise BadInput(f"{where}: unknown key '{key}'; {nearest(str(key), known)}")


def _read_yaml(path: Path) -> Mapping[str, Any]:
    from omegaconf import OmegaConf
    from yaml import YAMLError

    try:
        loaded = OmegaConf.load(path)
    except FileNotFoundError:
        raise BadInput(f"--config {path}: no such file") from None
    except IsADirectoryError:
        raise BadInput(f"--config {path}: is a folder; a YAML file was expected") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"--config {path}: not YAML ({' '.join(str(error).split())})") from None
    content = OmegaConf.to_container(loaded)
    if not isinstance(content, dict):
        raise BadInput(f"--config {path}: expected `key: value` lines, found a {type(content).__name__}")
    return {str(key): value for key, value in content.items()}


def keys_of(words: Sequence[str], flags: Container[str] = ()) -> list[str]:
    """`--some-key value` and `key=value` alike as `key=value`; `--key` alone for a key in `flags` as true.

    Raises:
        BadInput: a key at the end without a value.
    """
    result: list[str] = []
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        if word.startswith("--"):
            written, equals, value = word[2:].partition("=")
            key = written.replace("-", "_")
            alone = not remaining or remaining[0].startswith("--") or "=" in remaining[0]
            if not equals and key in flags and alone:
                value = "true"
            elif not equals:
                if not remaining:
                    raise BadInput(f"command line: --{written} needs a value")
                value = remaining.pop(0)
            word = f"{key}={value}"
        result.append(word)
    return result


def field_of(cls: type, key: str) -> str:
    """The field that a key belongs to: of `world.seed` that is `world`, if it is a mapping."""
    first = key.partition(".")[0]
    mappings = {field.name for field in dataclasses.fields(cls) if str(field.type).startswith("dict[")}
    return first if first in mappings else key


def _parse_override(cls: type, text: str) -> Any:
    """`key=value` as a mapping: the value is YAML, but for a field of type str it is the text as it stands."""
    from omegaconf import OmegaConf

    key, _, value = text.partition("=")
    if any(field.name == key and field.type in ("str", str) for field in dataclasses.fields(cls)):
        return {key: value.replace("${", "\\${")}
    return OmegaConf.to_container(OmegaConf.from_dotlist([text]))


def load_config(cls: type[Config], *, file: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Build a `cls` from its defaults, a YAML file and `key=value` strings, the later ones winning.

    Raises:
        BadInput: unknown key, value of a wrong type, missing required key; the message names where it was given.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    layers: list[tuple[str, Any]] = []
    if file is not None:
        layers.append((str(file), _read_yaml(file)))
    for text in overrides:
        key, equals, _ = text.partition("=")
        if not equals:
            raise BadInput(f"command line: '{text}' is not of the form key=value")
        refuse_unknown(cls, {field_of(cls, key): None}, "command line")
        try:
            layers.append((f"command line, {text}", _parse_override(cls, text)))
        except Exception as error:  # the YAML of one value: whatever it raises, the user's text is what is wrong
            raise BadInput(f"command line: cannot read '{text}' ({' '.join(str(error).split())})") from None
    schema = OmegaConf.structured(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if field.default == Path(MISSING):  # OmegaConf knows its mark as a string only
            schema[field.name] = MISSING
    for where, layer in layers:
        refuse_unknown(cls, layer, where)
        try:
            schema = OmegaConf.merge(schema, layer)
        except OmegaConfBaseException as error:
            named = getattr(error, "full_key", None)
            raise BadInput(f"{where}: {f'{named}: ' if named else ''}{str(error).splitlines()[0]}") from None
    missing = sorted(str(key) for key in OmegaConf.missing_keys(schema))
    if missing:
        docs = field_docs(cls)
        wanted = "; ".join(f"{key} ({docs.get(key, 'no description').rstrip('.')})" for key in missing)
        raise BadInput(f"required: {wanted}. Give it as {missing[0]}=VALUE or in --config")
    try:
        config: Any = OmegaConf.to_object(schema)
    except ValueError as error:  # from a dataclass's own __post_init__
        raise BadInput(str(error)) from None
    return config


def config_help(cls: type) -> str:
    """The table of keys with type, default and explanation, for `kcpt STAGE --help`."""
    docs = field_docs(cls)
    lines = []
    own = inspect.get_annotations(cls)
    for field in sorted(
        dataclasses.fields(cls), key=lambda known: known.name not in own
    ):  # what it inherits comes last
        default = field.default
        if default is dataclasses.MISSING:
            default = field.default_factory() if field.default_factory is not dataclasses.MISSING else MISSING
        requirement = "required" if str(default) == MISSING else f"default {default if default != '' else 'empty'}"
        kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
        head = f"  {field.name}  [{kind}, {requirement}]"
        lines.append(f"{head}\n{textwrap.indent(textwrap.fill(docs.get(field.name, ''), 94), ' ' * 6)}")
    return "\n".join(lines)


def conf_folder() -> Path:
    """The shipped `conf/` folder: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    for candidate in (package / "conf", package.parent / "conf"):
        if candidate.is_dir():
            return candidate
    raise BadInput(f"the shipped conf/ folder is missing beside {package}; install nemo_kcpt again")
