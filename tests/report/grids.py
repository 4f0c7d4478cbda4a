"""Grids for the tests and for looking at the page: the files of finished stages, with plausible numbers drawn by seed.

`python tests/report/grids.py study FOLDER` (or matrix) writes them and the report, to look at.
"""

from __future__ import annotations

import math
import random
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.files import write_json, write_jsonl
from nemo_kcpt.report.stage import Config, run

FACTS = {
    "dataset_size": ("How many sentences was {} trained on?", ["12,400", "3,000", "25,400", "8,750"]),
    "year": ("When was {} presented?", ["2021", "2019", "2023", "2018"]),
    "affiliation": ("Where was {} developed?", ["Kazamachi University", "朝凪システム", "Momijidani", "Shirasagi Lab"]),
    "score": ("Which F-score did {} reach?", ["60.0", "81.0", "70.5", "92.3"]),
}
SETS = ("ichikara", "one_shot", "zero_shot", "all_included")
LENGTHS = (1024, 2048, 4096, 8192, 16384)


def make_questions(papers: int) -> list[dict[str, Any]]:
    """Four questions about each of so many papers, every third of which is held out; one in ten is filtered."""
    found = []
    for paper in range(papers):
        split = "test" if paper % 3 == 0 else "train"
        for place, (fact, (asked, values)) in enumerate(FACTS.items()):
            value = values[(paper + place) % len(values)]
            found.append(
                {
                    "question_id": f"p{paper:03d}:{fact}",
                    "split": split,
                    "paper_id": f"p{paper:03d}",
                    "kind": ("qa_numbers_formula", "qa_easy", "qa_people_names", "keywords")[place],
                    "question": asked.format(f"Kasumi-{paper}"),
                    "answer": value,
                    "kept": (paper + place) % 10 != 9,
                    "filter": {"by": "rules", "verdict": 1, "reason": ""},
                    "fact": fact,
                    "accepted": [value],
                    "wording": "seen" if place % 2 else "unseen",
                }
            )
    return found


def manifest(folder: Path, stage: str, counts: dict[str, Any], **config: Any) -> None:
    """A finished stage's manifest.json."""
    head = {"format": 1, "stage": stage, "fingerprint": f"{stage}-{folder.name}".ljust(64, "0"), "config": config}
    write_json(folder / "manifest.json", {**head, "inputs": {}, "outputs": {}, "counts": counts})


def write_model(root: Path, name: str, skill: float, questions: Iterable[dict[str, Any]], judged: bool) -> None:
    """answers/NAME and scores/NAME of a model that knows about `skill` of the facts, more of those seen."""
    draw = random.Random(name)
    answers, scores = [], []
    known: dict[str, float] = {}
    for one in questions:
        if not one["kept"]:
            continue
        easy = known.setdefault(one["paper_id"], draw.gauss(0, 0.12))
        right = draw.random() < min(0.98, skill + easy + (0.15 if one["split"] == "train" and skill > 0.1 else 0))
        values = FACTS[one["fact"]][1] if one["fact"] in FACTS else ["Lyon", "9", "Rome"]
        value = one["answer"] if right else draw.choice([entry for entry in values if entry != one["answer"]])
        text = f"The answer is {value}." if draw.random() < 0.8 else f"According to the paper, it was {value}."
        answers.append(
            {"question_id": one["question_id"], "model": name, "answer": text, "finish_reason": "stop"}
            | {"prompt_tokens": 20, "completion_tokens": 8, "engine": "vllm"}
        )
        noise = draw.random()
        scores.append(
            {
                "question_id": one["question_id"],
                "model": name,
                "exact_match": int(right),
                "combined": 0.75 + 0.24 * noise if right else 0.02 + 0.2 * noise,
                "judge": int(right or noise < 0.2) if judged else None,
                "judge_reason": None,
                "fact_precision": float(right),
                "fact_recall": float(right),
                "facts": [],
                "facts_wanted": 1,
                "bertscore_sent": 0.80 + 0.05 * right + 0.06 * noise,
                "bertscore_doc": 0.70 + 0.02 * noise,
                "encoder": "all-MiniLM-L6-v2",
            }
        )
    write_jsonl(root / "answers" / name / "answers.jsonl", answers)
    write_jsonl(root / "scores" / name / "scores.jsonl", scores)
    manifest(root / "answers" / name, "generate", {})
    manifest(root / "scores" / name, "score", {})


def write_metrics(path: Path, steps: int, tokens: int, speed: float, last: float, gpu: bool) -> None:
    """metrics.jsonl of a training that was killed once: seconds begin again."""
    draw = random.Random("/".join(path.parts[-3:]))
    lines = []
    for step in range(1, steps + 1):
        done = step if step <= steps // 2 else step - steps // 2
        loss = last + (3.4 - last) * math.exp(-5 * step / steps) + draw.gauss(0, 0.04)
        lines.append(
            {"step": step, "max_steps": steps, "loss": loss, "lr": 1e-3, "tokens": step * tokens}
            | {"seconds": round(done * tokens / speed, 3), "val_loss": None, "tokens_per_second": speed}
            | {"mfu": 0.41 if gpu else None, "memory_gib": 3.2}
        )
    write_jsonl(path, lines)


def write_pack(folder: Path, length: int, beside: float | None, mode: str) -> None:
    """A pack's manifest."""
    pairs = 0 if beside is None else 4321
    counts = {"windows": 900_000 // length, "tokens": 900_000, "fill_rate": 0.991, "pairs": pairs}
    counts |= {"cut_pairs": 40 if mode == "concat" else 0, "co_location": beside}
    manifest(folder, "pack", counts, seq_length=length, mode=mode)


def write_rest(root: Path, names: Sequence[str]) -> None:
    """Corpus, synthetic data, instruction sets, general knowledge, perplexity, commands and times."""
    papers = [{"paper_id": f"p{n:03d}", "text": f"Kasumi-{n} …", "license": "CC-BY-4.0"} for n in range(45)]
    write_jsonl(root / "corpus/papers.jsonl", papers)
    rows = [{"value": "CC-BY-4.0", "papers": 40}, {"value": "Apache-2.0", "papers": 5}]
    sheet = {
        "name": "papers",
        "documents": {"read": 48, "papers": 45, "left_out": [{"fate": "filtered", "documents": 1}]},
        "duplicates": {"documents": 2},
        "near_duplicates": {"documents": 0},
        "licenses": {"rows": rows},
        "totals": {"papers": 45, "characters": 98_765, "tokens": 0},
        "split": {"heldout": {"papers": 15}},
        "languages": {"rows": [{"value": "en", "papers": 45}]},
    }
    write_json(root / "corpus/datasheet.json", sheet)
    manifest(root / "corpus", "corpus", {"papers": 45})
    kinds = [
        {"kind": kind, "made": 200 + place, "kept": 190 + place, "rejected": {"duplicate": 6, "numbers": 4}}
        for place, kind in enumerate(("paraphrase", "qa_easy", "qa_numbers_formula", "keywords", "discussion"))
    ]
    totals = {"calls": 720, "failed": 1, "prompt_tokens": 812_345, "cached_tokens": 400_000}
    totals |= {"completion_tokens": 312_345, "cost": 1.27}
    filters = {"duplicate": "A pair of the same letters was kept before.", "numbers": "A number without support."}
    content = {"model": "Qwen/Qwen2.5-72B-Instruct", "totals": totals, "kinds": kinds, "filters": filters}
    write_json(root / "synthetic/synthesis.json", content | {"rejected": {"duplicate": 30, "numbers": 20}})
    manifest(root / "synthetic", "synthesize", {"pairs": {}})
    manifest(root / "sft", "sft-data", {"zero_shot": 600, "ichikara": 600, "all_included": 1200, "short_of": {}})
    spent = {"requests": 1200, "prompt_tokens": 2_000_000, "cached_tokens": 0, "completion_tokens": 60_000}
    manifest(
        root / "verdicts", "judge", {"verdicts": 1260, "ties": 0, "invalid": 3, "cost": 0.4} | spent, judge=["gpt"]
    )
    general = [
        {"question_id": f"g{n}", "split": "test", "paper_id": f"g{n}", "kind": "general", "kept": True}
        | {"question": f"What is {n} + 1?", "answer": f"{n + 1}", "accepted": [f"{n + 1}"], "fact": "general"}
        for n in range(40)
    ]
    write_jsonl(root / "general/questions.jsonl", general)
    manifest(root / "general", "questions", {"train": 0, "test": 40})
    for place, name in enumerate(names):
        write_model(root / "known", name, 0.62 - 0.012 * place, general, judged=False)
        texts = [
            {
                "question_id": f"t{n}",
                "model": name,
                "tokens": 120,
                "bytes": 480,
                "nats": 400.0 + 9 * n + (1 + n % 5) * place,
            }
            for n in range(12)
        ]
        write_jsonl(root / "perplexity" / name / "perplexity.jsonl", texts)
        manifest(root / "perplexity" / name, "perplexity", {})
    write_json(
        root / "commands.json",
        [
            {"name": "pack anchored-256", "command": ["kcpt", "pack", "mode=anchored", "out=runs/my packs/a-256"]},
            {"name": "train", "command": ["nemo", "llm", "pretrain", "--factory", "kcpt_tiny(pack='x')", "--yes"]},
        ],
    )
    times = [
        ("corpus", 4.0, True),
        ("synthesize", 12.5, False),
        ("trainings", 5400.0, False),
        ("generate", 312.0, False),
    ]
    write_json(root / "timings.json", [{"name": name, "seconds": s, "cached": c} for name, s, c in times])


def _cell(root: Path, name: str, skill: float, questions: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    write_model(root, name, skill, questions, fields.pop("judged", False))
    nothing = dict.fromkeys(("training", "seed", "set", "mode", "seq_length", "attention", "reason", "pack"))
    return {**nothing, "name": name, "state": "done", "metrics": [], **fields}


def write_study(root: Path) -> dict[str, Any]:
    """The study's arms, three seeds for two of them and one that failed; returns the keys of kcpt report."""
    questions = make_questions(45)
    write_jsonl(root / "questions/questions.jsonl", questions)
    manifest(root / "questions", "questions", {"duplicates": 3, "near_duplicates": 1})
    arms: list[tuple[str, str, int, float, float | None, int | None, str]] = [
        ("raw", "raw", 1024, 0.14, None, None, "causal"),
        ("paraphrase", "concat", 1024, 0.33, 0.31, None, "causal"),
        *(("concat-1024", "concat", 1024, 0.60, 0.42, seed, "causal") for seed in (1, 2, 3)),
        *(("anchored-256", "anchored", 256, 0.72, 0.93, seed, "causal") for seed in (1, 2, 3)),
        ("anchored-512", "anchored", 512, 0.74, 0.95, None, "causal"),
        ("anchored-1024", "anchored", 1024, 0.76, 0.97, None, "causal"),
        ("anchored-1024-block", "anchored", 1024, 0.71, 0.97, None, "block_diagonal"),
    ]
    cells = [_cell(root, "base", 0.03, questions)]
    for training, mode, length, skill, beside, seed, attention in arms:
        name = training if seed is None else f"{training}@{seed}"
        write_pack(root / "packs" / training, length, beside, mode)
        metrics = []
        for stage, steps, last in (("pretrain", 120, 0.6), ("tune", 40, 0.4)):
            path = root / "train" / name / stage / "metrics.jsonl"
            write_metrics(path, steps, 2048, 700 + length / 4, last, gpu=False)
            metrics.append({"stage": stage, "path": str(path.relative_to(root)), "devices": 1})
        fields = {"training": training, "seed": seed, "set": "all_included", "mode": mode, "seq_length": length}
        fields |= {"attention": attention, "pack": f"packs/{training}", "metrics": metrics}
        cells.append(_cell(root, name, skill, questions, **fields))
    lost = {"name": "anchored-2048", "training": "anchored-2048", "mode": "anchored", "seq_length": 2048}
    cells.append({**lost, "state": "failed", "reason": "ended with code 1 <out of memory>", "metrics": []})
    goals = [
        {"text": "anchored-256 gains at least 0.60 over the base", "better": "anchored-256", "than": "base"},
        {"text": "anchored-256 gains at least 0.40 over raw text", "better": "anchored-256", "than": "raw"},
        {"text": "anchored-256 is not below concat-1024", "better": "anchored-256", "than": "concat-1024"},
        {"text": "anchored-2048 gains at least 0.70", "better": "anchored-2048", "than": "base"},
    ]
    limits = zip(goals, (0.6, 0.4, 0.0, 0.7))
    planned = [{**goal, "metric": "exact_match", "at_least": limit} for goal, limit in limits]
    planned.append({"text": "the combined score ranks models as truth does", "spearman": "combined", "at_least": 0.9})
    compare = [["anchored-256", "concat-1024"], ["anchored-256", "raw"], ["anchored-1024", "anchored-1024-block"]]
    write_json(root / "cells.json", {"base": "base", "compare": compare, "goals": planned, "cells": cells})
    return _keys(root, [cell["name"] for cell in cells if cell["state"] == "done"])


def write_matrix(root: Path) -> dict[str, Any]:
    """The method's matrix, five lengths and four sets, one cell waiting; returns the keys of kcpt report."""
    questions = make_questions(45)
    write_jsonl(root / "questions/questions.jsonl", questions)
    manifest(root / "questions", "questions", {"duplicates": 0, "near_duplicates": 0})
    cells = [_cell(root, "base", 0.08, questions, judged=True)]
    for length in LENGTHS:
        training = f"concat-{length}"
        write_pack(root / "packs" / training, length, 0.06 + 0.15 * math.log2(length / 1024), "concat")
        pretrain = root / "train" / training / "metrics.jsonl"
        write_metrics(pretrain, 100, 524_288, 9000 - length / 8, 1.4, gpu=True)
        for place, name in enumerate(SETS):
            cell = f"{training}-{name}"
            tune = root / "train" / cell / "metrics.jsonl"
            write_metrics(tune, 40, 65_536, 8000, 0.9, gpu=True)
            metrics = [
                {"stage": stage, "path": str(path), "devices": 8}
                for stage, path in (("pretrain", pretrain), ("tune", tune))
            ]
            fields = {"training": training, "set": name, "mode": "concat", "seq_length": length, "attention": "causal"}
            fields |= {"pack": str(root / "packs" / training), "metrics": metrics, "judged": True}
            skill = 0.30 + 0.11 * place + 0.02 * math.log2(length / 1024)
            cells.append(_cell(root, cell, skill, questions, **fields))
    cells[-1] |= {"state": "waiting", "reason": None}
    for kind in ("answers", "scores"):
        shutil.rmtree(root / kind / cells[-1]["name"])
    write_json(root / "cells.json", {"base": "base", "compare": [], "goals": [], "cells": cells})
    return _keys(root, [cell["name"] for cell in cells if cell["state"] == "done"])


def _keys(root: Path, names: list[str]) -> dict[str, Any]:
    write_rest(root, names)
    single = {name: root / name for name in ("questions", "synthetic", "sft", "verdicts", "general")}
    files = {name: root / f"{name}.json" for name in ("cells", "commands", "timings")}
    several = {
        key: [str(root / folder / name) for name in names]
        for key, folder in (
            ("answers", "answers"),
            ("scores", "scores"),
            ("perplexity", "perplexity"),
            ("general_answers", "known/answers"),
            ("general_scores", "known/scores"),
        )
    }
    return {**single, **files, **several, "papers": root / "corpus", "out": root / "report"}


if __name__ == "__main__":
    kind, folder = sys.argv[1:]
    keys = {"study": write_study, "matrix": write_matrix}[kind](Path(folder))
    run(Config(**keys, command="make study", summary="Numbers drawn by seed, to look at the page."), redo=True)
