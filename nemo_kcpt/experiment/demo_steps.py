"""The demo's steps: what each one runs. The commands are the ones that a user would type.

`expected` seconds are those of two quiet cores with AVX2; only the clock uses them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.experiment.nodes import Cell, Launch, Node, kcpt
from nemo_kcpt.recipe_calls import call

ARMS = ("full", "raw")
MODEL_NAMES = {"full": "trained", "raw": "raw"}
"""What the report calls the model of an arm."""
PACK_KINDS = {"full": "anchored", "raw": "raw"}
"""The pack that an arm's continual pretraining reads."""


@dataclass(kw_only=True)
class Budget:
    """How much is made and trained; the defaults are the demo's, conf/demo/smoke.yaml has a smaller set for tests."""

    papers: int = 40
    """Fictional papers to learn; a quarter is held out."""
    base_papers: int = 40
    """Papers of the base model's own world."""
    seq_length: int = 64
    """Tokens in a window."""
    base_epochs: float = 4.5
    """Passes of the base model over its own world."""
    epochs: float = 6.5
    """Passes of continual pretraining; the method takes 2 on a model 2,600 times larger."""
    tuning_epochs: float = 1.0
    """Passes of both instruction tunings."""
    samples: int = 600
    """Instruction-tuning samples from the papers, and as many from the base model's world."""
    processes: int = 1
    """Ranks of each training (data parallel)."""


class DemoGraph:
    """The demo as the grid's runner takes it: its steps by name, in an order in which they can run."""

    def __init__(self, run: Path, steps: Sequence[Node]) -> None:
        self.run, self.nodes, self.cells = run, {step.name: step for step in steps}, list[Cell]()


def _nemo(task: str, factory: str, processes: int, **options: object) -> list[str]:
    """`nemo llm TASK --factory …`, as a user types it."""
    launch = Launch(
        task=task, recipe=call(factory, {**options, "processes": processes}), overrides=[], processes=processes
    )
    return launch.command()


def suffix_of(arm: str) -> str:
    """What sets an arm's steps apart from those of the main arm."""
    return "" if arm == "full" else f"-{arm}"


@dataclass(kw_only=True)
class Layout:
    """Where everything of a run stands."""

    run: Path
    budget: Budget

    def pack(self, kind: str, *, base: bool = False) -> Path:
        """A pack's folder: kind is concat, raw or instruction."""
        return self.run / ("base/packs" if base else "packs") / f"{kind}-{self.budget.seq_length}"

    def training(self, name: str) -> Path:
        """A training's folder."""
        return self.run / "train" / name

    def model(self, name: str) -> Path:
        """A model's Hugging Face folder."""
        return self.run / "hf" / name

    def is_exported(self, arm: str) -> bool:
        """Whether an arm's model is there, so that the report can compare it."""
        return (self.run / "steps" / f"export{suffix_of(arm)}" / "manifest.json").is_file()

    @property
    def facts(self) -> Path:
        """Fact sheets of the papers to learn."""
        return self.run / "world/own/facts.jsonl"


def _documents(layout: Layout, language: str, seed: int) -> Node:
    run, budget = layout.run, layout.budget
    commands = [
        [
            "demo-world",
            f"out={run}/world",
            f"papers={budget.papers}",
            f"base_papers={budget.base_papers}",
            f"language={language}",
            f"seed={seed}",
        ]
    ]
    for world, folder, heldout in (("own", run, 0.25), ("base", run / "base", 0.0)):
        commands += [
            [
                "corpus",
                f"input={run}/world/{world}/documents.jsonl",
                f"out={folder}/corpus",
                f"heldout_fraction={heldout}",
                f"seed={seed}",
                "near_duplicates=0",  # papers made from templates are alike
                "same_side=0",
            ],
            [
                "synthesize",
                f"corpus={folder}/corpus",
                f"out={folder}/synthetic",
                f"facts={run}/world/{world}/facts.jsonl",
            ],
        ]
    commands += [
        [
            "sft-data",
            f"corpus={run}/corpus",
            f"synthetic={run}/synthetic",
            f"general={run}/base/synthetic",
            f"samples={budget.samples}",
            f"out={run}/sft",
        ],
        [
            "sft-data",
            f"corpus={run}/base/corpus",
            f"synthetic={run}/base/synthetic",
            f"samples={2 * budget.samples}",
            f"out={run}/base/sft",
        ],
        ["questions", f"corpus={run}/corpus", f"facts={layout.facts}", f"out={run}/questions", f"seed={seed}"],
    ]
    return Node(
        name="documents",
        kind="documents",
        title="fictional papers, split, synthetic data, questions",
        expected=8,
        command=kcpt(*commands),
        products=[run / "questions/questions.jsonl", run / "sft/all_included.jsonl", run / "synthetic/synthetic.jsonl"],
    )


def _packs(layout: Layout, full: str) -> list[Node]:
    """Of the base model's papers, with the tokenizer, and of the papers to learn while the base model trains."""
    run, base = layout.run, layout.run / "base"
    common = [f"seq_length={layout.budget.seq_length}", f"tokenizer={run}/tokenizer"]

    def pack(kind: str, folder: Path) -> list[str]:
        sources = {"raw": [f"corpus={folder}/corpus"], "instruction": [f"sft={folder}/sft/all_included.jsonl"]}.get(
            kind, [f"corpus={folder}/corpus", f"synthetic={folder}/synthetic"]
        )
        return ["pack", f"mode={kind}", *common, *sources, f"out={layout.pack(kind, base=folder == base)}"]

    ours = (full, "raw", "instruction")
    return [
        Node(
            name="base-packs",
            kind="pack",
            title="tokenizer and packing, base model",
            expected=9,
            after=["documents"],
            command=kcpt(
                ["demo-tokenizer", f"corpus={base}/corpus", f"synthetic={base}/synthetic", f"out={run}/tokenizer"],
                pack(full, base),
                pack("instruction", base),
            ),
            products=[layout.pack(kind, base=True) / "manifest.json" for kind in (full, "instruction")],
        ),
        Node(
            name="packs",
            kind="pack",
            title="packing",
            expected=10,
            after=["base-packs"],
            command=kcpt(*(pack(kind, run) for kind in ours)),
            products=[layout.pack(kind) / "manifest.json" for kind in ours],
        ),
    ]


def _training(
    layout: Layout,
    name: str,
    title: str,
    task: str,
    expected: float,
    pack: Path,
    epochs: float,
    after: Sequence[str],
    restore: Path | None = None,
    steps_like: Path | None = None,
) -> Node:
    folder = layout.training(name)
    options: dict[str, object] = {"pack": str(pack), "dir": str(folder), "epochs": epochs}
    if restore is not None:
        options["restore"] = str(restore)
    if steps_like is not None:
        options["steps_like"] = str(steps_like)
    return Node(
        name=name,
        kind=task,
        title=title,
        expected=expected,
        after=after,
        command=_nemo(task, "kcpt_demo" if task == "pretrain" else "kcpt_sft_demo", layout.budget.processes, **options),
        products=[folder / "training.json"],
        metrics=folder / "metrics.jsonl",
        # One OpenMP thread a rank where several ranks share the cores; torchrun children inherit it.
        environment={"OMP_NUM_THREADS": "1"} if layout.budget.processes > 1 else {},
        forks=layout.budget.processes == 1,
    )


def _export(layout: Layout, name: str, model: str, training: str) -> Node:
    folder = layout.model(model)
    keys = [f"checkpoint={layout.training(training)}", f"tokenizer={layout.run}/tokenizer", f"out={folder}"]
    return Node(
        name=name,
        kind="export",
        title=f"{model} to Hugging Face, logits compared with Megatron's",
        expected=1,
        after=[training],
        command=kcpt(["convert", *keys]),
        products=[folder / "model.safetensors", folder / "parity.json"],
        forks=True,
    )


def _arm(layout: Layout, arm: str) -> list[Node]:
    """What makes an arm's model."""
    budget, suffix, kind = layout.budget, suffix_of(arm), PACK_KINDS[arm]
    return [
        _training(
            layout,
            f"continual-pretraining{suffix}",
            f"continual pretraining ({kind})",
            "pretrain",
            53,
            layout.pack(kind),
            budget.epochs,
            ["packs", "base-tuning"],
            restore=layout.training("base-tuning"),
            steps_like=None if arm == "full" else layout.pack(PACK_KINDS["full"]),
        ),
        _training(
            layout,
            f"instruction-tuning{suffix}",
            f"instruction tuning ({kind})",
            "finetune",
            5,
            layout.pack("instruction"),
            budget.tuning_epochs,
            [f"continual-pretraining{suffix}"],
            restore=layout.training(f"continual-pretraining{suffix}"),
        ),
        _export(layout, f"export{suffix}", MODEL_NAMES[arm], f"instruction-tuning{suffix}"),
    ]


def steps_of(layout: Layout, language: str, seed: int, engine: str, arms: Sequence[str]) -> list[Node]:
    """All steps in order. `arms` are those that the report compares."""
    run, budget = layout.run, layout.budget
    # The report's headline compares the base with the last one.
    names = ["base", *(MODEL_NAMES[one] for one in reversed(arms))]
    steps = [
        _documents(layout, language, seed),
        *_packs(layout, PACK_KINDS["full"]),
        _training(
            layout,
            "base-pretraining",
            "base model: pretraining on other papers",
            "pretrain",
            44,
            layout.pack(PACK_KINDS["full"], base=True),
            budget.base_epochs,
            ["base-packs"],
        ),
        _training(
            layout,
            "base-tuning",
            "base model: instruction tuning",
            "finetune",
            4,
            layout.pack("instruction", base=True),
            budget.tuning_epochs,
            ["base-pretraining"],
            restore=layout.training("base-pretraining"),
        ),
        _export(layout, "export-base", "base", "base-tuning"),
        *(step for one in arms for step in _arm(layout, one)),
    ]
    folders = ",".join(f"{name}={layout.model(name)}" for name in names)
    common = [f"questions={run}/questions"]
    tag = "-".join(arms)
    answers, scores = run / "answers" / tag, run / "scores" / tag
    steps += [
        Node(
            name=f"answers-{tag}",
            kind="answers",
            title="answers from memory",
            expected=12,
            after=["export-base", *(f"export{suffix_of(one)}" for one in arms)],
            command=kcpt(
                ["generate", *common, f"models={folders}", f"out={answers}", f"engine={engine}", "max_new_tokens=32"]
            ),
            products=[answers / "answers.jsonl"],
        ),
        Node(
            name=f"scores-{tag}",
            kind="scores",
            forks=True,
            title="exact match, BERTScore with a placeholder encoder",
            expected=2,
            after=[f"answers-{tag}"],
            command=kcpt(
                [
                    "score",
                    *common,
                    f"answers={answers}",
                    f"papers={run}/corpus",
                    f"facts={layout.facts}",
                    "encoder=placeholder",
                    f"encoder_tokenizer={run}/tokenizer",
                    f"out={scores}",
                ]
            ),
            products=[scores / "scores.jsonl"],
        ),
        _report(layout, arms, tag, language),
    ]
    return steps


def _report(layout: Layout, arms: Sequence[str], tag: str, language: str) -> Node:
    run, budget = layout.run, layout.budget
    trainings = ["base-pretraining", "base-tuning"]
    for one in arms:
        suffix = suffix_of(one)
        trainings += [f"continual-pretraining{suffix}", f"instruction-tuning{suffix}"]
    metrics = ",".join(f"{name}={layout.training(name)}/metrics.jsonl" for name in trainings)
    packs = ",".join(
        f"{layout.pack(kind).name}={layout.pack(kind)}" for kind in [*(PACK_KINDS[one] for one in arms), "instruction"]
    )
    summary = (
        f"{budget.papers} fictional papers ({language}), invented and therefore unknown to any model; the teacher is a "
        "template, not an LLM; a quarter of the papers is held out: their text and non-QA data are trained on, their "
        "questions are not. Every stage is the real one: nemo llm pretrain and finetune on Megatron-Core, export, vLLM."
    )
    words = [
        "report",
        f"questions={run}/questions",
        f"answers={run}/answers/{tag}",
        f"scores={run}/scores/{tag}",
        f"papers={run}/corpus",
        f"facts={layout.facts}",
        f"metrics={metrics}",
        f"packs={packs}",
        f"parity={layout.model(MODEL_NAMES[arms[-1]])}/parity.json",
        f"timings={run}/timings.json",
        f"command=make demo{'' if arms[-1] == 'full' else f' ARM={arms[-1]}'}",
        f"out={run}/report/{tag}",
        f"title=nemo_kcpt demo: what a tiny Llama learnt from {budget.papers} papers",
        f"summary={summary}",
    ]
    return Node(
        name=f"report-{tag}",
        kind="report",
        title="report",
        expected=4,
        after=[f"scores-{tag}"],
        command=kcpt(words),
        products=[run / f"report/{tag}/report.{ending}" for ending in ("json", "html", "md")],
    )
