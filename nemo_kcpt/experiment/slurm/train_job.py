"""The job of a training: its recipe's call, nodes and GPUs, checked before it waits in a queue for hours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.config import nearest
from nemo_kcpt.environments import package_path
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.backends import BACKENDS, NEMO, bridge_command, needed_bridge_python, nemo_command
from nemo_kcpt.experiment.slurm.jobs import FOLDERS, Job, Resources, made_before, resolved, task_script
from nemo_kcpt.experiment.slurm.recipes import Recipe, parse_call, recipes
from nemo_kcpt.recipe_calls import call as recipe_call


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
    paths = {key: resolved(folder, folders[key]) for key in FOLDERS if folders.get(key)}
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


def _absolute(folder: Path, value: Any) -> Any:
    return str(resolved(folder, value)) if isinstance(value, str) and value else value


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
