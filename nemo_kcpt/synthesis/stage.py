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
               squad= the questions that people asked (kind human). Lower quality, of 8 kinds: for baselines, studies
               and tests
    template   the demo's stand-in for fictional papers, which knows their fact sheets; not an LLM
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import KcptError
from nemo_kcpt.logs import LOG
from nemo_kcpt.runs import Shard, Stage, exclusive, hash_files, later, shaping, stage
from nemo_kcpt.synthesis.counting import token_counter as token_counter
from nemo_kcpt.synthesis.filters import FILTERS, Screen
from nemo_kcpt.synthesis.journal import NAME, Journal, salvage
from nemo_kcpt.synthesis.kinds import KINDS
from nemo_kcpt.synthesis.rules import QUOTED, check_rules
from nemo_kcpt.synthesis.teachers.faults import check_served_model, refuse_names
from nemo_kcpt.synthesis.teachers.fitting import fitted

if TYPE_CHECKING:
    from nemo_kcpt.synthesis.plan import Plan
    from nemo_kcpt.synthesis.teacher import Teacher

__doc__ += "\nFilters, in the order in which they are asked; switch off by name with without=[…]:\n" + "".join(
    f"    {name:16s} {what.split(': ')[0].rstrip('.')}\n" for name, what in FILTERS.items()
)

TEACHERS = ("openai", "batch", "vllm", "rules", "template")
RUNNING = (
    "concurrency", "requests_per_minute", "tokens_per_minute", "timeout", "retries", "base_url", "api_key_env",
    "price_prompt", "price_cached", "price_completion", "max_failed", "shard", "merge", "status", "prefix_report",
    "salvage", "facts", "squad", "gpu_memory", "tensor_parallel", "poll", "served_model",
)  # fmt: skip
"""Keys that do not shape a result, or whose content enters the fingerprint instead of their text."""
SHARDS = "shards"


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt synthesize`."""

    corpus: Path = Path(MISSING)
    """Folder of kcpt corpus (papers.jsonl)."""
    out: Path = Path(MISSING)
    """Folder for synthetic.jsonl, the journal and the page."""
    teacher: str = "template"
    """openai, batch, vllm, rules (no LLM; lower quality) or template (a stand-in for fictional papers, not an LLM)."""
    model: str = "Qwen/Qwen2.5-72B-Instruct"
    """Name of the model on the server; for teacher=vllm also a folder."""
    base_url: str = ""
    """Address of the server, as http://localhost:8000/v1; empty: OPENAI_BASE_URL, else OpenAI's own."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable with the key; servers without keys need none."""
    kinds: list[str] = field(default_factory=list)
    """Kinds to write, in order; empty: the 16 and those in your own prompts; of teacher=rules those that it can."""
    prompts: Path | None = None
    """Folder of your own prompts: one that is called as a shipped one replaces it, another one is a new kind."""
    examples: Path | None = None
    """ichikara-style file or folder ({ID, text, output}): each prompt shows one, for the one-shot set."""
    facts: Path | None = None
    """Fact sheets of the fictional papers (facts.jsonl), needed by teacher=template."""
    squad: Path | None = None
    """teacher=rules: SQuAD-style file or folder from which the corpus was made; its human questions become pairs."""
    temperature: float = 0.7
    """Of the sampling; 0.7, top_p 0.8 are Qwen2.5's own."""
    top_p: float = 0.8
    """Of the sampling."""
    max_tokens: int = 8192
    """Tokens a reply may have; a translation is about as long as its paper."""
    seed: int = 0
    """Of the sampling; a reply that cannot be read is asked for again with the next one."""
    extra_body: dict[str, Any] = field(default_factory=dict)
    """More fields of the request, as {chat_template_kwargs: {enable_thinking: false}}."""
    served_model: str = later("any")
    """any: a server may answer under another name than model=, which is told and recorded; exact: that ends the run."""
    structured: str = "auto"
    """Structured output: auto (as the server offers it), json_schema, json_object or none."""
    window: int = 32768
    """Tokens that prompt and reply may have together; longer papers are divided. 0: never divide."""
    tokenizer: Path | None = None
    """The teacher's tokenizer (folder or tokenizer.json) to count with; without it a cautious estimate."""
    concurrency: int = 64
    """Requests under way at once."""
    requests_per_minute: float = 0
    """Limit of the server; 0: none."""
    tokens_per_minute: float = 0
    """Limit of the server, prompt and reply together; 0: none."""
    timeout: float = 600
    """Seconds until a request is given up and made again."""
    retries: int = 8
    """Times a request is made again after 429, 5xx, a time-out or a broken connection."""
    reply_retries: int = 3
    """Times a reply that cannot be read is asked for again with another seed."""
    max_failed: int = 0
    """Calls that may end without a readable answer; more, and the run ends with exit code 1 and can be gone on with."""
    without: list[str] = field(default_factory=list)
    """Filters to leave out; `all` leaves out every one."""
    price_prompt: float = 0
    """Price of a million prompt tokens, in any currency."""
    price_cached: float = -1
    """Price of a million prompt tokens from the server's cache; -1: as price_prompt."""
    price_completion: float = 0
    """Price of a million tokens of replies."""
    tensor_parallel: int = 1
    """GPUs the model is divided among; teacher=vllm."""
    gpu_memory: float = 0.9
    """Share of a GPU's memory; teacher=vllm."""
    poll: float = 60
    """Seconds between two looks at a batch; teacher=batch."""
    shard: str = ""
    """i/n: only the papers of one of n shares."""
    merge: bool = False
    """Unite the shards in the out folder."""
    status: bool = False
    """Show how far the run is, and end."""
    prefix_report: bool = False
    """Show how much of the prompts a server's prefix cache answers, and end; needs tokenizer=."""
    salvage: bool = False
    """Copy what is whole of a damaged journal into a new one, and go on."""

    def __post_init__(self) -> None:
        if self.teacher not in TEACHERS:
            raise ValueError(f"teacher: '{self.teacher}' is not one of {', '.join(TEACHERS)}")
        check_served_model(self.served_model)
        if self.structured not in ("auto", "json_schema", "json_object", "none"):
            raise ValueError(f"structured: '{self.structured}' is not auto, json_schema, json_object or none")
        check_rules(self)
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown and self.prompts is None and self.teacher != "rules":
            raise ValueError(f"kinds: {', '.join(unknown)} is not one of {', '.join(KINDS)}")
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds: each can be given once")
        for name, least in (
            ("concurrency", 1),
            ("max_tokens", 1),
            ("reply_retries", 0),
            ("retries", 0),
            ("timeout", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: {getattr(self, name)} was given; at least {least} is needed")
        if 0 < self.window <= self.max_tokens:
            raise ValueError(
                f"window: {self.window} was given, max_tokens is {self.max_tokens}; nothing is left for papers"
            )
        if self.shard:
            Shard.parse(self.shard)
        if self.shard and self.merge:
            raise ValueError("shard and merge: first every shard, then --merge")
        Screen(self.without)

    def cost(self, usage: Any) -> float:
        """Price of one request's tokens."""
        cached = usage.get("cached_tokens", 0)
        price_cached = self.price_prompt if self.price_cached < 0 else self.price_cached
        prompt = (usage.get("prompt_tokens", 0) - cached) * self.price_prompt + cached * price_cached
        total = (prompt + usage.get("completion_tokens", 0) * self.price_completion) / 1e6
        return round(total / 2 if self.teacher == "batch" else total, 9)


def make_teacher(config: Config) -> Teacher:
    """The teacher that a config names."""
    from nemo_kcpt.synthesis import teachers

    return teachers.make(config)


def settle(teacher: Teacher, journal: Journal) -> None:
    """Let the teacher ask in the form that the run's first requests had, which the server's offer decided."""
    mode = journal.notes("structured").get("structured")
    if mode and getattr(teacher, "structured", "") == "auto":
        teacher.structured = mode  # type: ignore[attr-defined]


def make_plan(config: Config, teacher: Teacher, count: Callable[[str], int], shard: Shard | None) -> Plan:
    """What is to be asked."""
    from nemo_kcpt.synthesis.plan import Plan
    from nemo_kcpt.synthesis.prompts import load_prompts
    from nemo_kcpt.synthesis.rules.human import human_prompts

    example = None
    if config.examples is not None:
        from nemo_kcpt.synthesis.ichikara import examples

        example = examples(config.examples.expanduser(), config.seed)
    rules = config.teacher == "rules"
    prompts = human_prompts() if rules else load_prompts(folder=config.prompts)
    everything = dict.fromkeys(kind for known in prompts.values() for kind in known.by_kind)
    return Plan(
        config.corpus / "papers.jsonl",
        config.kinds or [kind for kind in everything if not rules or kind in getattr(teacher, "kinds", ())],
        prompts,
        teacher,
        window=config.window - config.max_tokens if config.window else 0,
        count=count,
        retries=config.reply_retries,
        seed=config.seed,
        example=example,
        shard=shard,
    )


def run(config: Config, redo: bool = False) -> None:
    """Make synthetic.jsonl unless it is there; or a shard; or show how far it is."""
    if config.status:
        from nemo_kcpt.synthesis.status import show_status

        show_status(config.out)
        return
    if config.prefix_report:
        from nemo_kcpt.synthesis.status import show_prefixes

        show_prefixes(config)
        return
    if config.salvage:
        _salvage(config)
    given, config = config, fitted(config)
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
        from nemo_kcpt.synthesis.rules.human import squad_sha256

        inputs["squad"] = squad_sha256(config.squad)
    with stage("synthesize", config.out, config=shaping(given, *RUNNING), inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("synthesize: %s is finished", config.out)
            return
        if config.merge:
            from nemo_kcpt.synthesis.shards import unite

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
    from nemo_kcpt.progress import progress
    from nemo_kcpt.synthesis.collect import Tally, collect
    from nemo_kcpt.synthesis.teacher import TeacherFault

    teacher = make_teacher(config)
    try:
        with Journal(path) as journal, progress() as bar:
            if damaged := journal.damaged():
                LOG.warning("synthesize: %s: %d damaged rows; they are asked for again", path, damaged)
            task = bar.add_task("synthesize", total=None)

            shown = 0.0

            def changed(tally: Tally) -> None:
                nonlocal shown
                if bar.disable or (time.monotonic() - shown < 0.2 and tally.done + tally.failed < tally.calls):
                    return
                shown = time.monotonic()
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
                from nemo_kcpt.synthesis.batches import collect_batches
                from nemo_kcpt.synthesis.teachers.batch import BatchTeacher

                assert isinstance(teacher, BatchTeacher)
                await collect_batches(plan, journal, teacher, config.cost, tally)
            else:
                await collect(plan, journal, teacher, config.concurrency, config.cost, tally)
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
        f"command asks again for those that the teacher did not answer; max_failed={failed} goes on without them"
    )


def _write(config: Config, current: Stage) -> None:
    from nemo_kcpt.synthesis.page import write_page
    from nemo_kcpt.synthesis.write import Writer

    count, unit = token_counter(config.tokenizer)
    teacher = make_teacher(config)
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
        totals["kept"], len(content["kinds"]), writer.papers, totals["made"] - totals["kept"],
    )  # fmt: skip
    if content["shortened"]:
        LOG.warning(
            "synthesize: %d replies were cut off by the server before max_tokens=%d were used up: prompt and reply "
            "do not fit its window, or its generation_config.json has a limit. Give a smaller window=",
            content["shortened"], config.max_tokens,
        )  # fmt: skip
    if not totals["kept"]:
        raise KcptError(f"no pair was kept; {config.out / 'synthesis.html'} says which filters rejected them")
