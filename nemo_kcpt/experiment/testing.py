"""What tests a cell's model: the commands that ask it, score it, and measure what it kept of the base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.experiment.experiment import BASE, Config
from nemo_kcpt.experiment.nodes import Node, kcpt
from nemo_kcpt.experiment.outline import Outline
from nemo_kcpt.experiment.sections import words_of

OWN_SETS = ("general", "retention")
"""Keys of an experiment that have the project's own questions asked, beside those about the documents."""
LEAST_TOKENS = 128
"""Answers to instructions may be so long, however short those about the documents are to be."""
TEMPLATE_KEYS = ("system", "chat_template", "template_date")


def own_sets(config: Config) -> list[str]:
    """Those of `OWN_SETS` that the experiment has: names of folders, whose answers and scores are beside them."""
    return [key for key in OWN_SETS if getattr(config, key)]


def asking(key: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of kcpt generate for the questions of one of `OWN_SETS`."""
    if key != "retention":
        return dict(keys)
    return {**keys, "max_new_tokens": max(LEAST_TOKENS, int(keys.get("max_new_tokens", LEAST_TOKENS)))}


def _named(models: Mapping[str, Path]) -> str:
    return f"models={','.join(f'{name}={folder}' for name, folder in models.items())}"


@dataclass(frozen=True, kw_only=True)
class Tested:
    """Models to be tested, one of them or all together.

    Args:
        config: of the experiment.
        run: its folder.
        name: of the folders that are written.
        models: the models' names with their Hugging Face folders.
        base: the base's Hugging Face folder.
        system: keys of the packs that say how a question is put.
        facts: fact sheets of fictional papers.
    """

    config: Config
    run: Path
    name: str
    models: Mapping[str, Path]
    base: Path
    system: Mapping[str, Any]
    facts: Path | None

    @property
    def _asked(self) -> dict[str, Any]:
        return {**self.system, **self.config.generate}

    def answering(self) -> list[list[str]]:
        """`kcpt generate` on the questions about the documents, then on the project's own."""
        model, run = _named(self.models), self.run
        first = [f"questions={run}/questions", model, f"out={run}/answers/{self.name}", *words_of(self._asked)]
        commands = [["generate", *first]]
        for key in own_sets(self.config):
            given = words_of(asking(key, self._asked))
            words = [f"questions={run}/{key}", model, f"out={run}/{key}-answers/{self.name}", *given]
            commands.append(["generate", *words])
        return commands

    def judging(self) -> list[str]:
        """`kcpt judge` on the answers about the documents."""
        run, folder = self.run, self.run / "verdicts" / self.name
        given = [f"questions={run}/questions", f"answers={run}/answers/{self.name}", f"papers={run}/corpus"]
        return ["judge", *given, f"out={folder}", *words_of(self.config.judge)]

    def scoring(self) -> list[list[str]]:
        """`kcpt score` on all answers, perplexity, and of a trained model the divergence from the base."""
        config, run, name = self.config, self.run, self.name
        given = [f"questions={run}/questions", f"answers={run}/answers/{name}", f"papers={run}/corpus"]
        first = ["score", *given, *words_of(config.score)]
        if config.score.get("encoder") == "placeholder" and "encoder_tokenizer" not in config.score:
            first.append(f"encoder_tokenizer={self.base}")
        first += [f"facts={self.facts}"] if self.facts else []
        first += [f"verdicts={run}/verdicts/{name}"] if config.judge else []
        commands = [[*first, f"out={run}/scores/{name}"]]
        for key in own_sets(config):
            words = ["score", f"questions={run}/{key}", f"answers={run}/{key}-answers/{name}", "encoder=none"]
            commands.append([*words, "fact_checks=false", f"out={run}/{key}-scores/{name}"])
        if own_sets(config):
            language = config.general or config.retention
            words = ["perplexity", _named(self.models), f"language={language}", f"out={run}/perplexity/{name}"]
            commands.append([*words, *words_of(config.perplexity)])
        trained = {key: model for key, model in self.models.items() if key != BASE}
        if config.retention and trained:
            put = {key: value for key, value in self._asked.items() if key in TEMPLATE_KEYS}
            answers = f"{run}/retention-answers/{name if BASE in self.models else BASE}"
            words = [_named({BASE: self.base, **trained}), f"questions={run}/retention"]
            words += [f"answers={answers}", f"out={run}/divergence/{name}"]
            commands.append(["divergence", *words, *words_of({**put, **config.divergence})])
        return commands


def add_tests(graph: Outline, name: str, models: Sequence[str], after: Sequence[str]) -> list[str]:
    """Answers, verdicts and scores of models, in folders called `name`.

    Args:
        graph: has everything that makes the models.
        name: of the folders, and behind a dash of the nodes.
        models: their names.
        after: nodes after which they are there.

    Returns:
        The nodes' names.
    """
    config, run, own, base = graph.config, graph.run, own_sets(graph.config), graph.hf(BASE)
    folders = {model: graph.hf(model) for model in models}
    tested = Tested(
        config=config, run=run, name=name, models=folders, base=base, system=graph.system, facts=graph.facts
    )

    def add(
        kind: str,
        commands: Sequence[Sequence[str]],
        after: Sequence[str],
        expected: float,
        reads: Mapping[str, Path] | None = None,
    ) -> None:
        graph.add(
            Node(
                name=f"{kind}-{name}",
                kind=kind,
                command=kcpt(*commands),
                products=[run / kind / name / f"{kind}.jsonl"],
                folders=[Path(word[4:]) for command in commands for word in command if word.startswith("out=")],
                after=after,
                reads=reads or {},
                expected=expected,
                cells=[] if config.together else [name],
                forks=config.together and kind == "scores",  # torch is there already
            )
        )

    reads = {"model": base} if BASE in models and config.model is not None else {}
    add("answers", tested.answering(), ["questions", *own, *after], 60, reads)
    scored = [f"answers-{name}"]
    if config.judge:
        add("verdicts", [tested.judging()], scored, 120)
        scored = [*scored, f"verdicts-{name}"]
    before = [f"answers-{BASE}"] if config.retention and BASE not in models else []  # KL is measured on its answers
    add("scores", tested.scoring(), [*scored, *before], 30)
    return [*scored, f"scores-{name}"]
