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

from nemo_kcpt.checkpoints.checkpoint import find_checkpoint
from nemo_kcpt.config import load_config, nearest
from nemo_kcpt.environments import package_path
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.backends import BACKENDS, NEMO, bridge_command, needed_bridge_python, nemo_command
from nemo_kcpt.experiment.slurm.recipes import Recipe, parse_call, recipes
from nemo_kcpt.recipe_calls import call as recipe_call
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
    return any(path == one or one in path.parents or path in one.parents for one in made)


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
        reads=tuple(_path(folder, path) for path in reads),
        makes=tuple(_path(folder, path) for path in makes),
    )


def train_job(
    name: str,
    call: str,
    overrides: Sequence[str],
    wanted: Resources,
    folder: Path,
    *,
    task: str | None = None,
    made: Sequence[Path] = (),
    after: Sequence[str] = (),
    bridge: str = "",
) -> Job:
    """A training by torchrun across nodes.

    Args:
        name: the job's.
        call: the factory as for `nemo llm … --factory`.
        overrides: as for NeMo's command line, path=value.
        wanted: nodes and GPUs are put into the call; without them those of the call or the recipe's defaults are taken.
        folder: relative paths start here.
        task: pretrain or finetune; needed only for recipes that are not of this package, which are passed on as given.
        made: folders that earlier jobs make, which need not be there yet.
        after: jobs that must have succeeded before.
        bridge: the Python with Megatron-Bridge that is to train (:func:`bridge_on_nodes`); empty: NeMo does.

    Raises:
        BadInput: the recipe would end at its start.
    """
    factory, values, given = parse_call(call)
    known = recipes()
    recipe = known.get(factory)
    if recipe is None:
        if task is None:
            raise BadInput(
                f"no recipe {factory}; {nearest(factory, [*known])}. For a recipe of your own give its task too"
            )
        nodes, gpus = wanted.nodes or 1, wanted.gpus or 8
        arguments = given
    else:
        if task not in (None, recipe.task):
            raise BadInput(f"{factory} is a recipe of nemo llm {recipe.task}, not {task}; leave the task out")
        arguments = {**_named(factory, recipe, values), **given}
        _refuse_unknown_arguments(factory, recipe, arguments)
        arguments = {key: _absolute(folder, value) if key in FOLDERS else value for key, value in arguments.items()}
        nodes, gpus = _sizes(factory, recipe, arguments, wanted)
        call = recipe_call(factory, arguments)
    _check_overrides(overrides, nodes, gpus)
    folders = {**(recipe.defaults if recipe else {}), **arguments}
    paths = {key: _path(folder, folders[key]) for key in FOLDERS if folders.get(key)}
    if recipe is not None:
        _check_folders(factory, paths, made)
    if bridge and recipe is None:
        raise BadInput(f"{factory}: is not of the catalogue, from which Megatron-Bridge's trainings are planned")
    if bridge:
        words = [*_found_by(bridge), *bridge_command(bridge, factory, arguments, overrides)]
    else:
        words = nemo_command(task or (recipe.task if recipe else ""), call, overrides, script="nemo")
    return Job(
        name=name,
        script=task_script(folder, words),
        resources=dataclasses.replace(wanted, nodes=nodes, gpus=gpus),
        torchrun=True,
        after=tuple(after),
        reads=tuple(paths.values()),
        makes=(paths["dir"],) if "dir" in paths else (),
    )


def bridge_on_nodes(backend: str, container: str | None) -> str:
    """The Python with Megatron-Bridge on the nodes: the container's, or that of this machine; empty for NeMo.

    Raises:
        BadInput: it is not installed, or there is no such backend.
    """
    if backend not in BACKENDS:
        raise BadInput(f"backend: '{backend}' is not one of {', '.join(BACKENDS)}")
    if backend == NEMO:
        return ""
    return "python" if container else needed_bridge_python()


def _found_by(bridge: str) -> list[str]:
    """What lets another environment's Python find this package; a container has its own."""
    there = package_path() if "/" in bridge else {}
    return ["env", *(f"{name}={value}" for name, value in there.items())] if there else []


def _path(folder: Path, value: Any) -> Path:
    return (folder / str(value)).resolve()


def _absolute(folder: Path, value: Any) -> Any:
    return str(_path(folder, value)) if isinstance(value, str) and value else value


def _named(factory: str, recipe: Recipe, values: Sequence[Any]) -> dict[str, Any]:
    if len(values) > len(recipe.arguments):
        raise BadInput(f"{factory}: {len(values)} arguments, but it takes {', '.join(recipe.arguments)}")
    return dict(zip(recipe.arguments, values))


def _refuse_unknown_arguments(factory: str, recipe: Recipe, arguments: Iterable[str]) -> None:
    for key in arguments:
        if key not in recipe.arguments:
            raise BadInput(f"{factory} has no argument {key}; {nearest(key, recipe.arguments)}")


def _sizes(factory: str, recipe: Recipe, arguments: dict[str, Any], wanted: Resources) -> tuple[int, int]:
    """Nodes and GPUs per node, which are put into the recipe's arguments too."""
    sizes = []
    on_gpus = "gpus" if "gpus" in recipe.arguments else "processes"  # the recipes for the CPU count processes
    for key, asked in (("nodes", wanted.nodes), (on_gpus, wanted.gpus)):
        option = "nodes" if key == "nodes" else "gpus"
        given = arguments.get(key)
        if asked and given and asked != given:
            raise BadInput(f"{factory}: {key}={given} in its call, but {option}={asked} for the job; give one of them")
        size = given or asked or recipe.defaults.get(key, 1)
        if key in recipe.arguments:
            arguments[key] = size
        elif size != 1:
            raise BadInput(f"{factory} runs on one node: it takes no argument {key}, but {option}={size} was asked for")
        sizes.append(int(size))
    return sizes[0], sizes[1]


def _check_overrides(overrides: Iterable[str], nodes: int, gpus: int) -> None:
    decided = {"trainer.num_nodes": ("nodes", nodes), "trainer.devices": ("gpus", gpus)}
    for word in overrides:
        key, equals, value = word.partition("=")
        if not equals:
            raise BadInput(f"'{word}': an override is path=value, as trainer.max_steps=100")
        option, size = decided.get(key, ("", None))
        if size is not None and value != str(size):
            raise BadInput(f"{word}, but {option}={size} for the job; give {option}, which sets both")
        if key == "backend":
            raise BadInput(f"'{word}': is no override; give --backend {value}, in a chain the key backend: {value}")
        if key.startswith("run."):
            raise BadInput(f"'{word}': this tool gives the executor; see kcpt slurm train --help for its options")


def _check_folders(factory: str, paths: dict[str, Path], made: Sequence[Path]) -> None:
    """The packs and the weights are there, or an earlier job makes them."""
    for key in ("pack", "steps_like", "validation"):
        if key in paths and not made_before(paths[key], made) and not (paths[key] / "manifest.json").is_file():
            raise BadInput(
                f"{factory}: {key}: {paths[key]} is not a finished pack (no manifest.json); see kcpt pack --help"
            )
    if "restore" in paths:
        if not made_before(paths["restore"], made):
            find_checkpoint(paths["restore"])
    elif not factory.endswith(("_tiny", "_demo")):
        try:
            find_checkpoint(paths["dir"])
        except (BadInput, KeyError):
            raise BadInput(
                f"{factory}: no restore=, and no finished checkpoint in {paths.get('dir', 'a dir=')} to continue from, "
                "so it would train from random weights. Give restore='FOLDER', of kcpt convert or of another training"
            ) from None


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
        able = [one for one in STAGES if "shard" in _fields(one)]
        raise BadInput(f"kcpt {stage} does not take shards; {' and '.join(able)} do")
    for key in ("shard", "merge"):
        if key in names and key in fields:
            raise BadInput(f"'{key}': given by this tool; ask for shards=N instead")
    given_config = ["--config", str(_path(folder, config))] if config else []
    reads: tuple[Path, ...] = (_path(folder, config),) if config else ()
    if all("=" in word and not word.startswith("-") for word in words):
        load_config(_config(stage), file=reads[0] if reads else None, overrides=words)
        paths = {key: Path(word.partition("=")[2]) for key, word in zip(names, words) if fields[key]}
        makes = [paths.pop("out")] if "out" in paths else []
        for key, path in paths.items():
            if not path.exists() and not made_before(path, made):
                raise BadInput(f"kcpt {stage}: {key}: {path} is not there, and no earlier job makes it")
        reads += tuple(paths.values())
    else:
        makes = [_path(folder, target) for option, target in itertools.pairwise(words) if option == "--to"]
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
    return f"{key}={_path(folder, value)}" if equals and value and fields.get(key) else word
