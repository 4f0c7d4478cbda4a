"""What a grid would run and cost: steps, GPU-hours by the planner, tokens of the teacher and the judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.config import load_config, nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.judging.config import Config as Judge
from nemo_kcpt.experiment import costs
from nemo_kcpt.experiment.experiment import Config, Training
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.sections import words_of
from nemo_kcpt.experiment.training_costs import TrainingCost, training_cost
from nemo_kcpt.synthesis.config import Config as Synthesis

if TYPE_CHECKING:
    from rich.tree import Tree

OWN_KEYS = ("model", "gpu", "mfu", "questions", "samples", "tokens_per_step")
"""Keys of `costs` beside those of :data:`nemo_kcpt.experiment.costs.COUNT_KEYS`."""
WIDE = 160
"""Characters of a line where no terminal says how many there are."""
QUESTIONS, SAMPLES = 500, 10_000
"""Defaults of kcpt questions (of each split) and kcpt sft-data."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """The cost of one training."""

    name: str
    cost: TrainingCost | None
    why: str
    """How it was found out, or why there is none."""


def _checked(given: Mapping[str, Any]) -> Mapping[str, Any]:
    known = (*costs.COUNT_KEYS, *OWN_KEYS)
    for key in given:
        if key not in known:
            raise BadInput(f"costs: unknown key '{key}'; {nearest(key, known)}")
    return given


def counts_for(graph: Graph) -> costs.Counts | None:
    """Papers and characters: of the corpus if it is there, else as given; None where neither."""
    config, given = graph.config, _checked(graph.config.costs)
    own = {key: value for key, value in given.items() if key in costs.COUNT_KEYS}
    corpus = graph.run / "corpus"
    there = corpus if (corpus / "papers.jsonl").is_file() else None
    if there is None and not {"papers", "characters"} <= set(own):
        return None
    tokenizer = config.model if config.model is not None and (config.model / "tokenizer.json").is_file() else None
    synthetic = graph.run / "synthetic/synthetic.jsonl"
    return costs.counts_of(
        there,
        own,
        tokenizer=tokenizer,
        synthetic=synthetic if synthetic.is_file() else None,
        kinds=config.synthesize.get("kinds", ()),
    )


def training_rows(graph: Graph, counts: costs.Counts | None) -> list[Row]:
    """Every training's cost; one that cannot be planned says why."""
    rows = []
    for name, node in graph.nodes.items():
        if node.launch is None or name.startswith("base-"):
            continue
        cell = next(cell for cell in graph.cells if name in cell.trainings)
        assert cell.training is not None
        try:
            cost = _training_cost(graph, cell.training, cell.set, node.launch.task == "finetune", counts)
            rows.append(Row(name=name, cost=cost, why=cost.basis))
        except BadInput as error:
            rows.append(Row(name=name, cost=None, why=str(error).splitlines()[0]))
    return rows


def _training_cost(
    graph: Graph, training: Training, given: str | None, tuning: bool, counts: costs.Counts | None
) -> TrainingCost:
    config, options = graph.config, graph.config.costs
    model = options.get("model", config.model)
    if model is None or not {"nodes", "gpus", "gpu"} & {*config.arguments, *options}:
        raise BadInput("runs on this machine, without GPUs; the planner is asked where arguments say gpus and nodes")
    length = config.tuning_length or training.seq_length if tuning else training.seq_length
    samples = int(config.sft_data.get("samples", options.get("samples", SAMPLES)))
    samples *= 3 if given == "all_included" else 1
    like = next((candidate for candidate in graph.trainings if candidate.name == config.steps_like), training)
    source = training if tuning else like
    pack = graph.run / "packs" / f"{given}-{length}" if tuning else graph.pack(source)
    tokens = costs.pack_tokens(
        pack if (pack / "manifest.json").is_file() else None,
        counts,
        length if tuning else source.seq_length,
        mode="instruction" if tuning else source.mode,
        kinds=source.kinds,
        samples=samples,
    )
    arguments = config.arguments
    return training_cost(
        Path(model) if Path(model).is_dir() else str(model),
        length,
        tokens.step_tokens,
        epochs=config.tuning_epochs if tuning else config.epochs,
        tokens_per_step=options.get("tokens_per_step"),
        nodes=int(arguments.get("nodes", 1)),
        gpus=int(arguments.get("gpus", 8)),
        gpu=str(arguments.get("gpu", options.get("gpu", "h100-80gb"))),
        mfu=float(options.get("mfu", 0.45)),
        tuning=tuning,
        measured=tokens.measured,
    )


def _asking(graph: Graph, counts: costs.Counts | None) -> list[tuple[str, costs.Asking | str]]:
    """What the teacher and the judge are asked; a text says why that is not known."""
    config: Config = graph.config
    rows: list[tuple[str, costs.Asking | str]] = []
    if config.world:
        rows.append(("synthesis", "a template writes it, no LLM"))
    elif counts is None:
        rows.append(("synthesis", "give costs: {papers, characters}, or run kcpt corpus first"))
    else:
        words = [f"corpus={graph.run}/corpus", f"out={graph.run}/synthetic", *words_of(config.synthesize)]
        rows.append(("synthesis", costs.synthesis_cost(load_config(Synthesis, overrides=words), counts)))
    if config.judge and counts is not None:
        words = [f"out={graph.run}/verdicts", f"questions={graph.run}/questions", f"answers={graph.run}/answers"]
        judge = load_config(Judge, overrides=[*words, f"papers={graph.run}/corpus", *words_of(config.judge)])
        questions = int(config.costs.get("questions", 2 * int(config.questions.get("n", QUESTIONS))))
        judges = len(judge.judge) if isinstance(judge.judge, list) else 1
        price = {"price_prompt": judge.price_prompt, "price_completion": judge.price_completion}
        asked = costs.judging_cost(
            questions,
            len(graph.cells),
            paper_tokens=costs.shown_tokens(counts, most=judge.paper_tokens),
            judges=judges,
            language=counts.language,
            **price,
        )
        rows.append(("judging", asked))
    elif not config.judge:
        rows.append(("judging", "no judge"))
    return rows


def _tree(graph: Graph) -> Tree:
    """What all share, and each training with the models that come of it; a step of its own is in each place."""
    from rich.markup import escape
    from rich.tree import Tree

    def line(names: Sequence[str]) -> str:
        return escape(" → ".join(names))

    def needs(name: str) -> str:
        packs = [dependency for dependency in graph.nodes[name].after if graph.nodes[dependency].kind == "pack"]
        return f" (needs {', '.join(packs)})" if packs else ""

    tree = Tree(
        "shared by all: "
        + line([n.name for n in graph.nodes.values() if not n.cells and n.kind not in ("pack", "report")])
    )
    pretrained: dict[str, Tree] = {}
    for cell in graph.cells:
        branch, own = tree, list(cell.nodes)
        first = next((name for name in cell.trainings if graph.nodes[name].kind == "pretrain"), None)
        if first is not None:
            if first not in pretrained:
                pretrained[first] = tree.add(escape(first + needs(first)))
            branch, own = pretrained[first], own[own.index(first) + 1 :]
        # Their names are the kind and the cell's name.
        kinds = [graph.nodes[name].kind + (needs(name) if graph.nodes[name].launch else "") for name in own]
        branch.add(f"{escape(cell.name)}: {line(kinds)}")
    return tree


def show(graph: Graph) -> None:
    """Print the graph, the trainings' GPU-hours and what is asked of LLMs. Runs nothing."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    counts = counts_for(graph)
    console.print(f"{len(graph.nodes)} steps, {len(graph.cells)} models", highlight=False)
    console.print(_tree(graph))
    rows = training_rows(graph, counts)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("training", "steps", "tokens", "hours", "GPU-hours", "layout"):
        number = heading not in ("training", "layout")
        table.add_column(heading, justify="right" if number else "left", no_wrap=True, overflow="fold")
    total, bases = 0.0, dict[str, list[str]]()
    for row in rows:
        cost = row.cost
        bases.setdefault(row.why, []).append(row.name)
        if cost is None:
            table.add_row(row.name, "", "", "", "", "not planned")
            continue
        total += cost.gpu_hours
        figures = f"{cost.steps:,}", f"{cost.tokens / 1e6:,.1f} M", f"{cost.hours:,.2f}", f"{cost.gpu_hours:,.1f}"
        table.add_row(row.name, *figures, cost.layout)
    if any(row.cost for row in rows):
        console.print(table)
    for why, names in bases.items():
        who = "all trainings" if len(bases) == 1 else f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}"
        console.print(f"{who}: {why}", highlight=False, markup=False, soft_wrap=True)
    if any(row.cost for row in rows):
        console.print(f"all trainings: {total:,.1f} GPU-hours, by the planner (kcpt plan --help)", highlight=False)
    for what, asked in _asking(graph, counts):
        console.print(
            f"{what}: {asked if isinstance(asked, str) else _asking_text(asked)}", highlight=False, soft_wrap=True
        )
    console.print("nothing was run; the same command without --dryrun does", highlight=False)


def _asking_text(asked: costs.Asking) -> str:
    price = f", price {asked.price:,.2f}" if asked.price is not None else ", no prices given (price_prompt=…)"
    return (
        f"{asked.requests:,} requests, {asked.prompt_tokens / 1e6:,.1f} M prompt and "
        f"{asked.completion_tokens / 1e6:,.1f} M reply tokens{price}; {asked.basis}"
    )
