"""Ids of packs and prompts, of transformers 4 here, and of transformers 5 beside vLLM: tokenizers of every kind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nemo_kcpt.checkpoints.hf_tokenizer import write_tokenizer
from nemo_kcpt.conversion.verify.sides import Rendering
from nemo_kcpt.conversion.verify.token_ids import ask, built_in_texts
from nemo_kcpt.environments import serve_python
from nemo_kcpt.hf.tokenizer import PackTokenizer
from tests.own_code import DECODES, with_own_tokenizer
from tests.thinking_models import KINDS, TEMPLATES, save_tokenizer

pytestmark = [pytest.mark.slow, pytest.mark.skipif(serve_python() is None, reason="no serve environment")]
PROMPTS = ["再現率は何％ですか？", "What was the model trained on?\n\nAnswer.", "<think>とは？", " ｶﾅ😀 10⁶ "]


def test_the_same_ids_everywhere(tmp_path: Path) -> None:
    given = [Rendering(save_tokenizer(tmp_path / kind / name, kind, name)) for kind in KINDS for name in TEMPLATES]
    own = with_own_tokenizer(save_tokenizer(tmp_path / "own", "unigram", "harmony"), tmp_path / "ran", DECODES)
    exported = tmp_path / "exported"
    exported.mkdir()
    write_tokenizer(own, exported, 512)
    given += [Rendering(own), Rendering(exported)]
    texts = [text for text in built_in_texts([own]) if "<s>" not in text]
    python = serve_python()
    assert python is not None
    here, there = (ask(one, given, texts, PROMPTS) for one in (Path(sys.executable), python))
    assert here["version"].startswith("4.") and there["version"].startswith("5.")
    for rendering, mine, theirs in zip(given, here["tokenizers"], there["tokenizers"]):
        assert "error" not in mine and mine == theirs, rendering.folder
        tokenizer = PackTokenizer(rendering.folder)
        assert [tokenizer.prompt_ids([{"role": "user", "content": text}]) for text in PROMPTS] == mine["chats"]
        plain = [text for text in texts if "<|" not in text]
        ids = [found.tolist() for found in tokenizer.text_ids(plain)]
        assert ids == [one for text, one in zip(texts, mine["plain"]) if text in plain]
    assert not (tmp_path / "ran").exists()
