"""A Slurm job of this project and what each of its tasks runs, checked before it waits in a queue for hours."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import load_config, nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.stages import HIDDEN, STAGES

FOLDERS = ("model", "pack", "dir", "restore", "steps_like", "validation", "distillation")
"""Arguments of the recipes that name a folder."""
RUNS_DIRECTORY = "/nemo_run"
"""Where nemo_run mounts a job's folder in a container; without one it replaces the text wherever it stands."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a job was asked to have; None leaves it to the recipe, or to Slurm."""

    nodes: int | None = None
    """Nodes of a training."""
    gpus: int | None = None
    """GPUs of a node."""
    cpus: int | None = None
    """CPU cores of a task, of which there is one on each node."""
    time: str = "24:00:00"
    """Limit, as days-hours:minutes:seconds."""
    partition: str | None = None
    """Partition, as `sinfo` lists them."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job, or one array of them."""

    name: str
    """Also the name of its scripts."""
    script: str
    """What each task runs, in bash."""
    resources: Resources
    """With `nodes` decided, and `gpus` for a training."""
    torchrun: bool = False
    """The script is started by torchrun, once for each GPU."""
    shards: int = 0
    """Tasks of an array; 0 is a job of its own."""
    after: tuple[str, ...] = ()
    """Jobs that must have succeeded before."""
    reads: tuple[Path, ...] = ()
    """Files and folders that it is given."""
    makes: tuple[Path, ...] = ()
    """Folders that it writes."""


def quote(word: str) -> str:
    """`word` for bash, so that nemo_run does not take a part of it for its own folder."""
    return shlex.quote(word).replace(RUNS_DIRECTORY, "/nemo''_run")


def task_script(folder: Path, words: Iterable[str], shards: int = 0) -> str:
    """What a task runs in `folder`, the one where the tool was called."""
    shard = f' --shard "$SLURM_ARRAY_TASK_ID/{shards}"' if shards else ""
    return f"set -euo pipefail\ncd {quote(str(folder))}\nexec {' '.join(map(quote, words))}{shard}\n"


def made_before(path: Path, made: Iterable[Path]) -> bool:
    """Whether `path` is one of `made`, is in one or holds one."""
    return any(path == folder or folder in path.parents or path in folder.parents for folder in made)


def command_job(
    name: str,
    command: Sequence[str],
    wanted: Resources,
    folder: Path,
    *,
    after: Sequence[str] = (),
    reads: Sequence[Path] = (),
    makes: Sequence[Path] = (),
    torchrun: bool = False,
) -> Job:
    """Any command, once on one node; or, with `torchrun`, a training's, on every rank of its nodes.

    Args:
        name: the job's.
        command: its words; those that are paths are the caller's to make absolute or relative to `folder`.
        wanted: a command without torchrun takes one node, whatever is given there.
        folder: the command runs there; relative paths of `reads` and `makes` start there.
        after: jobs that must have succeeded before.
        reads: files and folders that the command is given, for what a container sees.
        makes: folders that it writes, likewise.
        torchrun: start it by torchrun once for each GPU, as `nemo llm …` wants it; `wanted` then says how many.

    Raises:
        BadInput: no command, or a training without nodes and GPUs.
    """
    if not command:
        raise BadInput(f"job {name}: no command was given")
    if torchrun and not (wanted.nodes and wanted.gpus):
        raise BadInput(f"job {name}: torchrun needs nodes and gpus; give both")
    return Job(
        name=name,
        script=task_script(folder, command),
        resources=wanted if torchrun else dataclasses.replace(wanted, nodes=1),
        torchrun=torchrun,
        after=tuple(after),
        reads=tuple(resolved(folder, path) for path in reads),
        makes=tuple(resolved(folder, path) for path in makes),
    )


def resolved(folder: Path, value: Any) -> Path:
    """A path as a job has it that runs in `folder`."""
    return (folder / str(value)).resolve()


def stage_jobs(
    name: str,
    stage: str,
    words: Sequence[str],
    wanted: Resources,
    folder: Path,
    *,
    shards: int = 0,
    config: Path | None = None,
    made: Sequence[Path] = (),
    after: Sequence[str] = (),
) -> list[Job]:
    """A stage of `kcpt` as one job, or as an array with a shard a task and the job that unites them.

    Args:
        name: of the job; that which unites the shards is called name-merge.
        stage: of `kcpt --help`.
        words: its keys, key=value. Words of another form are passed on, and nothing is checked then.
        wanted: GPUs and cores of each task.
        folder: relative paths start here.
        shards: tasks of the array, for stages that take a share of the work (`--shard`).
        config: YAML file of keys.
        made: folders that earlier jobs make, which need not be there yet.
        after: jobs that must have succeeded before the first.

    Raises:
        BadInput: the stage would end at its start.
    """
    known = {**STAGES, **HIDDEN}
    if stage not in known:
        raise BadInput(f"no stage {stage}; {nearest(stage, [*known])}")
    fields = _fields(stage)
    words = [_with_full_path(word, fields, folder) for word in words]
    names = [word.partition("=")[0] for word in words]
    if shards and "shard" not in fields:
        able = [candidate for candidate in STAGES if "shard" in _fields(candidate)]
        raise BadInput(f"kcpt {stage} does not take shards; {' and '.join(able)} do")
    for key in ("shard", "merge"):
        if key in names and key in fields:
            raise BadInput(f"'{key}': given by this tool; ask for shards=N instead")
    given_config = ["--config", str(resolved(folder, config))] if config else []
    reads: tuple[Path, ...] = (resolved(folder, config),) if config else ()
    if all("=" in word and not word.startswith("-") for word in words):
        load_config(_config(stage), file=reads[0] if reads else None, overrides=words)
        paths = {key: Path(word.partition("=")[2]) for key, word in zip(names, words) if fields[key]}
        makes = [paths.pop("out")] if "out" in paths else []
        for key, path in paths.items():
            if not path.exists() and not made_before(path, made):
                raise BadInput(f"kcpt {stage}: {key}: {path} is not there, and no earlier job makes it")
        reads += tuple(paths.values())
    else:
        makes = [resolved(folder, target) for option, target in itertools.pairwise(words) if option == "--to"]
    command = ["kcpt", stage, *given_config, *words]
    job = Job(
        name=name,
        script=task_script(folder, command, shards),
        resources=dataclasses.replace(wanted, nodes=1),
        shards=shards,
        after=tuple(after),
        reads=reads,
        makes=tuple(makes),
    )
    if not shards:
        return [job]
    unite = dataclasses.replace(
        job,
        name=f"{name}-merge",
        script=task_script(folder, [*command, "--merge"]),
        resources=dataclasses.replace(job.resources, gpus=None),
        shards=0,
        after=(name,),
    )
    return [job, unite]


def _config(stage: str) -> Any:
    return importlib.import_module({**STAGES, **HIDDEN}[stage][0]).Config


def _fields(stage: str) -> dict[str, bool]:
    """The keys of a stage, and whether each is a path."""
    return {field.name: "Path" in str(field.type) for field in dataclasses.fields(_config(stage))}


def _with_full_path(word: str, fields: dict[str, bool], folder: Path) -> str:
    key, equals, value = word.partition("=")
    return f"{key}={resolved(folder, value)}" if equals and value and fields.get(key) else word
