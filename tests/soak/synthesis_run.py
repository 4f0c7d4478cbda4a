"""A run of `kcpt synthesize` with a stub teacher that notes each call it gets, to be killed: CORPUS OUT CALLS."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from nemo_kcpt.llm.request import TeacherReply, TeacherRequest
from nemo_kcpt.synthesis import stage, teachers
from tests.synthesis.papers import StubTeacher

CONCURRENCY = 4


class NotingTeacher(StubTeacher):  # type: ignore[misc]
    """Notes each call before it answers, and takes its time."""

    def __init__(self, calls: Path) -> None:
        super().__init__()
        self._calls = os.open(calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        os.write(self._calls, f"{request.paper_id} {request.kind} {request.seed}\n".encode())
        await asyncio.sleep(0.01)
        if request.kind == "qa_easy" and request.paper_id.endswith("3") and not request.seed:
            return TeacherReply('{"pairs": [', "length", {"prompt_tokens": 5})
        reply: TeacherReply = await super().complete(request)
        return reply


def main(corpus: str, out: str, calls: str) -> None:
    teacher: Any = NotingTeacher(Path(calls))
    teachers.make = lambda config: teacher
    stage.run(stage.Config(corpus=Path(corpus), out=Path(out), teacher="openai", concurrency=CONCURRENCY))


if __name__ == "__main__":
    main(*sys.argv[1:])
