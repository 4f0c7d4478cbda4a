"""Self-replay: conversations that the starting model has with itself, to be packed beside the documents.

A chat model makes up the user's turn after its template's header and then answers it; a base model (or base=true)
writes texts from its first token. Empty, short, unfinished, repetitive and broken ones are left out, as are answers
that only decline, and prompts that were there before; the manifest counts each. Nothing but the model is needed. With
prompts= it answers those of a list, and makes up only what is missing: best are prompts of the kind that users give.

  kcpt replay model=FOLDER out=REPLAY n=500
  kcpt replay model=FOLDER out=REPLAY n=700 prompts=en        # answers to prompts that are given first
  kcpt pack … replay=REPLAY replay_share=0.2 out=PACK
  kcpt distill pack=PACK model=FOLDER out=PACK-teacher        # the KL to the starting model on replay, too

Each answer has a seed of its own; what was sampled is kept in a journal, and a killed run resumes. Writes replay.jsonl:
`messages` (or `text`), which kcpt pack also takes as sft= for an instruction tuning.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from nemo_kcpt.checkpoints.weights_identity import of_folder
from nemo_kcpt.config import MISSING, check_choices, check_least
from nemo_kcpt.distillation.conversations import FAULTS, Spoken, Turn, fault, same_form, spoken, spread, user_turn
from nemo_kcpt.distillation.given_prompts import prompts_file
from nemo_kcpt.distillation.sampler import ENGINES, Sampler
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import sha256_text, write_jsonl
from nemo_kcpt.hf.chat_template import DATE, given_template, template_date
from nemo_kcpt.hf.tokenizer import Messages, with_system
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.records.prompts import read_prompts
from nemo_kcpt.runs import shaping, stage
from nemo_kcpt.serving.models import DTYPES
from nemo_kcpt.serving.prompts import JOURNALS, Journal, Prompt, model_files, prompt_tokenizer
from nemo_kcpt.serving.sampling import Sampling

REPLAY_FILE, ORIGIN = "replay.jsonl", "self_replay"
SURPLUS = 1.25
"""Prompts of a round, for each conversation that is still wanted, divided by the share that was kept so far."""
FIRST_SHARE, LEAST_SHARE = 0.5, 0.05
"""That share before the first round, and the least that is reckoned with."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt replay`."""

    out: Path = Path(MISSING)
    """Folder for replay.jsonl."""
    model: Path = Path(MISSING)
    """Hugging Face folder of the starting model."""
    n: int = 500
    """Conversations, or texts, to keep."""
    prompts: str = ""
    """Prompts to answer before any is made up: a file with one on each line or JSON Lines with a field prompt, or en or
    ja for the short general ones that come with nemo_kcpt."""
    attempts: int = 0
    """Prompts to make up at most; 0: four times n."""
    base: bool = False
    """Texts of a base model in place of conversations; a folder without a chat template has them in any case."""
    temperature: float = 1.0
    """Sampling temperature; 1 samples from the model's own distribution."""
    top_p: float = 1.0
    """Sample among the likeliest tokens that have this share of the probability together."""
    seed: int = 0
    """Seed of the sampling."""
    prompt_tokens: int = 128
    """Most tokens of a prompt; one that has not ended by then is left out."""
    answer_tokens: int = 256
    """Most tokens of an answer, or of a text."""
    least_tokens: int = 4
    """Fewest tokens of a prompt, and of an answer."""
    keep_refusals: bool = False
    """Keep answers that only decline."""
    system: str = ""
    """A system message before each conversation; it is kept in the records."""
    chat_template: str = ""
    """Chat template for a folder that has none: a file, or plain."""
    template_date: str = DATE
    """Date that chat templates write where they would write today's."""
    engine: str = "auto"
    """vllm, transformers, or auto: vllm where it is there."""
    dtype: str = "float32"
    """Arithmetic: float32, bfloat16, float16, or auto: what the model's folder names."""
    batch_size: int = 64
    """Answers that vLLM samples at a time, and at most lost by a kill."""

    def __post_init__(self) -> None:
        check_choices(self, engine=ENGINES, dtype=DTYPES)
        check_least(self, n=1, prompt_tokens=1, answer_tokens=1, least_tokens=1, batch_size=1)
        if not self.temperature > 0 or not 0 < self.top_p <= 1:
            raise ValueError("temperature must be above 0, top_p above 0 and at most 1")
        template_date(self.template_date)

    @property
    def most(self) -> int:
        """Prompts to make up at most."""
        return self.attempts or 4 * self.n


@dataclass
class _Kept:
    """What is kept so far."""

    records: list[dict[str, Any]] = field(default_factory=list)
    lengths: dict[str, list[int]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)

    def is_new(self, text: str) -> bool:
        """Whether no text of this form was there; counts it as a duplicate otherwise."""
        form = same_form(text)
        new = form not in self.seen
        self.seen.add(form)
        self.dropped["duplicate"] += not new
        return new

    def length(self, name: str, tokens: int) -> None:
        """Note the length of a text that is kept."""
        self.lengths.setdefault(name, []).append(tokens)


class _Talk:
    """The rounds of one run."""

    def __init__(self, config: Config, sampler: Sampler, turn: Turn | None) -> None:
        self._config, self._sampler, self._turn = config, sampler, turn
        self.kept = _Kept()
        self.asked = self.given = 0

    @property
    def _left(self) -> int:
        return self._config.n - len(self.kept.records)

    def answer(self, prompts: Sequence[str]) -> Iterator[int]:
        """Sample an answer to each of these prompts; yields how many are kept after each round."""
        new = [(f"given-{number:07d}", text.strip()) for number, text in enumerate(prompts) if self.kept.is_new(text)]
        self.given = len(prompts)
        while self._left > 0 and new:
            count = self._left
            self._answers(dict(new[:count]))
            del new[:count]
            yield len(self.kept.records)

    def rounds(self) -> Iterator[int]:
        """Sample until there are enough; yields how many are kept after each round."""
        while self._left > 0 and self.asked < self._config.most:
            kept = len(self.kept.records) / self.asked if self.asked else FIRST_SHARE
            count = int(self._left * SURPLUS / max(kept, LEAST_SHARE)) + 1
            count = min(count, self._config.most - self.asked)
            numbers = range(self.asked, self.asked + count)
            self.asked += count
            if self._turn is None:
                self._texts(numbers)
            else:
                self._conversations(numbers, self._turn)
            yield len(self.kept.records)

    def _passes(self, said: Spoken, **more: bool) -> bool:
        why = fault(said, self._config.least_tokens, **more)
        self.kept.dropped[why] += bool(why)
        return not why

    def _texts(self, numbers: Sequence[int]) -> None:
        prompts = [self._sampler.first_token(f"text-{number:07d}") for number in numbers]
        sampled = self._sampler.sample(prompts, self._config.answer_tokens)
        for prompt in prompts:
            said = spoken(self._sampler.tokenizer, *sampled[prompt.question_id])
            if self._left > 0 and self._passes(said, must_end=False) and self.kept.is_new(said.text):
                self.kept.records.append({"text": said.text, "origin": ORIGIN})
                self.kept.length("text_tokens", len(said.tokens))

    def _conversations(self, numbers: Sequence[int], turn: Turn) -> None:
        config, tokenizer = self._config, self._sampler.tokenizer
        headers: list[Prompt] = [self._sampler.header(f"prompt-{number:07d}", turn.header) for number in numbers]
        made = self._sampler.sample(headers, config.prompt_tokens)
        asked = {header.question_id: spoken(tokenizer, *made[header.question_id], turn.end) for header in headers}
        good = {name: said for name, said in asked.items() if self._passes(said) and self.kept.is_new(said.text)}
        self._answers({name.replace("prompt", "answer"): said.text for name, said in good.items()})

    def _answers(self, asked: Mapping[str, str]) -> None:
        """Sample an answer to each prompt, by its name, and keep the good ones."""
        tokenizer = self._sampler.tokenizer
        prompts = [self._question(name, text) for name, text in asked.items()]
        sampled = self._sampler.sample(prompts, self._config.answer_tokens)
        for prompt in prompts:
            said = spoken(tokenizer, *sampled[prompt.question_id])
            if self._left > 0 and self._passes(said, refusals=not self._config.keep_refusals):
                messages = [*prompt.messages, {"role": "assistant", "content": said.text}]
                self.kept.records.append({"messages": messages, "origin": ORIGIN, "paper_id": None})
                self.kept.length("prompt_tokens", len(tokenizer.text_ids([asked[prompt.question_id]])[0]))
                self.kept.length("answer_tokens", len(said.tokens))

    def _question(self, name: str, text: str) -> Prompt:
        messages: Messages = with_system([{"role": "user", "content": text}], self._config.system)
        tokenizer = self._sampler.tokenizer
        own = tokenizer.holds_special(messages)
        return Prompt(question_id=name, messages=messages, prompt_ids=tokenizer.prompt_ids(messages), own_ids=own)


def _in_order(prompts: Sequence[str], seed: int) -> list[str]:
    """An order that depends on the seed alone, so that `n` of a longer list are of all its parts."""
    return random.Random(seed).sample(prompts, len(prompts))


def _counts(config: Config, talk: _Talk, used: Mapping[str, Any]) -> dict[str, Any]:
    kept = talk.kept
    texts = [
        record.get("text") or " ".join(message["content"] for message in record["messages"]) for record in kept.records
    ]
    return {
        "kept": len(kept.records),
        "given": talk.given,
        "asked": talk.asked,
        "dropped": {name: kept.dropped[name] for name in FAULTS},
        "spread": spread(texts, kept.lengths),
        "source": {"model": config.model.resolve().name, "weights": of_folder(config.model)},
        **used,
    }


def run(config: Config, redo: bool = False) -> None:
    """Write replay.jsonl unless it is there; resumes from the journal of a killed run."""
    template = given_template(config.chat_template)
    inputs: dict[str, Path | str] = {**model_files(config.model)}
    if template:
        inputs["chat_template"] = sha256_text(template)
    given = read_prompts(listed) if (listed := prompts_file(config.prompts) if config.prompts else None) else []
    if listed:
        inputs["prompts"] = listed
    if blank := next((number for number, text in enumerate(given, start=1) if not text.strip()), 0):
        raise BadInput(f"{listed}: prompt {blank} is blank; take it out")
    shape = shaping(config, "model", "batch_size", "chat_template", "engine", "prompts")
    with stage("replay", config.out, config=shape, inputs=inputs, redo=redo, scrap=JOURNALS) as current:
        if current.done:
            LOG.info("replay: %s is finished", config.out)
            return
        journal = Journal(config.out, current.fingerprint)
        if redo:
            journal.remove()
        tokenizer, own = prompt_tokenizer(config.model, template, config.template_date)
        system: Messages = [{"role": "system", "content": config.system}] if config.system else []
        turn = user_turn(tokenizer, system) if tokenizer.has_template and not config.base else None
        if given and turn is None:
            raise BadInput(
                f"prompts: {config.model}: a base model, or base=true, answers no prompts; give chat_template= or "
                "omit prompts="
            )
        how = Sampling(temperature=config.temperature, top_p=config.top_p, seed=config.seed)
        sampler = Sampler(
            config.model,
            tokenizer,
            own,
            config.template_date,
            journal,
            how,
            config.engine,
            config.dtype,
            config.batch_size,
        )
        talk = _Talk(config, sampler, turn)
        with progress() as bar:
            task = bar.add_task("replay: conversations" if turn else "replay: texts", total=config.n)
            for done in chain(talk.answer(_in_order(given, config.seed)), talk.rounds()):
                bar.update(task, completed=done)
        records = talk.kept.records
        if not records:
            raise BadInput(
                f"{config.model}: of {talk.asked} sampled none is kept ({dict(talk.kept.dropped)}); look at "
                "journal-*.jsonl, raise prompt_tokens and answer_tokens, or give base=true for a base model"
            )
        if len(records) < config.n:
            LOG.warning(
                "replay: %d of %d kept after %d prompts; attempts= allows more", len(records), config.n, talk.asked
            )
        write_jsonl(config.out / REPLAY_FILE, records)
        current.add(config.out / REPLAY_FILE)
        current.counts = _counts(config, talk, {"engine": sampler.engine})
        dropped = ", ".join(f"{count} {name}" for name, count in talk.kept.dropped.items() if count) or "none"
        LOG.info("replay: %d kept of %d; left out: %s", len(records), talk.asked, dropped)
