"""What the tests of the synthesis room share: papers, and a teacher of their own (a stub, no LLM)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.files import write_json, write_jsonl
from nemo_kcpt.llm.request import TeacherFault, TeacherReply, TeacherRequest

TEXT = (
    "カスミは文法誤り訂正の手法である。学習には12,400文を用いた。正解率は81.3%であった。基準手法を4.2ポイント上回った。"
)


def paper(number: int = 0, **fields: Any) -> dict[str, Any]:
    return {"paper_id": f"p{number}", "title": f"カスミ{number}の研究", "text": TEXT, "language": "ja", **fields}


def corpus(folder: Path, papers: list[dict[str, Any]]) -> Path:
    """A finished corpus folder."""
    write_jsonl(folder / "papers.jsonl", papers)
    ids = [one["paper_id"] for one in papers]
    write_json(folder / "split.json", {"seed": 0, "heldout": ids[:1], "train": ids[1:]})
    manifest = {"format": 1, "stage": "corpus", "fingerprint": "f", "config": {}, "inputs": {}, "outputs": {}}
    write_json(folder / "manifest.json", manifest)
    return folder


def answer(request: TeacherRequest) -> str:
    """A reply of the right form that the filters let pass, made from the request alone."""
    assert request.schema is not None
    marks = f"{request.paper_id}の{request.kind}の第{request.part}部"
    if "output" in request.schema["properties"]:
        return json.dumps({"output": f"カスミは文の誤りを直すためのやり方です({marks})。"}, ensure_ascii=False)
    pairs = [{"instruction": f"カスミの正解率は何ですか({marks})。", "output": "正解率は81.3%です。"}]
    return json.dumps({"pairs": pairs}, ensure_ascii=False)


class StubTeacher:
    """Answers from the request alone; `faults` makes it misbehave: (paper_id, kind) -> replies or faults, in turn."""

    model = "stub"
    reads_prompts = True

    def __init__(self, faults: Mapping[tuple[str, str], list[Any]] | None = None, seconds: float = 0) -> None:
        self.params: Mapping[str, Any] = {"temperature": 0.0}
        self.faults = {key: list(values) for key, values in (faults or {}).items()}
        self.asked: list[TeacherRequest] = []
        self.most = self._now = 0
        self._seconds = seconds

    async def prepare(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        self.asked.append(request)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self._now -= 1
        turn = self.faults.get((request.paper_id, request.kind))
        reply = turn.pop(0) if turn else answer(request)
        if isinstance(reply, TeacherFault):
            raise reply
        if isinstance(reply, TeacherReply):
            return reply
        return TeacherReply(reply, "stop", {"prompt_tokens": 100, "completion_tokens": 10, "cached_tokens": 64})
