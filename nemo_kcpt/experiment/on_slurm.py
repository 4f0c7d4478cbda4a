"""A grid as Slurm jobs: each step that is not done is one, and waits for those before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.nodes import REPORT, Node
from nemo_kcpt.experiment.slurm import (
    Job,
    Resources,
    Site,
    command_job,
    launch_graph,
    resources_from,
    site_from,
    train_job,
)
from nemo_kcpt.experiment.slurm.train_job import bridge_on_nodes
from nemo_kcpt.experiment.states import DONE, States

KINDS = (
    "world",
    "corpus",
    "synthesize",
    "questions",
    "sft-data",
    "documents",
    "import",
    "replay",
    "pack",
    "distill",
    "pretrain",
    "finetune",
    "export",
    "answers",
    "verdicts",
    "scores",
    "report",
)
GPU_KINDS = ("synthesize", "replay", "distill", "pretrain", "finetune", "answers", "scores")
"""Steps that get the GPUs of the site; others get none unless `kinds` says so."""


def jobs_of(states: States, names: Sequence[str]) -> tuple[list[Job], Site]:
    """The jobs of what is not done, and the site.

    Raises:
        BadInput: the `slurm` section has an unknown key.
    """
    graph = states.graph
    given = dict(graph.config.slurm)
    own = given.pop("kinds", {}) or {}
    for kind in own:
        if kind not in KINDS:
            raise BadInput(f"slurm: kinds: no step of kind '{kind}'; {nearest(kind, KINDS)}")
    folder = Path.cwd()
    site, common = site_from(given, folder)
    left = [name for name in names if states.of(name).word != DONE]
    ends = {name: f"{job_name(name)}-done" if graph.nodes[name].launch else job_name(name) for name in left}
    jobs: list[Job] = []
    bridge = bridge_on_nodes(graph.config.backend, site.container)
    for name in left:
        node = graph.nodes[name]
        base = common if node.kind in GPU_KINDS else resources_from({"gpus": None, "nodes": None}, common, "slurm")
        size = resources_from(own.get(node.kind, {}), base, f"slurm: kinds: {node.kind}")
        after = [ends[dependency] for dependency in node.after if dependency in left]
        jobs += _jobs(states, node, size, folder, after, common, bridge)
    return jobs, site


def job_name(node: str) -> str:
    """A node's name as Slurm takes it."""
    return node.replace("@", "-seed")


def _jobs(
    states: States, node: Node, size: Resources, folder: Path, after: Sequence[str], common: Resources, bridge: str
) -> list[Job]:
    """A step is one job; a training, which torchrun starts on all its nodes, is followed by one that notes its end."""
    command = ["kcpt", "grid", "--config", str(states.graph.run / "experiment.yaml"), f"node={node.name}"]
    name = job_name(node.name)
    if node.launch is None:
        return [command_job(name, command, size, folder, after=after)]
    made = [states.graph.run / name for name in ("packs", "base", "train")]
    training = train_job(
        name,
        node.launch.recipe,
        list(node.launch.overrides),
        size,
        folder,
        task=node.launch.task,
        made=made,
        after=after,
        bridge=bridge,
    )
    small = resources_from({"gpus": None, "nodes": None}, common, "slurm")
    return [training, command_job(f"{name}-done", [*command, "ended=true"], small, folder, after=[name])]


def launch(states: States, names: Sequence[str]) -> None:
    """Submit, or show the scripts."""
    jobs, site = jobs_of(states, names)
    submit = states.graph.config.submit
    launch_graph(states.graph.run.name, jobs, site, submit=submit)
    if submit:
        print(f"how far it is: kcpt grid --config {states.graph.run}/experiment.yaml --status")
    if REPORT in names:
        print(
            "the report's job runs if every other one has succeeded; after a failure, and of what there is: "
            f"kcpt grid --config {states.graph.run}/experiment.yaml node=report"
        )
