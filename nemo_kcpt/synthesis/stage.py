"""Ask a teacher for instruction data about every paper: one call a paper and kind, the 16 kinds of the method (§2).

Writes synthetic.jsonl (paper_id, kind, pairs, heldout, teacher, request_sha256), failed.jsonl (calls without a readable
answer, with their raw replies), rejected.jsonl (pairs that a filter rejected, and which one) and the run's page
(synthesis.html, .md, .json). Every request is in journal.sqlite before it counts as done: a run that was killed asks
only for what is missing, and so does one with more papers or kinds.

    kcpt synthesize corpus=runs/mine/corpus out=runs/mine/synthetic \\
        teacher=openai base_url=http://localhost:8000/v1 model=Qwen/Qwen2.5-72B-Instruct
    kcpt synthesize corpus=… out=… --status          # how far it is, what it cost, what it will; while it runs, too
    kcpt synthesize corpus=… out=… --prefix-report   # how much of the prompts a prefix cache answers
    kcpt synthesize corpus=… out=… --shard 0/4       # on each of four machines: 0/4 … 3/4
    kcpt synthesize corpus=… out=… --merge           # then once
    kcpt synthesize corpus=… out=… --salvage         # after damage to the journal: keep what is whole

Teachers:
    openai     any server with OpenAI's chat completions (vLLM, OpenAI, …); the key comes from the environment
    batch      OpenAI's Batch API: half the price, within a day
    vllm       vLLM in this machine's serve environment, started for the run and stopped with it
    rules      no LLM, for documents in Japanese or English: rules that quote, reorder and blank out the text, and with
               human=true the questions that people asked (kind human). Lower quality, of 8 kinds: for baselines,
               studies and tests
    template   the demo's stand-in for fictional papers, which knows their fact sheets; not an LLM
    others     of installed packages, by their names: kcpt doctor lists them, CONTRIBUTING.md shows one
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from nemo_kcpt.corpus.human_questions import warn_of_squad
from nemo_kcpt.errors import KcptError
from nemo_kcpt.llm.batch import BatchTeacher
from nemo_kcpt.llm.counting import token_counter as token_counter
from nemo_kcpt.llm.faults import refuse_names
from nemo_kcpt.llm.journal import NAME, Journal, salvage
from nemo_kcpt.llm.request import TeacherFault
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.runs import Shard, Stage, exclusive, hash_files, shaping, stage
from nemo_kcpt.synthesis import added, teachers
from nemo_kcpt.synthesis.batches import collect_batches
from nemo_kcpt.synthesis.calls import fit, make_plan, settle
from nemo_kcpt.synthesis.collect import Tally, collect
from nemo_kcpt.synthesis.config import Config as Config
from nemo_kcpt.synthesis.filters import FILTERS, Screen
from nemo_kcpt.synthesis.page import write_page
from nemo_kcpt.synthesis.rules import QUOTED
from nemo_kcpt.synthesis.rules.human import squad_sha256
from nemo_kcpt.synthesis.shards import unite
from nemo_kcpt.synthesis.status import show_prefixes, show_status
from nemo_kcpt.synthesis.write import Writer

__doc__ += "\nFilters, in the order in which they are asked; switch off by name with without=[…]:\n" + "".join(
    f"    {name:16s} {what.split(': ')[0].rstrip('.')}\n" for name, what in FILTERS.items()
)

RUNNING = (
    "concurrency", "requests_per_minute", "tokens_per_minute", "timeout", "retries", "base_url", "api_key_env",
    "price_prompt", "price_cached", "price_completion", "max_failed", "shard", "merge", "status", "prefix_report",
    "salvage", "facts", "squad", "gpu_memory", "tensor_parallel", "poll", "served_model",
)  # fmt: skip
"""Keys that do not shape a result, or whose content enters the fingerprint instead of their text."""
SHARDS = "shards"


def run(config: Config, redo: bool = False) -> None:
    """Make synthetic.jsonl unless it is there; or a shard; or show how far it is."""
    if config.status:
        show_status(config.out)
        return
    if config.prefix_report:
        show_prefixes(config)
        return
    if config.salvage:
        _salvage(config)
    if config.squad is not None:
        warn_of_squad("synthesize")
    given, config = config, fit(config)
    if config.shard:
        shard = Shard.parse(config.shard)
        folder = config.out / SHARDS / f"{shard.index:04d}-of-{shard.of:04d}"
        with exclusive(folder):
            failed = _ask(config, folder / NAME, shard)
        LOG.info("synthesize: shard %s is done; when all are: the same command with --merge instead", config.shard)
        if failed > config.max_failed:
            raise KcptError(_still_failed(failed, config.out))
        return
    inputs: dict[str, Path | str] = {"corpus": config.corpus}
    for name in ("facts", "examples", "prompts"):
        if (path := getattr(config, name)) is not None:
            inputs[name] = hash_files(path)
    if config.squad is not None:
        inputs["squad"] = squad_sha256(config.squad)
    others = added.kinds_of(config.kinds, config.prompts)
    inputs |= added.inputs(others)
    shape = shaping(given, *RUNNING) | added.shaping(config.teacher, others)
    with stage("synthesize", config.out, config=shape, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("synthesize: %s is finished", config.out)
            return
        if config.merge:
            unite(config.out / SHARDS, config.out / NAME)
        else:
            _ask(config, config.out / NAME, None)
        _write(config, current)
        fits = {name: getattr(config, name) for name in ("window", "max_tokens")}
        current.counts |= {name: value for name, value in fits.items() if value != getattr(given, name)}


def _salvage(config: Config) -> None:
    journals = [config.out / NAME, *sorted((config.out / SHARDS).glob(f"*/{NAME}"))]
    for path in (path for path in journals if path.is_file()):
        kept, old = salvage(path)
        LOG.info("synthesize: %d requests of %s are whole and were kept; the damaged file is %s", kept, path, old)


def _ask(config: Config, path: Path, shard: Shard | None) -> int:
    """Ask for what the journal does not have; returns the number of calls that stay without a readable answer."""
    count, _ = token_counter(config.tokenizer)
    return asyncio.run(_ask_all(config, path, count, shard))


async def _ask_all(config: Config, path: Path, count: Callable[[str], int], shard: Shard | None) -> int:
    teacher = teachers.make(config)
    try:
        with Journal(path) as journal, progress() as bar:
            if damaged := journal.damaged():
                LOG.warning("synthesize: %s: %d damaged rows; they are asked for again", path, damaged)
            task = bar.add_task("synthesize", total=None)

            displayed_at = 0.0

            def changed(tally: Tally) -> None:
                nonlocal displayed_at
                if bar.disable or (time.monotonic() - displayed_at < 0.2 and tally.done + tally.failed < tally.calls):
                    return
                displayed_at = time.monotonic()
                tokens = f"{(tally.prompt_tokens + tally.completion_tokens) / 1e6:.2f} M tokens"
                money = f", cost {tally.cost:.2f} of about {tally.forecast:.2f}" if tally.cost else ""
                failed = f", {tally.failed} failed" if tally.failed else ""
                bar.update(
                    task,
                    total=tally.calls,
                    completed=tally.done + tally.failed,
                    description=f"synthesize ({tokens}{money}{failed})",
                )

            tally = Tally(changed=changed)
            settle(teacher, journal)
            refuse_names(journal, teacher.model, config.served_model)
            try:
                await teacher.prepare()
            except TeacherFault as fault:
                raise KcptError(str(fault)) from fault
            plan = make_plan(config, teacher, count, shard)
            journal.note("calls", plan.number())
            journal.note("structured", getattr(teacher, "structured", ""))
            if config.teacher == "batch":
                assert isinstance(teacher, BatchTeacher)
                await collect_batches(plan, journal, teacher, config.llm().cost, tally)
            else:
                await collect(plan, journal, teacher, config.concurrency, config.llm().cost, tally)
            journal.note("calls", tally.calls)
            refuse_names(journal, teacher.model, config.served_model)
            if tally.before:
                LOG.info("synthesize: %d calls were answered before; %d requests were made", tally.before, tally.asked)
            return tally.failed
    finally:
        await teacher.close()


def _still_failed(failed: int, out: Path) -> str:
    return (
        f"{failed} calls have no readable answer; they are in {out / 'failed.jsonl'} with their raw replies. The same "
        f"command asks again for those that the teacher did not answer; max_failed={failed} continues without them"
    )


def _write(config: Config, current: Stage) -> None:
    count, unit = token_counter(config.tokenizer)
    teacher = teachers.make(config)
    left_out = QUOTED if config.teacher == "rules" else ()
    with Journal(config.out / NAME) as journal:
        settle(teacher, journal)
        plan = make_plan(config, teacher, count, None)
        writer = Writer(plan, journal, Screen([*config.without, *left_out]), count)
        paths = writer.write(config.out)
    content = writer.report.content(teacher.model, unit) | {"filters_not_asked": list(left_out)}
    pages = write_page(config.out, content)
    failed, first = sum(writer.failures.values()), ", ".join(list(writer.missing)[:3])
    if writer.missing:
        (config.out / "synthetic.jsonl").unlink()
        raise KcptError(
            f"{sum(writer.missing.values())} calls about {len(writer.missing)} papers were never made (the first: "
            f"{first}); a shard has not ended. Run it with the same keys, then --merge again"
        )
    if failed > config.max_failed:
        (config.out / "synthetic.jsonl").unlink()
        raise KcptError(_still_failed(failed, config.out))
    current.add(*paths, *pages)
    totals = content["totals"]
    current.counts = {
        "papers": writer.papers,
        "calls": totals["calls"],
        "failed": failed,
        "pairs": {row["kind"]: row["kept"] for row in content["kinds"]},
        "rejected": content["rejected"],
        **{name: content[name] for name in ("repaired", "served_models", "shortened") if content[name]},
        **({"filters_not_asked": list(left_out)} if left_out else {}),
        "cost": totals["cost"],
    }
    LOG.info(
        "synthesize: %d pairs of %d kinds about %d papers kept, %d rejected",
        totals["kept"],
        len(content["kinds"]),
        writer.papers,
        totals["made"] - totals["kept"],
    )
    if content["shortened"]:
        LOG.warning(
            "synthesize: %d replies were cut off by the server before max_tokens=%d were used up: prompt and reply "
            "do not fit its window, or its generation_config.json has a limit. Give a smaller window=",
            content["shortened"],
            config.max_tokens,
        )
    if not totals["kept"]:
        raise KcptError(f"no pair was kept; {config.out / 'synthesis.html'} says which filters rejected them")
