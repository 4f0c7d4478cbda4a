"""Finished arms of an experiment in small files, so that it can be resumed in another folder, or elsewhere.

NAME.zip holds of one training, and of all that was made of it, the steps' manifests and what they wrote as JSON:
answers, scores, losses; no weights. It is taken only for the very same steps: fingerprints decide. A fingerprint knows
a model's folder by its files' sizes and times, which differ from machine to machine; so `models.json` in the archive
says what each such identity stands for by the bytes of the files.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.experiment import BASE
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.nodes import Node
from nemo_kcpt.experiment.states import DONE, WAITING, States
from nemo_kcpt.files import atomic_write, canonical_json, sha256_file, sha256_text
from nemo_kcpt.logs import LOG
from nemo_kcpt.runs import MANIFEST
from nemo_kcpt.serving.prompts import model_files

WHOLE = ("answers", "verdicts", "scores", "validation", "choose", "replay")
"""Kinds of steps whose JSON files are all kept, journals aside; of others what says that they are done."""
MODELS = "models.json"
"""Member of an archive: identity of a model's folder in the fingerprints -> SHA-256 of its files."""
_STAMP = (1980, 1, 1, 0, 0, 0)


def arms(graph: Graph) -> dict[str, list[str]]:
    """The steps of the base and of each training, with its seed, and its mixtures; and each self-replay."""
    if graph.config.model is None:
        return {}  # trainings start from a base that is made here, and mixtures need its weights
    steps: dict[str, list[str]] = {}
    for cell in graph.cells:
        name = cell.training.name if cell.training else BASE
        own = [step for step in cell.nodes if graph.nodes[step].cells]
        key = name if cell.seed is None else f"{name}@{cell.seed}"
        steps[key] = list(dict.fromkeys([*steps.get(key, ()), *own]))
    return steps | {name: [name] for name, node in graph.nodes.items() if node.kind == "replay"}


def _files(states: States, node: Node) -> list[Path]:
    kept = [states.folder(node.name) / MANIFEST, *node.products]
    if node.kind in WHOLE:
        for folder in node.folders:
            kept += [path for path in folder.glob("*.json*") if not path.name.startswith(("journal", "vllm"))]
    return sorted(dict.fromkeys(kept))


@lru_cache(maxsize=64)
def _content(model: Path, identity: str) -> str:
    """SHA-256 of a model's files, whatever their times; read again when its `identity` is another."""
    files = model_files(model.expanduser())
    return sha256_text(canonical_json({name: sha256_file(path) for name, path in files.items()}))


def _as_made(states: States, held: Mapping[str, bytes]) -> States:
    """The states as they were where the archive was made, as far as the models here have the bytes of those there."""
    there = {content: identity for identity, content in json.loads(held.get(MODELS, b"{}")).items()}
    if not there or set(there.values()) >= set(states.models.values()):
        return states
    contents = {path: _content(path, identity) for path, identity in states.models.items()}
    same = {path: there[content] for path, content in contents.items() if content in there}
    return States(states.graph, {**states.identities, **same})


def save(states: States, folder: Path) -> list[str]:
    """Write FOLDER/NAME.zip of every arm all of whose steps are done; their names."""
    run, names = states.graph.run, []
    for name, steps in arms(states.graph).items():
        if not steps or any(states.of(step).word != DONE for step in steps):
            continue
        names.append(name)
        path = folder / f"{name}.zip"
        if path.is_file() and not _differing(states, steps, _read(path)):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        files = [file for step in steps for file in _files(states, states.graph.nodes[step])]
        with atomic_write(path, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in dict.fromkeys(files):
                info = zipfile.ZipInfo(file.relative_to(run).as_posix(), _STAMP)
                archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED, 9)
            if models := {identity: _content(path, identity) for path, identity in states.models.items()}:
                archive.writestr(zipfile.ZipInfo(MODELS, _STAMP), json.dumps(models), zipfile.ZIP_DEFLATED, 9)
    return names


def restore(states: States, folder: Path) -> list[str]:
    """Put the arms of FOLDER/*.zip into the run's folder that it knows nothing of; their names.

    Raises:
        BadInput: a file is no such archive.
    """
    names = []
    for name, steps in arms(states.graph).items():
        path = folder / f"{name}.zip"
        if not path.is_file() or any(states.of(step).word != WAITING for step in steps):
            continue
        held = _read(path)
        if differing := _differing(states, steps, held):
            LOG.warning("%s: was made from something else (step %s) and is not taken", path, differing)
            continue
        allowed = [
            directory for step in steps for directory in (states.folder(step), *states.graph.nodes[step].folders)
        ]
        inside = {directory.relative_to(states.graph.run).as_posix() for directory in allowed}
        held.pop(MODELS, None)
        if strange := [file for file in held if PurePosixPath(file).parent.as_posix() not in inside]:
            raise BadInput(f"{path}: holds {strange[0]}, which no step of {name} writes; get the file again")
        for step in steps:  # with the identities of the models that are here
            file = _manifest(states, step)
            here = {"fingerprint": states.stages[step].fingerprint, "inputs": states.stages[step].inputs}
            held[file] = json.dumps(json.loads(held[file]) | here, ensure_ascii=False, indent=2).encode() + b"\n"
        # Manifests of steps last: they say that a step is done.
        for file in sorted(held, key=lambda file: file.startswith(states.folder("").name)):
            target = states.graph.run / file
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target, "wb") as stream:
                stream.write(held[file])
        names.append(name)
    return names


def _read(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist()}
    except (zipfile.BadZipFile, OSError) as error:
        raise BadInput(f"{path}: no readable archive of a finished arm ({error}); get it again or delete it") from None


def _manifest(states: States, step: str) -> str:
    """Name of a step's manifest in an archive."""
    return (states.folder(step).relative_to(states.graph.run) / MANIFEST).as_posix()


def _differing(states: States, steps: Sequence[str], held: Mapping[str, bytes]) -> str:
    """The first step that the archive does not hold as the experiment has it; empty where it holds all."""
    made = _as_made(states, held)
    for step in steps:
        text = held.get(_manifest(states, step))
        if text is None or not made.made_by(step, json.loads(text)["fingerprint"]):
            return step
    return ""
