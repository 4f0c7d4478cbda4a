"""What a report reads: one folder or several of answers, scores and perplexity; every cell of a grid has its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring.scorers import FILE
from nemo_kcpt.files import file_in, read_json
from nemo_kcpt.records.files import PERPLEXITY, SCORES, Key
from nemo_kcpt.records.inputs import read_answers
from nemo_kcpt.runs import MANIFEST, read_manifest


def paths(given: Any) -> list[Path]:
    """The folders or files of a key that takes several: a list, or words separated by commas; none for nothing."""
    if not given:
        return []
    words = given.split(",") if isinstance(given, str) else given if isinstance(given, Sequence) else [given]
    return [Path(str(word).strip()) for word in words if str(word).strip()]


def names(key: str, given: Any) -> dict[str, Path]:
    """Those paths under names for fingerprints: `key` for one, `key/FOLDER` for several.

    Folders of equal names get the name of the folder that they are in as well, else a number.
    """
    folders = paths(given)
    if len(folders) == 1:
        return {key: folders[0]}
    short = [path.name for path in folders]
    if len(set(short)) < len(short):
        short = [f"{path.parent.name}/{path.name}" for path in folders]
    if len(set(short)) < len(short):
        short = [str(index) for index in range(len(folders))]
    return {f"{key}/{name}": path for name, path in zip(short, folders)}


def join_answers(given: Any, questions: Mapping[str, Mapping[str, Any]]) -> dict[Key, dict[str, Any]]:
    """The answers of all folders by (question_id, model).

    Raises:
        BadInput: as `read_answers`, or a model's answer to a question is in two folders.
    """
    joined: dict[Key, dict[str, Any]] = {}
    origin: dict[Key, Path] = {}
    for path in paths(given):
        answers = read_answers(path, questions)
        _refuse_twice("answers", answers, path, origin)
        joined |= answers
    return joined


def _refuse_twice(what: str, records: Mapping[Key, Any], path: Path, origin: dict[Key, Path]) -> None:
    twice = next((key for key in records if key in origin), None)
    if twice is not None:
        raise BadInput(
            f"{path}: '{twice[1]}' and question '{twice[0]}' are in {origin[twice]}, too; "
            f"give each model's {what} once, or give the models different names"
        )
    origin |= dict.fromkeys(records, path)


def join_scores(given: Any, answers: Mapping[Key, Any]) -> dict[Key, dict[str, Any]]:
    """The records of all scores.jsonl by (question_id, model).

    Raises:
        BadInput: a score without its answer, one that appears twice, or an answer without a score.
    """
    joined: dict[Key, dict[str, Any]] = {}
    origin: dict[Key, Path] = {}
    path = Path()
    for path in map(SCORES.path, paths(given)):
        records: dict[Key, dict[str, Any]] = {}
        for where, key, record in SCORES.keyed(path):
            if key not in answers:
                raise BadInput(f"{where}: no answer of '{key[1]}' to question '{key[0]}' in the answers")
            records[key] = record
        _refuse_twice("scores", records, path, origin)
        joined |= records
    lacking = next((key for key in answers if key not in joined), None)
    if lacking is not None:
        raise BadInput(
            f"{path}: no score of '{lacking[1]}' for question '{lacking[0]}'; run `kcpt score` on these answers"
        )
    return joined


def join_scorers(given: Any) -> dict[str, dict[str, Any]]:
    """The contents of the scorers.json that are beside scores.jsonl: scorers of other packages, by name.

    Raises:
        BadInput: two folders hold scores of one name by different packages, versions or labels.
    """
    joined: dict[str, dict[str, Any]] = {}
    for path in (SCORES.path(folder).with_name(FILE) for folder in paths(given)):
        for name, entry in (read_object(path) or {} if path.is_file() else {}).items():
            if joined.setdefault(name, entry) != entry:
                raise BadInput(
                    f"{path}: {name} is {entry}, in another folder of scores {joined[name]}; run `kcpt score` with one "
                    "version of its package on all answers"
                )
    return joined


def added_by_packages(inputs: Mapping[str, Path]) -> dict[str, str]:
    """What of other packages made the inputs, by their manifests: "scorer words" -> name and version of its package."""
    packages: dict[str, str] = {}
    for path in inputs.values():
        folder = path if path.is_dir() else path.parent
        if (folder / MANIFEST).is_file():
            packages |= read_manifest(folder)["config"].get("plugins") or {}
    return packages


def join_perplexity(given: Any, base: str) -> dict[str, Any] | None:
    """Contents of perplexity.json; of several folders measured anew from their perplexity.jsonl, text by text.

    Raises:
        BadInput: a text and model are in two folders, or the base has not read a text that another model has.
    """
    from nemo_kcpt.evaluation.scoring.perplexity_stage import measure

    folders = paths(given)
    if not folders:
        return None
    if len(folders) == 1:
        return read_object(file_in(folders[0], "perplexity.json"))
    joined: dict[Key, dict[str, Any]] = {}
    origin: dict[Key, Path] = {}
    for path in map(PERPLEXITY.path, folders):
        records = {key: record for _, key, record in PERPLEXITY.keyed(path)}
        _refuse_twice("perplexity", records, path, origin)
        joined |= records
    texts = {text for text, model in joined if model == base}
    other = next((key for key in joined if texts and key[0] not in texts), None)
    if other is not None:
        raise BadInput(
            f"{origin[other]}: text '{other[0]}' was read by '{other[1]}' and not by '{base}'; "
            "measure all models on the same text="
        )
    ordered = sorted(joined, key=lambda key: key[1] != base)
    return {"base": base, "models": measure([joined[key] for key in ordered], base)}


def read_object(path: Path | None) -> dict[str, Any] | None:
    """A JSON object, None for no path.

    Raises:
        BadInput: something else than an object.
    """
    if path is None:
        return None
    content = read_json(path)
    if not isinstance(content, dict):
        raise BadInput(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def read_stages(path: Path | None) -> list[dict[str, Any]]:
    """Times of stages.

    Raises:
        BadInput: something else than a list of objects with name and seconds.
    """
    if path is None:
        return []
    stages = read_json(path)
    if not isinstance(stages, list) or not all(
        isinstance(entry, dict) and {"name", "seconds"} <= set(entry) for entry in stages
    ):
        raise BadInput(f"{path}: expected a list of objects with name, seconds and cached")
    return [
        {"name": entry["name"], "seconds": entry["seconds"], "cached": bool(entry.get("cached"))} for entry in stages
    ]


def read_commands(path: Path | None) -> list[dict[str, Any]]:
    """The commands of a run: [{name, command: [word…]}].

    Raises:
        BadInput: another form.
    """
    if path is None:
        return []
    content = read_json(path)
    if not isinstance(content, list) or not all(
        isinstance(entry, dict)
        and isinstance(entry.get("command"), list)
        and all(isinstance(word, str) for word in entry["command"])
        for entry in content
    ):
        raise BadInput(f"{path}: expected a list of objects with name and command, which is a list of words")
    return [{"name": str(entry.get("name", "")), "command": entry["command"]} for entry in content]
