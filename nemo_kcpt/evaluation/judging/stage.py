"""An LLM judges every answer: 1 if it is factual given the reference and the paper, else 0, with a reason (method §5).

    kcpt judge questions=… answers=… papers=… out=… judge=gpt-4o-mini
    kcpt judge … judge=[qwen,llama=http://host:8001/v1] base_url=http://localhost:8000/v1   # a panel
    kcpt judge … evidence=corpus                # evidence from all papers, as people looked for it
    kcpt judge … --estimate price_prompt=0.15   # how many requests and tokens, and what they would cost

Writes verdicts.jsonl, one record for each question and model: judge (0, 1 or null), judge_reason, judge_fault (why it
is null), judges (each judge's own verdict), evidence (what was shown of which papers: paper_id, start, end) and cut
(what was too long to be shown whole); and invalid.jsonl, the replies without a readable verdict, which count as
invalid and never as 0 or 1. Every request is in journal.sqlite before it counts as done: a run that was killed asks
only for what is missing. Equal answers to a question are judged once; the judge does not learn whose they are.

Of several judges the majority decides; a tie is null. How far they agree is in the manifest and the log.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import KcptError
from nemo_kcpt.evaluation.judging.config import Config as Config
from nemo_kcpt.evaluation.judging.panel import TIE, agreement, majority
from nemo_kcpt.evaluation.judging.prompts import prompts_sha256
from nemo_kcpt.files import sha256_text, write_jsonl
from nemo_kcpt.llm import settings as keys
from nemo_kcpt.llm.ask import ask
from nemo_kcpt.llm.inquiry import Answered, Totals
from nemo_kcpt.llm.journal import NAME, Journal, salvage
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.logs import LOG
from nemo_kcpt.records.inputs import missing_answers
from nemo_kcpt.runs import Stage, exclusive, hash_files, shaping, stage

RUNNING = (*keys.RUNNING, "max_invalid", "estimate", "salvage", "tokenizer", "judge", "papers", "questions", "answers")
"""Keys that do not shape a verdict, or that enter the fingerprint in another form."""
SECRET = "fence secret"
REPLY_TOKENS = 120
"""Tokens of a reply, for the estimate."""


def run(config: Config, redo: bool = False) -> None:
    """Write the verdicts unless they are there; or show what they would cost."""
    if config.estimate:
        _show_estimate(config)
        return
    if config.salvage:
        with exclusive(config.out):
            kept, old = salvage(config.out / NAME)
        LOG.info("judge: %d requests are whole and were kept; the damaged file is %s", kept, old)
    inputs: dict[str, Path | str] = {"questions": config.questions, "answers": config.answers, "papers": config.papers}
    if config.tokenizer is not None:
        inputs["tokenizer"] = hash_files(config.tokenizer)
    shape = {**shaping(config, *RUNNING), "judge": [name for name, _, _ in config.servers()]}
    shape["prompts"] = prompts_sha256()
    with stage("judge", config.out, config=shape, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("judge: %s is finished", config.out)
            return
        _judge(config, current)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What judging would take."""

    requests: int
    prompt_tokens: int
    """Without what a prefix cache saves."""
    completion_tokens: int
    cost: float
    answers: int = 0
    unit: str = "estimated tokens"
    """Unit in which the prompts are counted."""


def estimated(requests: int, prompt_tokens: int, price_prompt: float, price_completion: float) -> Estimate:
    """Tokens of replies and cost of so many requests, each answered once by `REPLY_TOKENS`; prices are of a million."""
    replies = requests * REPLY_TOKENS
    cost = (prompt_tokens * price_prompt + replies * price_completion) / 1e6
    return Estimate(requests=requests, prompt_tokens=prompt_tokens, completion_tokens=replies, cost=cost)


def estimate(config: Config) -> Estimate:
    """What judging the answers would take, by the prompts themselves; equal ones are asked once."""
    from nemo_kcpt.evaluation.judging.work import Work

    work = Work(config)
    made = {}
    for key in work.evidence:
        text = "\n".join(message["content"] for message in work.inquiry(key, SECRET).first())
        made[sha256_text(text)] = work.count(text)
    requests, prompt = len(made) * len(config.judge), sum(made.values()) * len(config.judge)
    expected = estimated(requests, prompt, config.price_prompt, config.price_completion)
    return replace(expected, answers=len(work.answers), unit=work.unit)


def _show_estimate(config: Config) -> None:
    expected = estimate(config)
    priced = (
        f", cost {expected.cost:.2f}" if expected.cost else "; give price_prompt= and price_completion= to see the cost"
    )
    print(
        f"judge: {expected.answers} answers, {len(config.judge)} judges: {expected.requests} requests, "
        f"{expected.prompt_tokens:,} {expected.unit} of prompts (without what a prefix cache saves), about "
        f"{expected.completion_tokens:,} tokens of replies{priced}"
    )


def _judge(config: Config, current: Stage) -> None:
    from nemo_kcpt.evaluation.judging.work import Work, name_of

    work = Work(config)
    journal = config.out / NAME
    secret = _secret(journal)
    inquiries = [work.inquiry(key, secret) for key in work.evidence]
    replies: list[dict[str, Answered]] = []
    totals = Totals()
    for llm in config.llms():
        answered, took = ask(inquiries, llm, journal, f"judge {llm.model}")
        replies.append(answered)
        totals.add(took)
    members = {
        key: [_member(llm, answered[name_of(key)]) for llm, answered in zip(config.llms(), replies)]
        for key in work.answers
    }
    invalid = [
        {"question_id": key[0], "model": key[1], "judge": member["model"], "fault": member["fault"]}
        | {"reply": answered[name_of(key)].reply}
        for key, panel in members.items()
        for member, answered in zip(panel, replies)
        if member["judge"] is None
    ]
    write_jsonl(config.out / "invalid.jsonl", invalid)
    LOG.info(
        "judge: %d requests, %.3f M prompt tokens (%.0f %% from the cache), %.3f M of replies, cost %.4f",
        totals.requests,
        totals.prompt_tokens / 1e6,
        100 * totals.cached_tokens / max(totals.prompt_tokens, 1),
        totals.completion_tokens / 1e6,
        totals.cost,
    )
    _refuse_too_many(config, len(invalid), len(members) * len(replies))
    records = [
        {"question_id": key[0], "model": key[1], **majority(panel), "judges": panel}
        | {"evidence": work.evidence[key].records, "cut": work.cut(key)}
        for key, panel in members.items()
    ]
    write_jsonl(config.out / "verdicts.jsonl", records)
    current.add(config.out / "verdicts.jsonl", config.out / "invalid.jsonl")
    ties = sum(record["judge_fault"] == TIE for record in records)
    missing = missing_answers(work.questions, work.answers)
    agreements = agreement(list(members.values()))
    current.counts = {
        "verdicts": len(records),
        "factual": sum(record["judge"] == 1 for record in records),
        "not_factual": sum(record["judge"] == 0 for record in records),
        "ties": ties,
        "invalid": len(invalid),
        "missing_answers": len(missing),
        "cut": sum(bool(record["cut"]) for record in records),
        "agreement": agreements,
        **asdict(totals),
    }
    if missing:
        LOG.warning("judge: %d answers are missing, the first is %s by %s", len(missing), *missing[0])
    for pair in agreements:
        LOG.info(
            "judge: %s and %s agree on %s of %d answers, Cohen's kappa %s",
            *pair["judges"],
            _three_decimals(pair["agreement"]),
            pair["n"],
            _three_decimals(pair["kappa"]),
        )
    LOG.info(
        "judge: %d answers: %d factual, %d not, %d ties; %d of %d judgements are invalid",
        len(records),
        current.counts["factual"],
        current.counts["not_factual"],
        ties,
        len(invalid),
        len(members) * len(replies),
    )


def _secret(path: Path) -> str:
    """The secret of the run folder, made once: the same fences make the same requests when a run is resumed."""
    with Journal(path) as journal:
        known = journal.notes(SECRET).get(SECRET)
        if not known:
            known = secrets.token_hex(16)
            journal.note(SECRET, known)
    return str(known)


def _member(llm: Llm, answered: Answered) -> dict[str, Any]:
    verdict = answered.value
    return {
        "model": llm.model,
        "judge": verdict.judge if verdict is not None else None,
        "reason": verdict.reason if verdict is not None else None,
        "fault": answered.fault,
    }


def _refuse_too_many(config: Config, invalid: int, judgements: int) -> None:
    accepted = config.max_invalid * judgements if config.max_invalid < 1 else config.max_invalid
    if invalid <= accepted:
        return
    (config.out / "verdicts.jsonl").unlink(missing_ok=True)
    raise KcptError(
        f"{invalid} of {judgements} judgements have no readable verdict; they are in {config.out / 'invalid.jsonl'} "
        "with their faults and raw replies, and everything else is kept. The same command asks again for those that "
        f"the judge did not answer, a higher reply_retries= for unreadable ones; max_invalid={invalid} continues "
        "without them"
    )


def _three_decimals(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
