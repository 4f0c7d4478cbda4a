"""How far a run is, read from its journals while it runs or after; and what a prefix cache will make of its prompts."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.llm.counting import token_counter
from nemo_kcpt.llm.journal import DONE, FAILED, NAME, Journal
from nemo_kcpt.llm.prefix import BLOCK, shared_tokens
from nemo_kcpt.llm.sampling import Asking
from nemo_kcpt.pages.numbers import percent
from nemo_kcpt.synthesis.calls import fit, make_plan

if TYPE_CHECKING:
    from nemo_kcpt.synthesis.config import Config

PAPERS = 20
"""Papers of which the prefix report is made."""


def read_status(out: Path) -> dict[str, Any]:
    """Requests, tokens and cost per kind, and the forecast.

    Raises:
        BadInput: there is no journal.
    """
    paths = [path for path in (out / NAME, *sorted((out / "shards").glob(f"*/{NAME}"))) if path.is_file()]
    if len(paths) > 1 and not (out / "manifest.json").is_file():
        paths = [path for path in paths if path.parent != out]  # a united journal holds the shards' rows again
    elif len(paths) > 1:
        paths = paths[:1]
    if not paths:
        raise BadInput(f"{out}: no {NAME} in it; no run has begun there")
    kinds: dict[str, dict[str, Any]] = defaultdict(lambda: defaultdict(float))
    planned = 0
    for path in paths:
        with Journal(path, read_only=True) as journal:
            planned += journal.notes("calls").get("calls", 0)
            for row in journal.totals():
                kind = kinds[row["kind"]]
                kind[row["status"]] += row["requests"]
                for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "seconds", "cost"):
                    kind[name] += row[name] or 0
    done = sum(kind[DONE] for kind in kinds.values())
    cost = sum(kind["cost"] for kind in kinds.values())
    return {
        "planned": planned,
        "done": int(done),
        "failed": int(sum(kind[FAILED] for kind in kinds.values())),
        "cost": cost,
        "forecast": cost / done * max(planned, done) if done else 0.0,
        "kinds": {name: dict(kind) for name, kind in kinds.items()},
    }


def show_status(out: Path) -> None:
    """Print the status as a table."""
    from rich.console import Console
    from rich.table import Table

    status = read_status(out)
    table = Table(box=None, pad_edge=False)
    for name in ("kind", "done", "unreadable", "failed", "tokens in", "cached", "tokens out", "s / call", "cost"):
        table.add_column(name, justify="left" if name == "kind" else "right", no_wrap=True)
    for name, kind in status["kinds"].items():
        get = defaultdict(float, kind)
        done = get["done"]
        table.add_row(
            name,
            *(f"{int(get[key]):,}" for key in ("done", "unreadable", "failed", "prompt_tokens", "cached_tokens")),
            f"{int(get['completion_tokens']):,}",
            f"{get['seconds'] / done:.1f}" if done else "–",
            f"{get['cost']:.2f}",
        )
    console = Console(highlight=False, soft_wrap=True)
    console.print(table, soft_wrap=False, width=max(console.width, 110), crop=False)
    share = f" ({percent(status['done'] / status['planned'])})" if status["planned"] else ""
    console.print(f"{status['done']:,} of {status['planned']:,} calls answered{share}, {status['failed']:,} failed")
    if status["cost"]:
        console.print(f"cost so far {status['cost']:.2f}, forecast {status['forecast']:.2f}")


def show_prefixes(config: Config) -> None:
    """Print the share of prompt tokens that a prefix cache answers, of the first papers.

    Raises:
        BadInput: no tokenizer was given.
    """
    from itertools import islice

    from tokenizers import Tokenizer

    if config.tokenizer is None:
        raise BadInput("--prefix-report counts tokens: give the teacher's tokenizer=FOLDER")
    config = fit(config)
    assert config.tokenizer is not None
    path = config.tokenizer / "tokenizer.json" if config.tokenizer.is_dir() else config.tokenizer
    count, _ = token_counter(config.tokenizer)
    tokenizer = Tokenizer.from_file(str(path))
    plan = make_plan(config, Asking(config.model), count, None)
    total = cached = 0
    print(f"{'paper':24s} {'tokens':>8s} {'prompts':>9s} {'from cache':>10s}")
    for paper in islice(plan.records(), PAPERS):
        texts = ["".join(f"{m['role']}\n{m['content']}\n" for m in call.request.messages) for call in plan.calls(paper)]
        shared = shared_tokens(tokenizer.encode(text, add_special_tokens=False).ids for text in texts)
        total, cached = total + shared.tokens, cached + shared.cached
        print(
            f"{paper['paper_id'][:24]:24s} {count(paper['text']):8,d} {shared.tokens:9,d} {percent(shared.share):>11}"
        )
    print(f"{percent(cached / max(total, 1))} of the prompt tokens are in full blocks of {BLOCK} that are cached")
