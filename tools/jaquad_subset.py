"""A small file in SQuAD's form out of a large one: the study's real documents, with questions that people asked.

    .venv/bin/python tools/jaquad_subset.py jaquad runs/study-jaquad/jaquad.json

Of each article the first paragraphs until they carry so many questions, of these the shortest articles: what a small
model can read often in a quarter of an hour. The same folder gives the same file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

ARTICLES, QUESTIONS = 10, 6


def beginning(article: dict[str, Any], questions: int) -> list[dict[str, Any]] | None:
    """An article's first paragraphs, as few as carry `questions` questions; None where all of it has fewer."""
    taken: list[dict[str, Any]] = []
    for paragraph in article["paragraphs"]:
        taken.append(paragraph)
        if sum(len(part["qas"]) for part in taken) >= questions:
            return taken
    return None


def subset(folder: Path, articles: int = ARTICLES, questions: int = QUESTIONS) -> dict[str, Any]:
    """The shortest beginnings in SQuAD's form, the shortest first; an id is the file's name and the place in it.

    Raises:
        ValueError: the folder has not so many articles with so many questions.
    """
    beginnings = []
    for path in sorted(folder.glob("*.json")):
        for number, article in enumerate(json.loads(path.read_text(encoding="utf-8"))["data"]):
            taken = beginning(article, questions)
            if taken is not None:
                size = sum(len(paragraph["context"]) for paragraph in taken)
                name = f"{path.stem}-{number:04d}"
                beginnings.append((size, name, {"id": name, "title": article["title"], "paragraphs": taken}))
    if len(beginnings) < articles:
        raise ValueError(
            f"{folder}: {len(beginnings)} articles have {questions} questions or more, {articles} were asked for; give "
            "the folder of the JSON files, or smaller numbers"
        )
    beginnings.sort(key=lambda entry: entry[:2])
    return {"data": [article for _, _, article in beginnings[:articles]]}


def write_subset(folder: Path, out: Path, articles: int = ARTICLES, questions: int = QUESTIONS) -> str:
    """Write the file, whole or not at all; returns what is in it, in words."""
    content = subset(folder, articles, questions)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    partial.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    os.replace(partial, out)
    paragraphs = [paragraph for article in content["data"] for paragraph in article["paragraphs"]]
    asked, size = (
        sum(len(paragraph["qas"]) for paragraph in paragraphs),
        sum(len(paragraph["context"]) for paragraph in paragraphs),
    )
    return f"{len(content['data'])} articles, {size:,} characters, {asked} questions"


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="JSON files in SQuAD's form")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--articles", type=int, default=ARTICLES)
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    given = parser.parse_args()
    try:
        print(f"{given.out}: {write_subset(given.folder, given.out, given.articles, given.questions)}")
    except ValueError as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
