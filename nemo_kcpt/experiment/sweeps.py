"""Mixtures of the base and a trained model in an experiment: each is asked validation questions, and one is taken.

The steps of a training with `mix`: its mixtures (`kcpt convert mix`), the validation questions and those of retention
(`retention`, else `general`) put to each and to the trained model itself, the choice (`kcpt choose`), and the chosen
mixture as a model of its own, CELL~mix, the only one of them that is asked the test questions. Papers of validation
questions are asked about in no others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nemo_kcpt.experiment.experiment import BASE
from nemo_kcpt.experiment.nodes import Cell, Node, kcpt, stage_node
from nemo_kcpt.experiment.outline import Outline
from nemo_kcpt.experiment.sections import words_of
from nemo_kcpt.experiment.testing import asking

VALIDATION, CHOSEN = "validation", "mix"


def add_validation(graph: Outline, keys: Sequence[str]) -> None:
    """The questions to choose by; `keys` are those of the other questions."""
    words = [*keys, f"part={VALIDATION}"]
    node = stage_node(
        graph.run / VALIDATION, VALIDATION, "questions", "questions", words, ["synthetic"], "questions.jsonl"
    )
    graph.add(node)


def add_sweep(graph: Outline, cell: Cell, after: Sequence[str]) -> tuple[str, list[str]]:
    """The mixtures of a cell's training, and the choice among them.

    Args:
        graph: has everything that makes the cell.
        cell: the trained model.
        after: steps after which its folder and the base's are there.

    Returns:
        The chosen mixture's name as a model, and the steps that make it, itself the last.
    """
    assert cell.training is not None
    run, out = graph.run, graph.run / "choices" / cell.name
    candidates = {cell.name: 1.0}
    measure = next((key for key in ("retention", "general") if getattr(graph.config, key)), "")
    steps, asked = [], [_ask(graph, cell.name, after, "")]
    for alpha in cell.training.mix:
        name = f"{cell.name}~{alpha:g}"
        candidates[name] = alpha
        steps.append(_mix(graph, name, cell, f"alpha={alpha}", after))
        asked.append(_ask(graph, name, steps[-1:], measure))
    keys = [f"questions={run}/{VALIDATION}", f"candidates={json.dumps(candidates)}", f"base={BASE}"]
    keys += words_of({"scores": [f"{run}/validation-scores/{name}" for name in candidates]})
    before = list(asked)
    if measure:
        keys += words_of({"general_scores": [f"{run}/{measure}-scores/{name}" for name in (BASE, *candidates)]})
        before += [f"scores-{name}" for name in (BASE, cell.name)]
    keys += words_of(graph.config.choose)
    choice = f"choose-{cell.name}"
    graph.add(stage_node(out, choice, "choose", "choose", keys, before, "choice.json", cells=[cell.name], expected=2))
    chosen = _mix(graph, f"{cell.name}~{CHOSEN}", cell, f"choice={out}", [choice, *after])
    return f"{cell.name}~{CHOSEN}", [*cell.nodes, *steps, *asked, choice, chosen]


def _mix(graph: Outline, name: str, cell: Cell, which: str, after: Sequence[str]) -> str:
    out = graph.hf(name)
    given = [str(graph.hf(BASE)), str(cell.model), which, "--to", str(out)]
    # The base's weights may be of another type than those that the training exported.
    dtype = graph.config.convert.get("dtype", "keep")
    graph.add(
        Node(
            name=f"mix-{name}",
            kind="mix",
            command=kcpt(["convert", "mix", *given, f"dtype={dtype}"]),
            products=[out / "manifest.json"],
            folders=[out],
            after=after,
            reads={"model": graph.hf(BASE)} if graph.config.model is not None else {},
            expected=20,
            cells=[cell.name],
        )
    )
    return f"mix-{name}"


def _ask(graph: Outline, name: str, after: Sequence[str], measure: str) -> str:
    """Answers and scores of a model on the validation questions and those of `measure`, which a cell has of its own."""
    config, run, model = graph.config, graph.run, f"models={name}={graph.hf(name)}"
    generate = words_of({**graph.system, **config.generate})
    asked = f"questions={run}/{VALIDATION}"
    answers, scores = run / "validation-answers" / name, run / "validation-scores" / name
    score = ["score", asked, f"answers={answers}", f"papers={run}/corpus", f"out={scores}", *words_of(config.score)]
    score += [f"facts={graph.facts}"] if graph.facts else []
    commands = [["generate", asked, model, f"out={answers}", *generate], score]
    if measure:
        asked, answers = f"questions={run}/{measure}", run / f"{measure}-answers" / name
        given = asking(measure, {**graph.system, **config.generate})
        commands.append(["generate", asked, model, f"out={answers}", *words_of(given)])
        words = ["score", asked, f"answers={answers}", "encoder=none", "fact_checks=false"]
        commands.append([*words, f"out={run}/{measure}-scores/{name}"])
    folders = [Path(word[4:]) for command in commands for word in command if word.startswith("out=")]
    needs = [VALIDATION, *([measure] if measure else []), *after]
    graph.add(
        Node(
            name=f"{VALIDATION}-{name}",
            kind=VALIDATION,
            command=kcpt(*commands),
            products=[scores / "scores.jsonl"],
            folders=folders,
            after=list(dict.fromkeys(needs)),
            expected=60,
            cells=[name],
        )
    )
    return f"{VALIDATION}-{name}"
