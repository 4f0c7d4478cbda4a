# ruff: noqa: E501
"""`kcpt synthesize` beside a bare loop over the same `openai` client: requests a second, cost of the journal, memory.

    .venv/bin/python tools/bench/synthesis.py --calls 6000

A server on loopback, in processes of its own, answers at once. The bare loop keeps as many requests under way and
throws the replies away; ours renders prompts, keys them, checks the replies and journals each before it counts. Both
send the same messages, in turns. Then the journal alone: its time a call with as many rows in a group as come together.
Memory is the peak of our process over a short and a long run (`--long`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SERVER = r"""
import asyncio, json, sys
CONTENT = {False: '{"pairs": [{"instruction": "カスミの正解率は何ですか。", "output": "81.3%です。"}]}', True: '{"output": "カスミは文の誤りを直すやり方です。"}'}
def reply(output):
    message = {"role": "assistant", "content": CONTENT[output]}
    body = {"id": "c", "object": "chat.completion", "created": 0, "model": "stub",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 900, "completion_tokens": 30, "total_tokens": 930}}
    raw = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(raw) + raw
REPLIES = {False: reply(False), True: reply(True)}
async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            body = await reader.readexactly(length)
            writer.write(REPLIES[b'{\\"output\\"' in body[-6000:]])
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
asyncio.run(main())
"""
TEXT = "カスミは文法誤り訂正の手法である。学習には12,400文を用いた。正解率は81.3%であった。" * 25


def make_corpus(folder: Path, papers: int) -> Path:
    """Papers of about 1,100 characters."""
    folder.mkdir(parents=True)
    with (folder / "papers.jsonl").open("w", encoding="utf-8") as stream:
        for number in range(papers):
            record = {"paper_id": f"p{number}", "title": f"カスミ{number}の研究", "text": TEXT, "language": "ja"}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    manifest = {"format": 1, "stage": "corpus", "fingerprint": str(papers), "config": {}, "inputs": {}, "outputs": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def bare(corpus: Path, url: str, concurrency: int) -> float:
    """Requests a second of a loop that only asks."""
    import httpx
    import openai

    from nemo_kcpt.llm.sampling import Asking
    from nemo_kcpt.synthesis.plan import Plan
    from nemo_kcpt.synthesis.prompts import load_prompts

    asking = Asking("stub", structured="json_schema")
    plan = Plan(
        corpus / "papers.jsonl", list(load_prompts()["ja"].by_kind), load_prompts(), asking, window=0, count=len
    )
    bodies = [asking.body(call.request) for paper in plan.records() for call in plan.calls(paper)]

    async def run() -> float:
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        http = openai.DefaultAsyncHttpxClient(limits=limits)
        client = openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0, http_client=http)
        waiting = iter(bodies)

        async def work() -> None:
            for body in waiting:
                await client.chat.completions.create(**body)

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(concurrency)))
        seconds = time.perf_counter() - started
        await client.close()
        return len(bodies) / seconds

    return asyncio.run(run())


def ours(corpus: Path, url: str, concurrency: int, out: Path) -> dict[str, float]:
    """Requests a second of asking with the journal, and of the whole stage; peak memory in MiB."""
    import openai  # noqa: F401  (the bare loop's clock does not run while it is imported either)

    from nemo_kcpt.runs import read_manifest
    from nemo_kcpt.synthesis import batches, collect, plan, stage  # noqa: F401

    config = stage.Config(
        corpus=corpus,
        out=out,
        teacher="openai",
        base_url=url,
        model="stub",
        structured="json_schema",
        concurrency=concurrency,
        without=["all"],
        window=0,
    )
    started = time.perf_counter()
    stage._ask(config, out / stage.NAME, None)
    asking = time.perf_counter() - started
    stage.run(config)
    whole = time.perf_counter() - started
    calls = read_manifest(out)["counts"]["calls"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"asking": calls / asking, "whole": calls / whole, "peak": peak}


def journal_cost(folder: Path, group: int, rows: int = 20_000) -> float:
    """Microseconds a row."""
    from nemo_kcpt.llm.journal import DONE, Journal, Row

    made = [Row(f"{number:064x}", "p", "summary", 0, 0, DONE, TEXT[:600], "stop") for number in range(rows)]
    with Journal(folder / f"journal-{group}.sqlite") as journal:
        started = time.perf_counter()
        for start in range(0, rows, group):
            journal.add(made[start : start + group])
        return (time.perf_counter() - started) / rows * 1e6


def measured(how: str, corpus: Path, url: str, concurrency: int, out: Path) -> dict[str, float]:
    """One measurement in a process of its own."""
    words = [sys.executable, __file__, "--inside", how, str(corpus), url, str(concurrency), str(out)]
    environment = {**os.environ, "OPENAI_API_KEY": "none"}
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True, env=environment)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=6400)
    parser.add_argument("--long", type=int, default=0, help="calls of a long run for the memory; 100000 takes minutes")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inside", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        how, corpus, url, concurrency, out = given.inside
        figures = (
            {"rate": bare(Path(corpus), url, int(concurrency))}
            if how == "bare"
            else ours(Path(corpus), url, int(concurrency), Path(out))
        )
        print(json.dumps(figures))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        try:
            corpus = make_corpus(folder / "corpus", given.calls // 16)
            rates, mine = [], []
            for number in range(given.rounds):
                rates.append(measured("bare", corpus, url, given.concurrency, folder)["rate"])
                mine.append(measured("ours", corpus, url, given.concurrency, folder / f"out{number}"))
            best, asking, whole = max(rates), max(run["asking"] for run in mine), max(run["whole"] for run in mine)
            print(
                f"{given.calls} calls, {given.concurrency} under way, best of {given.rounds} rounds in turns, {os.cpu_count()} cores"
            )
            print(f"bare loop over the openai client  {best:7.0f} requests/s")
            print(f"kcpt synthesize, asking           {asking:7.0f} requests/s   {asking / best:.2f} of the bare loop")
            print(f"kcpt synthesize, the whole stage  {whole:7.0f} requests/s   {whole / best:.2f} of the bare loop")
            for group in (1, 16, 64):
                rows = 2000 if group == 1 else 20_000
                print(f"journal, {group:2d} rows a commit          {journal_cost(folder, group, rows):7.0f} µs a call")
            print(f"peak memory over {given.calls:,} calls: {mine[0]['peak']:.0f} MiB")
            if given.long:
                big = make_corpus(folder / "big", given.long // 16)
                peak = measured("ours", big, url, given.concurrency, folder / "long")["peak"]
                print(
                    f"peak memory over {given.long:,} calls: {peak:.0f} MiB, {peak / mine[0]['peak']:.2f} times as much"
                )
        finally:
            server.kill()


if __name__ == "__main__":
    main()
