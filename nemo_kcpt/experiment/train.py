"""Train a recipe, with NeMo or with Megatron-Bridge: the same model, windows, layout, steps and learning rate.

    kcpt train kcpt_tiny pack=runs/demo/packs/trained dir=runs/mine/pretrain
    kcpt train kcpt_tiny backend=bridge pack=runs/demo/packs/trained dir=runs/mine/pretrain optimizer.lr=1e-3

Keys are the recipe's arguments; `kcpt train RECIPE --help` lists them. What has a dot in its name overrides a part of
the training in the backend's own words: for NeMo those of `nemo llm` (optim.config.lr=1e-4, trainer.max_steps=20), for
Megatron-Bridge Hydra's, of its ConfigContainer (optimizer.lr=1e-4, train.train_iters=20, ++model.new=1). With the key
backend=nemo, which is the default, it runs `nemo llm` as you would; --dryrun prints the command.

What the backend prints goes to train.log in dir, metrics to metrics.jsonl, checkpoints to checkpoints. A training that
was interrupted continues from its newest checkpoint when the same command is given again. It runs on this machine; for
several give the same words to `kcpt slurm train`.
"""

from __future__ import annotations

import argparse
import re
import shlex
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import keys_of, load_config
from nemo_kcpt.environments import has_nvidia_driver, package_path
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.backends import (
    BACKENDS,
    BRIDGE,
    NEMO,
    NEMO_SCRIPT,
    bridge_command,
    needed_bridge_python,
    nemo_command,
    on_ranks,
)
from nemo_kcpt.experiment.process import StepProcess
from nemo_kcpt.logs import LOG, set_up
from nemo_kcpt.planning.catalogue import RECIPES, find_entry
from nemo_kcpt.planning.planned import plan_training
from nemo_kcpt.planning.recipe_arguments import meanings, signature, title
from nemo_kcpt.planning.training import TrainingPlan
from nemo_kcpt.progress import progress
from nemo_kcpt.recipe_calls import call
from nemo_kcpt.records.files import STEPS
from nemo_kcpt.records.steps import last_step

OWN = {
    "backend": (str, NEMO, "nemo, or bridge for Megatron-Bridge (make setup-bridge)"),
    "dryrun": (bool, False, "print the plan and the command, and train nothing"),
}
"""Keys beside the recipe's: type, default, meaning."""
PARTS = ("data", "optim", "trainer", "log", "resume")
"""Parts of NeMo's training that are given as a whole, as data=kcpt_packed(…), and are no arguments of a recipe."""
POLL_SECONDS = 0.2
_OVERRIDE = re.compile(r"[+~]|[\w\[\]]+[.\[]|(?:" + "|".join(PARTS) + r")=")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asks for."""

    recipe: str
    arguments: Mapping[str, Any]
    """Those that were given, of their types."""
    overrides: Sequence[str]
    backend: str
    dryrun: bool


def read(words: Sequence[str], file: Path | None = None) -> Asked:
    """The words of a command line and the keys of a YAML file, of which the words win.

    Raises:
        BadInput: no recipe or an unknown one, an unknown key, a value of another type.
    """
    if not words or "=" in words[0] or words[0].startswith("-"):
        raise BadInput("command line: the recipe is missing; kcpt train RECIPE key=value … (kcpt recipes lists them)")
    recipe, *rest = words
    entry = find_entry(recipe)
    given = keys_of(rest, {"dryrun", "lora_embeddings"})
    overrides = [word for word in given if _OVERRIDE.match(word)]
    keys = [word for word in given if not _OVERRIDE.match(word)]
    known = [(name, type_, default) for name, (type_, default, _) in OWN.items()]
    for parameter in signature(entry).parameters.values():
        needed = parameter.default is parameter.empty  # that it is missing is said with the plan
        known.append(
            (
                parameter.name,
                parameter.annotation | None if needed else parameter.annotation,
                None if needed else parameter.default,
            )
        )
    config: Any = load_config(make_dataclass("Keys", known, kw_only=True), file=file, overrides=keys)
    values = vars(config)
    backend, dryrun = values["backend"], values["dryrun"]
    if backend not in BACKENDS:
        raise BadInput(f"backend: '{backend}' is not one of {', '.join(BACKENDS)}")
    arguments = {name: values[name] for name, _, default in known if name not in OWN and values[name] != default}
    return Asked(recipe=recipe, arguments=arguments, overrides=overrides, backend=backend, dryrun=dryrun)


def command(asked: Asked, plan: TrainingPlan) -> list[str]:
    """What trains it on this machine.

    Raises:
        BadInput: it is for several machines; the backend is not installed; a folder with a comma, for NeMo.
    """
    if plan.nodes > 1:
        raise BadInput(
            f"nodes={plan.nodes}: kcpt train runs on this machine alone; on a cluster: "
            + shlex.join(["kcpt", "slurm", "train", call(asked.recipe, asked.arguments), "--backend", asked.backend])
        )
    if asked.backend == BRIDGE:
        python = needed_bridge_python()
        return on_ranks(BRIDGE, bridge_command(python, asked.recipe, asked.arguments, asked.overrides), plan.processes)
    if not Path(NEMO_SCRIPT).is_file():
        raise BadInput(f"backend=nemo: {NEMO_SCRIPT} is not there; run `make setup`, or take backend=bridge")
    if executor := [word for word in asked.overrides if word.startswith("run.")]:
        raise BadInput(f"{executor[0]}: kcpt train gives the executor itself; leave it out")
    return on_ranks(NEMO, nemo_command(plan.task, call(asked.recipe, asked.arguments), asked.overrides), plan.processes)


def environment(backend: str, plan: TrainingPlan) -> dict[str, str]:
    """What the command's environment has beside this one's."""
    variables = package_path() if backend == BRIDGE else {}
    if plan.processes > 1:
        # Megatron overlaps communication only if kernels start in the order they were queued; ranks share the cores.
        variables |= {"CUDA_DEVICE_MAX_CONNECTIONS": "1"} if has_nvidia_driver() else {"OMP_NUM_THREADS": "1"}
    return variables


def describe(plan: TrainingPlan) -> str:
    """The plan for people."""
    own, batch = plan.shape.parameters(), plan.global_batch_size
    adapters = f", adapters of rank {plan.lora.rank}" if plan.lora else ""
    taught = f", learning from {plan.distilling.folder}" if plan.distilling else ""
    return "\n".join(
        [
            f"{plan.recipe} ({plan.task}): {own / 1e6:,.1f} million weights{adapters}{taught}",
            f"  weights        {plan.restore or 'random, if there is no checkpoint to continue from'}",
            f"  windows        {plan.pack}: {plan.seq_length:,} tokens each, {batch:,} a step",
            f"  steps          {plan.steps:,}, a checkpoint every {plan.checkpoint_every:,}",
            f"  learning rate  {plan.learning_rate:g} after a warm-up of {plan.warmup_steps:,}, then along a cosine to "
            f"{plan.least_learning_rate:g}",
            f"  layout         {plan.nodes} × {plan.processes} ranks: {plan.layout.name}",
            f"  precision      {'bfloat16 with float32 main weights on GPUs' if plan.bf16 else 'float32'}",
            f"  RoPE           {plan.rope_reason}",
        ]
    )


def run(asked: Asked) -> None:
    """Train, or say what would be.

    Raises:
        BadInput: what was asked for cannot be.
        KcptError: the training failed; the message has the end of its log.
    """
    plan = plan_training(asked.recipe, **asked.arguments)
    print(describe(plan))
    words, added = command(asked, plan), environment(asked.backend, plan)
    if asked.dryrun:
        print("  command       ", *[f"{name}={value}" for name, value in added.items()], shlex.join(words))
        return
    folder = Path(plan.dir)
    log, metrics = folder / "train.log", folder / STEPS.name
    LOG.info("training with %s; its log: %s", asked.backend, log)
    process = StepProcess("train", words, log, [metrics], added, metrics)
    try:
        with progress() as bar:
            task = bar.add_task("steps", total=None)
            while not process.ended:
                last = last_step(metrics)
                if last:
                    bar.update(task, completed=last["step"], total=last["max_steps"])
                time.sleep(POLL_SECONDS)
    except BaseException:
        process.stop()
        raise
    if problem := process.problem():
        raise problem
    last = last_step(metrics) or {}
    LOG.info(
        "%s: %s of %s steps done, loss %.4f; checkpoints in %s",
        folder,
        last["step"],
        last["max_steps"],
        last["loss"],
        folder / "checkpoints",
    )


def help_text(recipe: str | None) -> str:
    """What `kcpt train --help` prints, and with a recipe its keys."""
    usage = "usage: kcpt train RECIPE [--config FILE.yaml] [--dryrun] [--log FILE] [key=value | --key value ...]"
    if recipe is None:
        names = textwrap.fill(", ".join(RECIPES), 98, initial_indent="  ", subsequent_indent="  ")
        return f"kcpt train: {__doc__}\n{usage}\n\nrecipes (kcpt recipes has their layouts):\n{names}"
    entry, lines = find_entry(recipe), []
    keys = [(name, default, text) for name, (_, default, text) in OWN.items()]
    takes = signature(entry).parameters
    keys += [(name, takes[name].default, text) for name, text in meanings(entry).items()]
    for name, default, text in keys:
        displayed = "none" if default is None else default
        head = "required" if name in takes and takes[name].default is takes[name].empty else f"default {displayed}"
        lines += [f"  {name}  [{head}]", textwrap.indent(textwrap.fill(text, 94), " " * 6)]
    usage = usage.replace("RECIPE", recipe)
    return "\n".join([f"kcpt train {recipe}: {title(entry)}", "", usage, "", "keys:", *lines])


def main(words: Sequence[str]) -> int:
    """`kcpt train`; returns the exit code."""
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("--config", type=Path)
    options.add_argument("--log", type=Path)
    options.add_argument("-h", "--help", action="store_true")
    known, rest = options.parse_known_args(list(words))
    if known.help:
        print(help_text(next((word for word in rest if word in RECIPES), None)))
        return 0
    set_up(known.log)
    run(read(rest, known.config))
    return 0
