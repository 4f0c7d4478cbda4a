"""Packs for models that think: pairs in the form of the template for replies without thoughts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.files import write_jsonl
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.packing import stage as pack_stage
from nemo_kcpt.packing.store import open_tokens
from nemo_kcpt.runs import read_manifest
from tests.thinking_models import save_tokenizer

TALK = ["再現率は？", "83.7です。", "単位は？", "％です。"]


def pack(tmp_path: Path, template: str) -> tuple[list[int], dict[str, Any], PackTokenizer]:
    folder = save_tokenizer(tmp_path / template, "qwen", template)
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(TALK)]
    write_jsonl(tmp_path / "sft.jsonl", [{"messages": messages, "origin": "own"}])
    out = tmp_path / f"{template}-pack"
    given: dict[str, Any] = {"mode": "instruction", "sft": tmp_path / "sft.jsonl", "tokenizer": folder}
    pack_stage.run(pack_stage.Config(out=out, seq_length=256, **given))
    tokens = open_tokens(out)
    ids = [int(one) for number in range(len(tokens)) for one in tokens[number]]
    return ids, read_manifest(out), PackTokenizer(folder)


@pytest.mark.parametrize(
    ("template", "samples"), [("qwen3", 2), ("harmony", 2), ("deepseek-r1", 1), ("smollm3", 1), ("chatml", 1)]
)
def test_each_reply_follows_the_prompt_that_is_asked(template: str, samples: int, tmp_path: Path) -> None:
    ids, manifest, tokenizer = pack(tmp_path, template)
    text = tokenizer.decode(ids)
    roles = ("user", "assistant")
    for end in (1, 3):
        messages = [{"role": roles[number % 2], "content": said} for number, said in enumerate(TALK[:end])]
        assert tokenizer.prompt(messages) + TALK[end] in text
    assert text.count(TALK[0]) == samples
    assert manifest["counts"].get("thinking") == ("off" if template != "chatml" else None)
    assert ("thinking" in manifest["inputs"]) == (template != "chatml")
