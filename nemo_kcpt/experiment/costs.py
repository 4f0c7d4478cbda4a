"""What a grid will take, before it runs: GPU-hours, requests, tokens and money, by arithmetic alone.

Everything carries a `basis`: what was counted or measured, and what is assumed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import TYPE_CHECKING

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.judging.prompts import Case, messages
from nemo_kcpt.evaluation.judging.stage import REPLY_TOKENS, estimate, estimated
from nemo_kcpt.experiment.counts import (
    COUNT_KEYS,
    WIDER,
    Counts,
    PackTokens,
    counts_of,
    pack_tokens,
    reply_characters,
    sample,
    stand_in,
    stand_in_text,
    synthetic_ratio,
)
from nemo_kcpt.llm.counting import token_counter
from nemo_kcpt.llm.sampling import Asking as Nobody
from nemo_kcpt.synthesis.calls import make_plan
from nemo_kcpt.synthesis.status import read_status

if TYPE_CHECKING:
    from nemo_kcpt.evaluation.judging.config import Config as JudgeConfig
    from nemo_kcpt.synthesis.config import Config as SynthesisConfig
    from nemo_kcpt.synthesis.plan import Call, Plan

__all__ = [
    "COUNT_KEYS",
    "Asking",
    "Counts",
    "PackTokens",
    "counts_of",
    "judging_cost",
    "judging_cost_of",
    "pack_tokens",
    "shown_tokens",
    "synthesis_cost",
    "synthetic_ratio",
]

JUDGED_CHARACTERS = 400
"""Question, reference and answer together, Japanese, assumed."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What asking an LLM takes."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    price: float | None
    """In the prices' currency; None where none was given."""
    basis: str


def synthesis_cost(config: SynthesisConfig, counts: Counts) -> Asking:
    """What `kcpt synthesize` will take in all.

    A run that has begun tells it: its tokens so far, as many for each call that is left. Else the requests are the
    stage's own plan (`synthesis/plan.py`): over a sample of the corpus, or, where it is not there, over a paper of mean
    length. Each request is counted once, without repeats and without what a prefix cache saves.

    Args:
        config: the stage's.
        counts: of the corpus.
    """
    if config.teacher == "template":
        requests = counts.papers * len(_plan(config, counts).kinds)
        return Asking(requests=requests, prompt_tokens=0, completion_tokens=0, price=0.0, basis="rules, no LLM")
    try:
        status = read_status(config.out)
    except BadInput:
        status = {"done": 0}
    if status["done"]:
        scale = max(status["planned"], status["done"]) / status["done"]
        tokens = {
            name: sum(kind.get(name, 0) for kind in status["kinds"].values()) * scale
            for name in ("prompt_tokens", "cached_tokens", "completion_tokens")
        }
        basis = f"measured for {status['done']:,} of {status['planned']:,} calls"
        return _asking(config, round(scale * status["done"]), tokens, basis)
    plan = _plan(config, counts)
    there = (config.corpus / "papers.jsonl").is_file()
    papers = sample(plan.records(), counts.papers) if there else []
    scale, calls_scale = float(counts.papers), float(counts.papers)
    if papers:
        scale = counts.characters / max(1, sum(len(paper["text"]) for paper in papers))
        calls_scale, basis = counts.papers / len(papers), f"the plan of {len(papers):,} of {counts.papers:,} papers"
    else:
        papers = [stand_in(counts)]
        basis = f"the plan of a paper of {len(papers[0]['text']):,} characters, the mean"
    calls, prompts, replies = 0, 0.0, 0.0
    for paper in papers:
        paper_calls = list(plan.calls(paper))
        calls += len(paper_calls)
        prompts += _prompt_tokens(paper_calls, plan.count)
        replies += _reply_tokens(paper_calls, plan.count(paper["text"]), config.max_tokens, counts.language)
    tokens = {"prompt_tokens": prompts * scale, "completion_tokens": replies * scale}
    basis = f"estimated: {basis}, {_unit(config, counts)}; replies assumed, at most {config.max_tokens:,} tokens each"
    return _asking(config, round(calls * calls_scale), tokens, basis)


def _unit(config: SynthesisConfig, counts: Counts) -> str:
    if counts.teacher_tokens_per_character is not None:
        return f"{counts.teacher_tokens_per_character:g} tokens a character, given"
    return "its tokenizer" if _countable(config) else "a cautious count of tokens"


def _countable(config: SynthesisConfig) -> bool:
    """The teacher's tokenizer and something to count are there."""
    return config.tokenizer is not None and config.tokenizer.exists() and (config.corpus / "papers.jsonl").is_file()


def _plan(config: SynthesisConfig, counts: Counts) -> Plan:
    count, _ = token_counter(config.tokenizer if _countable(config) else None)
    if (rate := counts.teacher_tokens_per_character) is not None:
        count = lambda text: math.ceil(len(text) * rate)  # noqa: E731
    if config.examples is not None and not config.examples.expanduser().exists():
        config = dataclasses.replace(config, examples=None)
    return make_plan(config, Nobody(config.model), count, None)


def _prompt_tokens(calls: Sequence[Call], count: Callable[[str], int]) -> float:
    """Prompt tokens of all calls about one paper; what those about a part have in common is counted once."""
    total = 0.0
    for part in {call.request.part for call in calls}:
        asked = [call.request.messages for call in calls if call.request.part == part]
        texts = ["".join(str(message["content"]) for message in messages) for messages in asked]
        common = commonprefix(texts)  # noqa: RUF071  character by character is what is wanted
        total += count(common) * len(texts) + sum(count(text[len(common) :]) for text in texts)
    return total


def _reply_tokens(calls: Sequence[Call], paper: int, most: int, language: str) -> float:
    """Reply tokens of all calls about one paper with so many tokens, at most `most` each."""
    total = 0.0
    for call in calls:
        length = max(1, len(call.paper["text"]))
        characters = reply_characters(
            call.prompt.kind, call.prompt.form, call.prompt.pairs, length / call.parts, language
        )
        total += min(most, characters * paper / length)
    return total


def _asking(config: SynthesisConfig, requests: int, tokens: Mapping[str, float], basis: str) -> Asking:
    used = {name: round(number) for name, number in tokens.items()}
    return Asking(
        requests=requests,
        prompt_tokens=used["prompt_tokens"],
        completion_tokens=used["completion_tokens"],
        price=config.llm().cost(used) if config.price_prompt or config.price_completion else None,
        basis=basis,
    )


def shown_tokens(counts: Counts, most: int) -> int:
    """Tokens of a paper that the judge is shown, by the cautious estimate: the mean paper, at most `most`."""
    count, _ = token_counter(None)
    return min(most, count(stand_in(counts)["text"]))


def judging_cost(
    questions: int,
    models: int,
    *,
    paper_tokens: int,
    judges: int = 1,
    language: str = "ja",
    price_prompt: float = 0.0,
    price_completion: float = 0.0,
) -> Asking:
    """What `kcpt judge` will take where there are no answers yet; :func:`judging_cost_of` where they are.

    questions · models · judges requests, each the judge's own prompt with so much of a paper; replies and price are the
    stage's arithmetic (`estimate=true`). Equal answers, which are judged once, and prefix caches make it less.

    Args:
        questions: asked of each model.
        models: whose answers are judged, the base among them.
        paper_tokens: that are shown with each, see :func:`shown_tokens`.
        judges: of the panel.
        language: of the prompts.
        price_prompt: of a million tokens.
        price_completion: of a million tokens.

    Raises:
        BadInput: a number that cannot be.
    """
    given = {"questions": questions, "models": models, "paper_tokens": paper_tokens, "judges": judges}
    for name, value in given.items():
        if not value > 0:
            raise BadInput(f"{name}: {value} was given; a positive number is needed")
    count, _ = token_counter(None)
    said = stand_in_text(round(JUDGED_CHARACTERS * WIDER[language]), language)
    case = Case(question=said, reference="", answer="", passages=[("paper", "")], whole=True)
    around = sum(count(str(message["content"])) for message in messages(case, "", language))
    requests = questions * models * judges
    total = estimated(requests, requests * (around + paper_tokens), price_prompt, price_completion)
    return Asking(
        requests=total.requests,
        prompt_tokens=total.prompt_tokens,
        completion_tokens=total.completion_tokens,
        price=total.cost if price_prompt or price_completion else None,
        basis=f"estimated: {around + paper_tokens:,} tokens a prompt, cautious; {REPLY_TOKENS} a reply, assumed",
    )


def judging_cost_of(config: JudgeConfig) -> Asking:
    """What `kcpt judge` with these keys will take, by the prompts themselves: what `estimate=true` prints."""
    total = estimate(config)
    return Asking(
        requests=total.requests,
        prompt_tokens=total.prompt_tokens,
        completion_tokens=total.completion_tokens,
        price=total.cost if config.price_prompt or config.price_completion else None,
        basis=f"the prompts of {total.answers:,} answers, in {total.unit}; {REPLY_TOKENS} a reply, assumed",
    )
