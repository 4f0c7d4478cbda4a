"""Real Japanese articles through everything: corpus, division, prompts, journal, filters. The teacher is a stub server
that answers with the article's own sentences, and now and then with what a teacher gets wrong.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.corpus import stage as corpus_stage
from nemo_kcpt.files import read_json, read_jsonl
from nemo_kcpt.records.kinds import KINDS
from nemo_kcpt.synthesis.config import Config
from nemo_kcpt.synthesis.stage import run
from tests.synthesis.fake_server import FakeServer, ok

WRONG = {
    "refusal": "申し訳ありませんが、お答えできません。",
    "numbers": "この出来事は3987654年に起きました。",
    "wrong_language": "This is an answer in another language than the one which was asked for by the prompt.",
}


def answer(body: dict[str, Any], number: int) -> Any:
    content = body["messages"][1]["content"]
    found = re.search(r"<(document-\w+)>\n(.*)\n</\1>", content, re.DOTALL)
    assert found
    sentences = re.findall(r"[^。\n]{12,}。", found[2]) or [found[2][:200] + "。"]
    asked = content.rsplit("\n", 1)[1]
    said = sentences[len(content) * 7919 % len(sentences)]
    wrong = list(WRONG.values())[number % 3] if number % 10 == 0 else ""
    if "中国語" in content[found.end() :]:
        said = "该文章介绍了一个重要的主题并且说明了它的背景以及主要的特点和意义。"
    elif "英語" in content[found.end() :]:
        said = "The article presents a subject of some importance and explains its background and its main features."
    if '"output"' in asked and '"pairs"' not in asked:
        return ok(json.dumps({"output": wrong or said}, ensure_ascii=False))
    chosen = [sentences[(number * 31 + place * 7) % len(sentences)] for place in range(3)]
    pairs = [
        {"instruction": f"第{number}問の{place}は何ですか。", "output": wrong or one}
        for place, one in enumerate(chosen)
    ]
    return ok(f"```json\n{json.dumps({'pairs': pairs}, ensure_ascii=False)}\n```")


@pytest.mark.slow
def test_ninety_articles(tmp_path: Path, shared_data: Path) -> None:
    corpus_stage.run(corpus_stage.Config(input=str(shared_data / "jaquad"), out=tmp_path / "corpus"))
    (tokenizer,) = (path for path in shared_data.rglob("tokenizer.json"))
    papers = {one["paper_id"]: one for one in read_jsonl(tmp_path / "corpus" / "papers.jsonl")}
    assert len(papers) >= 90
    with FakeServer(answer) as server:
        config = Config(
            corpus=tmp_path / "corpus", out=tmp_path / "out", teacher="openai", base_url=server.url, model="stub"
        )
        config.structured, config.tokenizer, config.window, config.max_tokens = "none", tokenizer.parent, 4096, 1024
        run(config)
        longest = max(len(json.dumps(body["messages"], ensure_ascii=False)) for body in server.bodies)
    records = list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))
    parts = Counter(one["paper_id"] for one in records if one["kind"] == "summary" and one.get("parts", 1) > 1)
    assert len(parts) >= 20 and longest < 12_000  # articles that do not fit are divided
    assert {one["kind"] for one in records} == set(KINDS)
    rejected = Counter(one["filter"] for one in read_jsonl(tmp_path / "out" / "rejected.jsonl"))
    totals = read_json(tmp_path / "out" / "synthesis.json")["totals"]
    print(f"{totals['calls']} calls about {len(papers)} articles, {totals['made']} pairs, rejected: {dict(rejected)}")
    assert set(WRONG) <= set(rejected)
    assert totals["failed"] == 0
    for record in records:
        title = papers[record["paper_id"]]["title"]
        assert all(title in pair["instruction"] for pair in record["pairs"])
        assert not any(
            pair["output"] in WRONG.values() for pair in record["pairs"] if record["kind"] in ("summary", "qa_easy")
        )
