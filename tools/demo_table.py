"""Write the demo's numbers into both READMEs, from runs/demo/report.json: `python tools/demo_table.py [report.json]`.

Run it after `make demo` and `make demo ARM=raw`. A test checks that the tables in both READMEs are the same numbers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- demo-table:start -->", "<!-- demo-table:end -->"
WORDS = {
    "README.md": {
        "head": ["model", "held-out questions", "train questions"],
        "base": "base (has never seen the papers)",
        "raw": "raw text only, same number of tokens",
        "trained": "text + 16 kinds of synthetic data",
        "gain": "Held-out, {model} − base: {difference} points (95 % interval {low} to {high}).",
        "kept": "Retention: {model} still answers {kept} of the general questions right that base answers.",
        "no_kept": "Retention was not measured: the model starts from nothing and has no general knowledge to keep.",
        "note": "Exact match against the known fact, with 95 % intervals (bootstrap over papers); {n} held-out and {m} "
        "train questions.",
    },
    "README.ja.md": {
        "head": ["モデル", "held-out の質問", "学習済みの質問"],
        "base": "base（論文を見ていない）",
        "raw": "本文のみ（トークン数は同じ）",
        "trained": "本文 + 16 種の合成データ",
        "gain": "held-out での {model} − base の差：{difference} ポイント（95 % 区間 {low} 〜 {high}）。",
        "kept": "知識の保持：base が正答する一般知識の質問のうち、{model} も正答したもの {kept}。",
        "no_kept": "知識の保持は測っていません。モデルは何も知らない状態から始まり、保つべき一般知識がないためです。",
        "note": "既知の事実との完全一致、95 % 区間つき（論文単位のブートストラップ）。"
        "held-out {n} 問、学習済み {m} 問。",
    },
}


def cell(row: dict[str, Any]) -> str:
    """Exact match with its interval, in percent."""
    low, high = row["ci95"]["exact_match"]
    return f"{100 * row['exact_match']:.0f} % ({100 * low:.0f}–{100 * high:.0f})"


def table(report: dict[str, Any], words: dict[str, Any]) -> str:
    """The Markdown between the markers."""
    rows = {(row["name"], row["split"]): row for row in report["models"]}
    lines = ["| " + " | ".join(words["head"]) + " |", "| --- | --- | --- |"]
    for name in ("base", "raw", "trained"):
        if (name, "test") in rows:
            lines.append(f"| {words[name]} | {cell(rows[name, 'test'])} | {cell(rows[name, 'train'])} |")
    lines += ["", words["note"].format(n=rows["base", "test"]["n"], m=rows["base", "train"]["n"])]
    for difference in report["differences"]:
        if difference["split"] == "test" and difference["metric"] == "exact_match":
            low, high = (f"{100 * value:.0f}" for value in difference["ci95"])
            text = words["gain"].format(
                model=difference["name"], difference=f"{100 * difference['mean']:+.0f}", low=low, high=high
            )
            lines.append(text)
    return "\n".join([*lines, *retained(report, words)])


def retained(report: dict[str, Any], words: dict[str, Any]) -> list[str]:
    """What stands beside the gains: of each model what it kept, or that this was not measured."""
    arms = [arm for arm in (report.get("frontier") or {"arms": []})["arms"] if arm["enough"]]
    lines = [words["kept"].format(model=arm["name"], kept=f"{100 * arm['retention']:.0f} %") for arm in arms]
    return lines or [words["no_kept"]]


def main() -> None:
    """Fill both READMEs."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runs/demo/report.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    for name, words in WORDS.items():
        readme = ROOT / name
        text = readme.read_text(encoding="utf-8")
        before, after = text.split(START)[0], text.split(END)[1]
        readme.write_text(f"{before}{START}\n{table(report, words)}\n{END}{after}", encoding="utf-8")
        print(table(report, words))


if __name__ == "__main__":
    main()
