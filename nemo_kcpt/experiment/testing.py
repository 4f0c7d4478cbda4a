"""What tests a cell's model: the commands that ask it, score it, and measure what it kept of the base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.experiment.experiment import BASE, Config, words_of

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


@dataclass(frozen=True, kw_only=True)
class Tested:
    """A model to be tested.

    Args:
        config: of the experiment.
        run: its folder.
        name: of the cell.
        model: its Hugging Face folder.
        base: that of the base.
        system: keys of the packs that say how a question is put.
        facts: fact sheets of fictional papers.
    """

    config: Config
    run: Path
    name: str
    model: Path
    base: Path
    system: Mapping[str, Any]
    facts: Path | None

    @property
    def _asked(self) -> dict[str, Any]:
        return {**self.system, **self.config.generate}

    def answering(self) -> list[list[str]]:
        """`kcpt generate` on the questions about the documents, then on the project's own."""
        model, run = f"models={self.name}={self.model}", self.run
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
        first += [f"facts={self.facts}"] if self.facts else []
        first += [f"verdicts={run}/verdicts/{name}"] if config.judge else []
        commands = [[*first, f"out={run}/scores/{name}"]]
        for key in own_sets(config):
            words = ["score", f"questions={run}/{key}", f"answers={run}/{key}-answers/{name}", "encoder=none"]
            commands.append([*words, "fact_checks=false", f"out={run}/{key}-scores/{name}"])
        if own_sets(config):
            language = config.general or config.retention
            words = [
                "perplexity",
                f"models={name}={self.model}",
                f"language={language}",
                f"out={run}/perplexity/{name}",
            ]
            commands.append([*words, *words_of(config.perplexity)])
        if config.retention and name != BASE:
            put = {key: value for key, value in self._asked.items() if key in TEMPLATE_KEYS}
            words = [f"models={BASE}={self.base},{name}={self.model}", f"questions={run}/retention"]
            words += [f"answers={run}/retention-answers/{BASE}", f"out={run}/divergence/{name}"]
            commands.append(["divergence", *words, *words_of({**put, **config.divergence})])
        return commands
