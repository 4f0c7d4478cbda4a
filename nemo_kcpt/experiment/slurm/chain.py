"""A file of jobs that follow each other, from synthesis to the report.

    jobs:
      pack:
        stage: pack
        keys: [corpus=runs/mine/corpus, synthetic=runs/mine/synthetic, tokenizer=models/base, out=runs/mine/pack]
        cpus: 32
      pretrain:
        train: kcpt_llmjp3_13b_4k(pack='runs/mine/pack', dir='runs/mine/pretrain', restore='runs/mine/base')
        overrides: [trainer.log_every_n_steps=1]
        nodes: 2
        after: [pack]

A job waits for those in `after`, without it for the one before, and starts if they have succeeded. With
`backend: bridge` a training is Megatron-Bridge's, and its overrides in the Bridge's words. Lists are words as on the
command line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.backends import NEMO
from nemo_kcpt.experiment.slurm.jobs import Job, Resources, stage_jobs
from nemo_kcpt.experiment.slurm.train_job import bridge_on_nodes, train_job

NUMBERS, LISTS = ("nodes", "gpus", "cpus", "shards"), ("after",)
COMMON = ("gpus", "cpus", "time", "partition", "after")
KEYS = {
    "train": ("train", "overrides", "task", "backend", "nodes", *COMMON),
    "stage": ("stage", "keys", "config", "shards", *COMMON),
}


def read_chain(path: Path, common: Resources, folder: Path, container: str | None = None) -> list[Job]:
    """The jobs of a file, checked, in an order in which they can be submitted.

    Args:
        path: YAML file, see above.
        common: what a job is given where the file does not say.
        folder: relative paths start here.
        container: image that the jobs run in.

    Raises:
        BadInput: with file, job and key.
    """
    jobs: list[Job] = []
    last: dict[str, str] = {}  # by a job's name, the one to wait for: of an array, that which unites it
    made: dict[str, tuple[Path, ...]] = {}
    for name, entry in _entries(path).items():
        where = f"{path}: job {name}"
        kind = _check(where, entry)
        after = entry.get("after", [*last][-1:])
        for dependency in after:
            if dependency not in last:
                known = f"{nearest(dependency, [*last])}" if last else "no job precedes it"
                raise BadInput(f"{where}: after: no job '{dependency}' above this one; {known}")
        before = tuple(path for dependency in after for path in made[dependency])
        try:
            new = _jobs(name, kind, entry, common, folder, before, container)
        except BadInput as error:
            raise BadInput(f"{where}: {kind}: {error}") from None
        new[0] = dataclasses.replace(new[0], after=tuple(last[dependency] for dependency in after))
        taken = {job.name for job in jobs} & {job.name for job in new}
        if taken:
            raise BadInput(f"{where}: the name {taken.pop()} is taken by an array's merge; rename this job")
        jobs += new
        last[name] = new[-1].name
        made[name] = (*before, *new[0].makes)
    return jobs


def _entries(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """The file's jobs, each a mapping, with none lost because two have one name."""
    try:
        text = path.read_text(encoding="utf-8")
        content, tree = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    jobs = content.get("jobs") if isinstance(content, dict) else None
    if not isinstance(jobs, dict) or not jobs or [*content] != ["jobs"]:
        raise BadInput(f"{path}: expected one key, jobs, with a mapping of names to jobs")
    assert isinstance(tree, yaml.MappingNode)
    names = [key.value for key, _ in tree.value[0][1].value]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{path}: job {name}: appears twice; rename one")
    return jobs


def _check(where: str, entry: Any) -> str:
    """The job's kind, train or stage; its keys are known and of their types."""
    kinds = [kind for kind in KEYS if isinstance(entry, dict) and kind in entry]
    if len(kinds) != 1:
        raise BadInput(f"{where}: expected either train: RECIPE or stage: NAME")
    for key, value in entry.items():
        if key not in KEYS[kinds[0]]:
            hint = "a stage on several nodes is given shards" if key == "nodes" else nearest(str(key), KEYS[kinds[0]])
            raise BadInput(f"{where}: unknown key '{key}'; {hint}")
        if key in NUMBERS:
            good, expected = type(value) is int and value > 0, "a number above 0"
        elif key in (*LISTS, "keys", "overrides"):
            good = isinstance(value, list) and all(isinstance(word, str) for word in value)
            expected = "a list of texts, as [a, b]"
        else:
            good, expected = isinstance(value, str), "a text; put it in quotes"
        if not good:
            raise BadInput(f"{where}: {key}: {value!r} is not {expected}")
    return kinds[0]


def _jobs(
    name: str,
    kind: str,
    entry: Mapping[str, Any],
    common: Resources,
    folder: Path,
    made: tuple[Path, ...],
    container: str | None,
) -> list[Job]:
    own = {key: entry[key] for key in ("nodes", "gpus", "cpus", "time", "partition") if key in entry}
    wanted = dataclasses.replace(common, **own)
    if kind == "train":
        overrides = entry.get("overrides", [])
        bridge, task = bridge_on_nodes(entry.get("backend", NEMO), container), entry.get("task")
        return [train_job(name, entry["train"], overrides, wanted, folder, task=task, made=made, bridge=bridge)]
    config = Path(entry["config"]) if "config" in entry else None
    return stage_jobs(
        name,
        entry["stage"],
        entry.get("keys", []),
        wanted,
        folder,
        shards=entry.get("shards", 0),
        config=config,
        made=made,
    )
