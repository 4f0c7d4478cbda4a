"""What an experiment file says: documents, model, trainings, instruction sets, and keys for the stages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING, nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.backends import BACKENDS, NEMO
from nemo_kcpt.experiment.keep import sections
from nemo_kcpt.runs import LATER, later

PACK_MODES = ("anchored", "concat", "raw")
ATTENTION = ("causal", "block_diagonal")
SETS = ("ichikara", "one_shot", "zero_shot", "all_included")
BASE = "base"


@dataclass(kw_only=True)
class Training:
    """One continual pretraining."""

    name: str = MISSING
    """Name in tables and plots."""
    mode: str = "anchored"
    """anchored, concat or raw, as for kcpt pack."""
    seq_length: int = 4096
    """Tokens in a window."""
    attention: str = "causal"
    """causal over the whole window, or block_diagonal: within each paper."""
    kinds: list[str] = field(default_factory=list)
    """Kinds of synthetic data in it; empty: all."""
    distill: dict[str, Any] = field(default_factory=dict)
    """The starting model teaches: keys of kcpt distill, and kl_weight, ce_weight; empty: it does not."""
    self_replay: dict[str, Any] = field(default_factory=dict)
    """Replay written by the starting model itself, in the pack: keys of kcpt replay, and share; empty: it is not."""
    seeds: list[int] = field(default_factory=list)
    """Trained once for each, with the windows in another order; NAME@SEED in tables."""
    keep: str = ""
    """What an instruct model is to keep while it learns: its answers to these prompts, en, ja or a file as for kcpt
    replay. Sets distill, self_replay, lora and the tokens that bear loss, where they are not given (docs/keep.md)."""
    lora: dict[str, Any] = field(default_factory=dict)
    """Low-rank adapters in place of the weights: {rank: 64}, and alpha, targets, dropout, embeddings of the recipes."""
    mix: list[float] = field(default_factory=list)
    """Shares of it in mixtures with the base, as [0.25, 0.5, 0.75]; the one that kcpt choose takes is NAME~mix."""
    overrides: list[str] = field(default_factory=list)
    """Words for `nemo llm pretrain` that this training alone has, after those of all, as optim.config.lr=1e-4."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt grid`, also those of its file."""

    out: Path = Path(MISSING)
    """Folder of the whole experiment."""
    title: str = "Knowledge gained by continual pretraining"
    """Title of the report."""
    summary: str = ""
    """A sentence or two under it."""
    model: Path | None = None
    """Hugging Face folder of the base model; without it, and with world, a small one is pretrained on other papers."""
    recipe: str = MISSING
    """Recipe of `nemo llm pretrain`; {k} in it is a training's seq_length / 1024, as kcpt_llmjp3_13b_{k}k."""
    tuning_recipe: str = MISSING
    """Recipe of `nemo llm finetune`, likewise."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Arguments of both, such as nodes and gpus."""
    epochs: float = 2.0
    """Passes of continual pretraining over its pack."""
    steps_like: str = ""
    """A training whose pack and epochs say how many steps all of them take: comparison at equal tokens."""
    tuning_epochs: float = 1.0
    """Passes of instruction tuning."""
    base_epochs: float = 6.0
    """Passes of a small base model over the papers of its own."""
    base_mode: str = later("concat")
    """Packing of a small base model's papers, as for kcpt pack."""
    base_samples: int = later(0)
    """Samples in the instruction set that tunes a small base model; 0: as many as kcpt sft-data makes by itself."""
    backend: str = later(NEMO)
    """What trains: nemo, or bridge for Megatron-Bridge (make setup-bridge)."""
    overrides: list[str] = field(default_factory=list)
    """More words for pretraining, in the backend's own: optim.config.lr=1e-4, or optimizer.lr=1e-4 for the Bridge."""
    tuning_overrides: list[str] = field(default_factory=list)
    """More words for tuning, likewise."""
    processes: int = 1
    """Ranks of a training on this machine: GPUs, or processes where there is none."""
    lengths: list[int] = field(default_factory=list)
    """Context lengths: a training MODE-LENGTH for each, beside those named in trainings."""
    mode: str = "concat"
    """Packing of those."""
    trainings: list[Training] = field(default_factory=list)
    """Trainings with names: [{name, mode, seq_length, attention, kinds, seeds, keep, distill, self_replay, lora, mix,
    overrides}]."""
    sets: list[str] = field(default_factory=list)
    """Instruction sets of kcpt sft-data, each of which tunes every training; empty: no tuning."""
    tuning_length: int = 0
    """Window of the instruction packs; 0: that of the training."""
    compare: list[list[str]] = field(default_factory=list)
    """Pairs of trainings whose difference the report tells, beside that of each to the base: [[one, other]]."""
    goals: list[dict[str, Any]] = field(default_factory=list)
    """Goals of the experiment: [{text, better, than, metric, at_least}], [{text, spearman, at_least}],
    [{text, retention: NAME, at_least}] or [{text, perplexity: NAME, at_most}], which is times the base's."""
    world: dict[str, Any] = field(default_factory=dict)
    """Fictional papers instead of documents: keys of kcpt demo-world."""
    corpus: dict[str, Any] = field(default_factory=dict)
    """Keys of kcpt corpus; without world at least input."""
    synthesize: dict[str, Any] = field(default_factory=dict)
    """Keys of kcpt synthesize."""
    one_shot: dict[str, Any] = field(default_factory=dict)
    """Keys of a second kcpt synthesize, for the one_shot set: at least examples; the others are as in synthesize."""
    sft_data: dict[str, Any] = field(default_factory=dict)
    """Keys of kcpt sft-data."""
    pack: dict[str, Any] = field(default_factory=dict)
    """Keys of kcpt pack."""
    convert: dict[str, Any] = field(default_factory=dict)
    """Keys of kcpt convert export."""
    questions: dict[str, Any] = field(default_factory=dict)
    """Keys of kcpt questions."""
    general: str = ""
    """ja, en or both: general-knowledge questions and perplexity on general text before and after; empty: neither."""
    retention: str = later("")
    """ja, en or both: what each model kept of the base: its answers to general questions, instructions that it follows,
    KL on the base's own answers, and perplexity on general text; empty: none of these."""
    generate: dict[str, Any] = field(default_factory=dict)
    """Keys of kcpt generate."""
    judge: dict[str, Any] = field(default_factory=dict)
    """Keys of kcpt judge; empty: no judge, {judge: MODEL} at least otherwise."""
    score: dict[str, Any] = field(default_factory=dict)
    """Keys of kcpt score."""
    validation: float = 0.25
    """Share of the held-out papers whose questions choose among mixtures; no other questions are about them."""
    choose: dict[str, Any] = field(default_factory=dict)
    """Keys of kcpt choose, as {metric: exact_match, retention: 0.9}."""
    perplexity: dict[str, Any] = field(default_factory=dict)
    """Keys of kcpt perplexity, with general or retention."""
    divergence: dict[str, Any] = field(default_factory=dict, metadata=LATER)
    """Keys of kcpt divergence, with retention."""
    report: dict[str, Any] = field(default_factory=dict)
    """More keys of kcpt report, such as people."""
    together: bool = later(False)
    """All models are tested by the same processes, once all are there: for small models, which answer sooner than an
    engine starts. One that is added later has all of them tested again."""
    study: dict[str, Any] = field(default_factory=dict)
    """For kcpt study, which publishes the results: {page, arm_minutes, study_minutes, validation_seed,
    least_retention, most_perplexity, worlds}."""
    keep_checkpoints: bool = True
    """Keep the trainings' checkpoints when everything made of them is finished; false saves disk."""
    workers: int = 1
    """Processes that run at once on this machine."""
    seconds: dict[str, float] = field(default_factory=dict, metadata=LATER)
    """Expected seconds of a step, by its name or its kind; for the estimate of the time left."""
    slurm: dict[str, Any] = field(default_factory=dict)
    """Run on Slurm: account, partition, gpus, … of kcpt slurm, and `kinds` for those of a kind of step."""
    costs: dict[str, Any] = field(default_factory=dict)
    """For --dryrun: papers, characters, gpu, price_prompt, … where nothing is there to count yet; see the page."""
    dryrun: bool = False
    """Show the graph, GPU-hours and costs, and run nothing."""
    status: bool = False
    """Show what is done, running and failed, and run nothing; for a grid on Slurm, or from a second terminal."""
    submit: bool = False
    """Submit to Slurm; without it the scripts are shown."""
    only: list[str] = field(default_factory=list)
    """Run no other steps than these and what they need; names as --dryrun shows them."""
    node: str = ""
    """Run this one step, whose inputs are there; what a Slurm job does."""

    ended: bool = False
    """Training of node= was run by Slurm and ended well; write that down."""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.processes < 1:
            raise ValueError("workers, processes: at least 1 is needed")
        for name in ("mode", "base_mode"):
            if getattr(self, name) not in PACK_MODES:
                raise ValueError(f"{name}: '{getattr(self, name)}' is not one of {', '.join(PACK_MODES)}")
        if self.together and any(training.mix for training in self.trainings):
            raise ValueError("together: a training with mix is tested step by step; omit one of the two")
        for name in self.sets:
            if name not in SETS:
                raise ValueError(f"sets: '{name}' is not one of {', '.join(SETS)}; {nearest(name, SETS)}")
        if self.backend not in BACKENDS:
            raise ValueError(f"backend: '{self.backend}' is not one of {', '.join(BACKENDS)}")
        for name in ("general", "retention"):
            if getattr(self, name) not in ("", "ja", "en", "both"):
                raise ValueError(f"{name}: '{getattr(self, name)}' is not one of ja, en, both")
        if self.one_shot and "examples" not in self.one_shot:
            raise ValueError("one_shot: give {examples: an ichikara-style file or folder}")
        if "one_shot" in self.sets and not self.one_shot:
            raise ValueError("sets: one_shot needs one_shot: {examples: an ichikara-style file or folder}")
        if self.model is None and not self.world:
            raise ValueError("model: give the Hugging Face folder of the base model")
        if not self.world and "input" not in self.corpus:
            raise ValueError("corpus: give {input: your documents}, or world for fictional ones")


def _with_keep(training: Training, config: Config) -> Training:
    """The training with its `keep` spelt out; what its own sections say goes before that."""
    if not training.keep:
        return training
    meant = sections(training.keep, config.pack.get("system") or "", config.backend, bool(config.sets))
    return replace(
        training,
        distill={**meant["distill"], **training.distill},
        self_replay={**meant["self_replay"], **training.self_replay},
        lora={**meant["lora"], **training.lora},
        overrides=[*meant["overrides"], *training.overrides],
    )


def all_trainings(config: Config) -> list[Training]:
    """Those of `lengths`, then those of `trainings`, checked.

    Raises:
        BadInput: none, one name twice, a name that cannot be a file's, an unknown mode or attention, or `steps_like`
            with a name that is none of them.
    """
    trainings = [
        Training(name=f"{config.mode}-{length}", mode=config.mode, seq_length=length) for length in config.lengths
    ]
    trainings += [_with_keep(training, config) for training in config.trainings]
    if not trainings:
        raise BadInput("lengths, trainings: none given; give lengths=[1024,4096] or trainings in the file")
    seen: set[str] = set()
    for training in trainings:
        where = f"trainings: {training.name}"
        if not re.fullmatch(r"[\w.-]+", training.name) or training.name.startswith(".") or training.name == BASE:
            raise BadInput(f"{where}: a name has letters, digits, - . and _ only, and is not {BASE}")
        if training.name in seen:
            raise BadInput(f"{where}: appears twice")
        seen.add(training.name)
        for key, known in (("mode", PACK_MODES), ("attention", ATTENTION)):
            value = getattr(training, key)
            if value not in known:
                raise BadInput(f"{where}: {key}: '{value}' is not one of {', '.join(known)}; {nearest(value, known)}")
        if bad := [alpha for alpha in training.mix if not 0 < alpha < 1]:
            raise BadInput(
                f"{where}: mix: {bad[0]:g} is not between 0 (the base) and 1 (the training), both of which are there"
            )
        if len(set(training.mix)) < len(training.mix):
            raise BadInput(f"{where}: mix: a share appears twice")
        if training.mode == "raw" and training.kinds:
            raise BadInput(f"{where}: kinds: a pack of mode raw has no synthetic data; take concat or anchored")
    if config.steps_like and config.steps_like not in seen:
        raise BadInput(f"steps_like: no training '{config.steps_like}'; {nearest(config.steps_like, sorted(seen))}")
    return trainings
