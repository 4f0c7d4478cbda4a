"""Runs of `kcpt judge` that are killed: reads lines `INPUTS OUT URL SECONDS` and prints each run's exit code.

Each run is a process that is killed after so many seconds (0: not). It is forked when everything is imported, so that
a kill hits the run and not its start.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

import bm25s  # noqa: F401
import openai  # noqa: F401

from nemo_kcpt.evaluation.judging import stage, work  # noqa: F401
from nemo_kcpt.llm import openai as client

CONCURRENCY = 4


def judge(inputs: Path, out: Path, url: str) -> None:
    stage.run(
        stage.Config(
            questions=inputs / "questions.jsonl",
            answers=inputs / "answers.jsonl",
            papers=inputs / "papers.jsonl",
            out=out,
            judge=["stub", "second"],
            base_url=url,
            structured="json_schema",
            concurrency=CONCURRENCY,
            max_invalid=0.5,
            reply_retries=1,
            evidence="corpus",
            retries=20,
        )
    )


def main() -> None:
    client.FIRST_WAIT = client.LONGEST_WAIT = 0.01
    for line in sys.stdin:
        inputs, out, url, seconds = line.split()
        pid = os.fork()
        if not pid:
            code = 1
            try:
                judge(Path(inputs), Path(out), url)
                code = 0
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        deadline = time.monotonic() + (float(seconds) or 1e9)
        ended, status = 0, 0
        while not ended and time.monotonic() < deadline:
            time.sleep(0.002)
            ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
