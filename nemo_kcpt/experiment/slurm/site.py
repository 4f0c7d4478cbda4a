"""What all jobs of a call share: account, environment, folder for scripts and logs; from options or a YAML file."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.slurm.jobs import RUNS_DIRECTORY, Resources

JOBS = Path("runs/slurm")
"""Folder for scripts and logs unless told."""
RESOURCES = tuple(field.name for field in dataclasses.fields(Resources))
KEYS = ("account", *RESOURCES, "container", "venv", "mounts", "env", "sbatch", "retries", "jobs")
"""Keys of a mapping for :func:`site_from`; the options of kcpt slurm of the same names."""
_NUMBERS = ("nodes", "gpus", "cpus")
_LISTS = ("mounts", "env")


@dataclass(frozen=True, kw_only=True)
class Site:
    """What all jobs of a call share."""

    account: str | None
    """Slurm account; None takes the user's default."""
    container: str | None
    """Image for pyxis; None runs in `venv`."""
    mounts: tuple[str, ...]
    """SRC:DST, seen in the container."""
    venv: Path
    """Virtual environment with kcpt."""
    env: tuple[str, ...]
    """Names of variables whose values jobs inherit."""
    jobs: Path
    """Folder for scripts and logs."""
    retries: int
    """Times a failed job is queued again."""
    sbatch: Mapping[str, str | bool]
    """More options of sbatch, with _ for -."""


def make_site(
    folder: Path,
    *,
    account: str | None = None,
    container: str | None = None,
    mounts: Sequence[str] = (),
    venv: Path | None = None,
    env: Sequence[str] = (),
    jobs: Path = JOBS,
    retries: int = 0,
    sbatch: Mapping[str, str | bool] | None = None,
    dashes: str = "--",
) -> Site:
    """The options, checked.

    Args:
        folder: where jobs run and relative paths start.
        account: see :class:`Site`, as for what follows.
        container: image.
        mounts: folders that are seen under their own paths, or SRC:DST; `folder` is always seen.
        venv: default: that of this Python.
        env: names.
        jobs: folder.
        retries: times.
        sbatch: options.
        dashes: what precedes a name where the user wrote it, for messages.

    Raises:
        BadInput: a path that nemo-run cannot have, a variable that is not set, an environment without kcpt.
    """
    where = (folder / jobs).resolve()
    if re.search(r"\s", str(where)) or RUNS_DIRECTORY in str(where):
        raise BadInput(
            f"{dashes}jobs {where}: nemo-run cannot have white space or {RUNS_DIRECTORY} in this path; give another"
        )
    for name in env:
        if not name.isidentifier():
            raise BadInput(f"{dashes}env takes the name of a variable alone; its value is inherited from your shell")
        if name not in os.environ:
            raise BadInput(f"{dashes}env {name}: not set in this shell; export {name} first")
    prefix = (folder / (venv or sys.prefix)).absolute()
    if not container and not (prefix / "bin" / "kcpt").is_file():
        raise BadInput(
            f"{dashes}venv {prefix}: no bin/kcpt in it; make one with make setup GPU=1, or give {dashes}container IMAGE"
        )
    seen = [mount if ":" in mount else f"{(folder / mount).resolve()}:{(folder / mount).resolve()}" for mount in mounts]
    return Site(
        account=account,
        container=container,
        mounts=(f"{folder}:{folder}", *seen),
        venv=prefix,
        env=tuple(env),
        jobs=where,
        retries=retries,
        sbatch=dict(sbatch or {}),
    )


def site_from(given: Mapping[str, Any], folder: Path, where: str = "slurm") -> tuple[Site, Resources]:
    """The site of a mapping of a YAML file, and what its jobs are given where they do not say.

    Args:
        given: some of `KEYS`; null stands for the default. `sbatch` is a mapping {qos: high, exclusive: true}, or a
            list [qos=high, exclusive].
        folder: where jobs run and relative paths start.
        where: what the mapping is, for messages: file and key.

    Raises:
        BadInput: an unknown key, a value of a wrong type, or what :func:`make_site` refuses.
    """
    for key in given:
        if key not in KEYS:
            raise BadInput(f"{where}: unknown key '{key}'; {nearest(str(key), KEYS)}")
    wanted = resources_from({key: given[key] for key in RESOURCES if key in given}, Resources(), where)
    options = {key: value for key, value in given.items() if key not in RESOURCES and value is not None}
    for key, value in options.items():
        _check(where, key, value)
    if options.get("container") and options.get("venv"):
        raise BadInput(f"{where}: venv and container: give one of them")
    for key in ("venv", "jobs"):
        if key in options:
            options[key] = Path(options[key]).expanduser()
    if "sbatch" in options:
        options["sbatch"] = _sbatch(where, options["sbatch"])
    try:
        return make_site(folder, **options, dashes=""), wanted
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None


def resources_from(given: Mapping[str, Any], common: Resources, where: str) -> Resources:
    """What one job is given: `given` over `common`; null takes what is common away.

    Raises:
        BadInput: an unknown key, or a value of a wrong type.
    """
    for key, value in given.items():
        if key not in RESOURCES:
            raise BadInput(f"{where}: unknown key '{key}'; {nearest(str(key), RESOURCES)}")
        if value is not None:
            _check(where, key, value)
    own: dict[str, Any] = dict(given)
    if "time" in own and own["time"] is None:
        own["time"] = Resources.time
    return dataclasses.replace(common, **own)


def sbatch_option(text: str) -> tuple[str, str | bool]:
    """Name and value of `qos=high`; of `exclusive`, without a value, True."""
    key, equals, value = text.lstrip("-").partition("=")
    return key.replace("-", "_"), value if equals else True


def _check(where: str, key: str, value: Any) -> None:
    if key in _NUMBERS:
        good, expected = type(value) is int and value > 0, "a number above 0"
    elif key == "retries":
        good, expected = type(value) is int and value >= 0, "a number, at least 0"
    elif key in _LISTS:
        good = isinstance(value, list) and all(isinstance(word, str) for word in value)
        expected = "a list of texts, as [a, b]"
    elif key == "sbatch":
        good = isinstance(value, Mapping) or (
            isinstance(value, list) and all(isinstance(option, str) for option in value)
        )
        expected = "a mapping, as {qos: high, exclusive: true}"
    else:
        good, expected = isinstance(value, str) and bool(value), "a text; put it in quotes"
    if not good:
        raise BadInput(f"{where}: {key}: {value!r} is not {expected}")


def _sbatch(where: str, given: Any) -> dict[str, str | bool]:
    if isinstance(given, list):
        return dict(map(sbatch_option, given))
    options: dict[str, str | bool] = {}
    for name, value in given.items():
        if not isinstance(value, str | int) or not isinstance(name, str):
            raise BadInput(f"{where}: sbatch: {name}: {value!r} is not a text, a number or true")
        if value is not False:  # an option without a value that is not wanted
            options[sbatch_option(name)[0]] = True if value is True else str(value)
    return options
