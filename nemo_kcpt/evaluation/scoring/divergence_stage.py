"""How far a training moved a model from the starting one: KL divergence on the starting model's own answers.

    kcpt divergence models=base=models/small,trained=runs/a/hf questions=runs/a/retention \\
        answers=runs/a/retention-answers out=runs/a/divergence

For n of the answers that the base gave (kcpt generate answers greedily), both models read the question and the answer,
token by token, and their distributions over the whole vocabulary are compared: KL(base || model) in nats a token, the
mean over all tokens of the answers, the one that ends an answer included. 0: nothing has changed. Beside it the share
of tokens at which both find the same token most likely. Probabilities are computed in float32 whatever dtype= is.

Two models are in memory, and the logits of one answer. The models must share their tokenizer: a distribution over other
tokens cannot be compared.

Writes divergence.jsonl (question_id, model, tokens, nats, same_top) and divergence.json: for each model the means with
95 % intervals over answers.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, sha256_text, write_json, write_jsonl
from nemo_kcpt.hf.chat_template import DATE, given_template, template_date
from nemo_kcpt.hf.load import load_causal_lm, stop_ids
from nemo_kcpt.hf.tokenizer import with_system
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.records.inputs import read_answers, read_questions
from nemo_kcpt.runs import shaping, stage
from nemo_kcpt.serving.models import DTYPES, parse_models
from nemo_kcpt.serving.prompts import JOURNALS, Journal, Key, model_files, prompt_tokenizer
from nemo_kcpt.stats.statistics import ratio_interval

ROWS = 64
"""Positions whose distributions are compared at a time, so that no copy of an answer's logits is made."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt divergence`."""

    out: Path = Path(MISSING)
    """Folder for divergence.json."""
    models: Any = MISSING
    """NAME=FOLDER[,NAME=FOLDER...], a list of those, or in YAML a mapping; the base among them."""
    questions: Path = Path(MISSING)
    """Folder of kcpt questions, as kcpt generate had it; those of retention= are meant for it."""
    answers: Path = Path(MISSING)
    """Folder of kcpt generate with the base's answers."""
    base: str = "base"
    """Name of the starting model."""
    system: str = ""
    """A system message before each question, as kcpt generate had it."""
    chat_template: str = ""
    """Chat template for models that have none of their own, as kcpt generate had it: a file, or plain."""
    template_date: str = DATE
    """Date that chat templates write, as kcpt generate had it."""
    n: int = 100
    """Answers that are read, drawn by seed; 0: all."""
    seed: int = 0
    """Seed of the draw."""
    dtype: str = "float32"
    """Arithmetic of the models: float32, bfloat16 or float16."""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES or self.dtype == "auto":
            raise ValueError(f"dtype: '{self.dtype}' is not one of float32, bfloat16, float16")
        if self.n < 0:
            raise ValueError(f"n: {self.n} is negative; give a number of answers, or 0 for all")
        template_date(self.template_date)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer of the base as both models read it: the ids with the prompt before it, and where the answer begins."""

    question_id: str
    ids: list[int]
    start: int


def draw(question_ids: Sequence[str], n: int, seed: int) -> list[str]:
    """`n` of the questions (all for 0) in their order; the same ones whatever else is asked."""
    ranked = sorted(question_ids, key=lambda question_id: sha256_text(f"{seed}:{question_id}"))
    chosen = set(ranked[: n or None])
    return [question_id for question_id in question_ids if question_id in chosen]


def _answers(config: Config, folder: Path) -> list[Answer]:
    """The base's answers that are read, cut where it stopped writing and where its positions end.

    Raises:
        BadInput: there is none by the base.
    """
    questions = read_questions(config.questions)
    given = read_answers(config.answers, questions)
    known = [question_id for question_id in questions if (question_id, config.base) in given]
    if not known:
        names = ", ".join(sorted({model for _, model in given}))
        raise BadInput(f"{config.answers}: no answers of '{config.base}' (found: {names}); name the base with base=")
    tokenizer, _ = prompt_tokenizer(folder, given_template(config.chat_template), config.template_date)
    ends = stop_ids(folder)
    positions = int(read_json(folder / "config.json").get("max_position_embeddings") or 1 << 30)
    answers = []
    for question_id in draw(known, config.n, config.seed):
        answer = given[question_id, config.base]
        asked = with_system([{"role": "user", "content": questions[question_id]["question"]}], config.system)
        chat = tokenizer.chat_ids([*asked, {"role": "assistant", "content": answer["answer"]}])
        ids, reply = chat.ids.tolist(), chat.reply.tolist()
        start = reply.index(True) if True in reply else len(ids)
        stop = next((index for index in range(start, len(ids)) if ids[index] in ends), len(ids))
        stop += answer.get("finish_reason") != "length"  # the token that ends it is part of what the base wrote
        ids = ids[: min(stop, positions)]
        if 0 < start < len(ids):
            answers.append(Answer(question_id=question_id, ids=ids, start=start))
    if not answers:
        raise BadInput(f"{config.answers}: all answers of '{config.base}' are empty; nothing can be compared")
    return answers


def check_tokenizers(base: Path, models: Mapping[str, Path]) -> None:
    """All models must have the base's vocabulary, id for id.

    Raises:
        BadInput: one has another; names a token.
    """
    from tokenizers import Tokenizer

    def vocabulary(folder: Path) -> dict[str, int]:
        return dict(Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab(with_added_tokens=True))

    own = vocabulary(base)
    for name, folder in models.items():
        other = vocabulary(folder)
        if other != own:
            token = min(token for token in own.keys() | other.keys() if own.get(token) != other.get(token))
            ids = " and ".join("absent" if vocab.get(token) is None else str(vocab[token]) for vocab in (own, other))
            raise BadInput(
                f"{folder}: the tokenizer of '{name}' is not that of the base in {base} (token {token!r}: {ids}); "
                "their distributions cannot be compared. Compare models that were trained from this base"
            )


def divergence(base: Any, model: Any) -> tuple[float, int]:
    """KL(base || model) summed over positions in nats, and at how many both find the same token most likely.

    Args:
        base: logits [positions, vocabulary], any floating type.
        model: the same of the other model.

    Raises:
        ValueError: they have different shapes.
    """
    if base.shape != model.shape:
        raise ValueError(f"logits of {tuple(base.shape)} and {tuple(model.shape)}")
    total, same = 0.0, 0
    for first in range(0, len(base), ROWS):
        p, q = (logits[first : first + ROWS].float().log_softmax(-1) for logits in (base, model))
        total += float((p.exp() * (p - q)).sum(-1).double().sum())
        same += int((p.argmax(-1) == q.argmax(-1)).sum())
    return total, same


class _Reader:
    """A model that reads answers."""

    def __init__(self, folder: Path, dtype: str) -> None:
        import torch

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model: Any = load_causal_lm(folder, dtype).to(self._device)

    def logits(self, answer: Answer) -> Any:
        """Logits at the positions before each token of the answer, [tokens, vocabulary]."""
        import torch

        with torch.inference_mode():
            return self._model(torch.tensor([answer.ids], device=self._device)).logits[0, answer.start - 1 : -1]


def _compare(config: Config, folder: Path, answer: Answer, readers: Sequence[_Reader]) -> dict[str, Any]:
    try:
        nats, same = divergence(*(reader.logits(answer) for reader in readers))
    except ValueError as error:
        raise BadInput(f"{folder}: {error}: it has another vocabulary than '{config.base}'") from None
    if not math.isfinite(nats):
        raise BadInput(f"{folder}: question '{answer.question_id}': the divergence is {nats}; the weights are damaged")
    return {"tokens": len(answer.ids) - answer.start, "nats": nats, "same_top": same}


def measure(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """KL and agreement per token of each model, with intervals over answers."""
    by_model: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        by_model.setdefault(record["model"], []).append(record)
    rows = []
    for name, model_records in by_model.items():
        tokens, nats, same = ([record[field] for record in model_records] for field in ("tokens", "nats", "same_top"))
        rows.append(
            {
                "model": name,
                "answers": len(model_records),
                "tokens": sum(tokens),
                "kl": sum(nats) / sum(tokens),
                "kl_ci95": [*ratio_interval(nats, tokens)],
                "same_top": sum(same) / sum(tokens),
                "same_top_ci95": [*ratio_interval(same, tokens)],
            }
        )
    return rows


def _shape(config: Config, models: Mapping[str, Path]) -> dict[str, Any]:
    return shaping(config, "models", "chat_template") | {"models": list(models)}


def run(config: Config, redo: bool = False) -> None:
    """Write divergence.json unless it is there; a killed run resumes at the next answer."""
    models = parse_models(config.models)
    if config.base not in models or len(models) < 2:
        raise BadInput(f"models: '{config.base}' and at least one other model are needed, found {', '.join(models)}")
    inputs: dict[str, Path | str] = {"questions": config.questions, "answers": config.answers}
    inputs |= {f"{name}/{file}": path for name, folder in models.items() for file, path in model_files(folder).items()}
    if config.chat_template:
        inputs["chat_template"] = sha256_text(given_template(config.chat_template))
    with stage(
        "divergence", config.out, config=_shape(config, models), inputs=inputs, redo=redo, scrap=JOURNALS
    ) as now:
        if now.done:
            LOG.info("divergence: %s is finished", config.out)
            return
        start = models[config.base]
        others = {name: folder for name, folder in models.items() if name != config.base}
        check_tokenizers(start, others)
        answers = _answers(config, start)
        journal = Journal(config.out, now.fingerprint)
        if redo:
            journal.remove()
        compared = _read_all(config, start, others, answers, journal)
        records = [compared[answer.question_id, name] for name in others for answer in answers]
        write_jsonl(config.out / "divergence.jsonl", records)
        rows = measure(records)
        write_json(config.out / "divergence.json", {"base": config.base, "models": rows})
        now.add(config.out / "divergence.jsonl", config.out / "divergence.json")
        now.counts = {"answers": len(answers), "models": list(others)}
        for row in rows:
            LOG.info(
                "divergence: %s: %.4f nats a token to %s (%.4f to %.4f), same top token at %.1f %%",
                row["model"],
                row["kl"],
                config.base,
                *row["kl_ci95"],
                100 * row["same_top"],
            )


def _read_all(
    config: Config, start: Path, others: Mapping[str, Path], answers: Sequence[Answer], journal: Journal
) -> dict[Key, dict[str, Any]]:
    """Every answer compared for every model; what the journal holds already is not computed again."""
    compared: dict[Key, dict[str, Any]] = journal.read()
    base: _Reader | None = None
    with progress() as bar, journal.path.open("a", encoding="utf-8") as stream:
        for name, folder in others.items():
            left = [answer for answer in answers if (answer.question_id, name) not in compared]
            task = bar.add_task(f"divergence of {name}", total=len(answers), completed=len(answers) - len(left))
            if not left:
                continue
            base = base or _Reader(start, config.dtype)
            readers = [base, _Reader(folder, config.dtype)]
            for answer in left:
                record = {"question_id": answer.question_id, "model": name}
                record |= _compare(config, folder, answer, readers)
                stream.write(json.dumps(record) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
                compared[answer.question_id, name] = record
                bar.advance(task)
    return compared
