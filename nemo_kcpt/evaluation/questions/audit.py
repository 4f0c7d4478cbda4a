"""The page to check a context filter by eye: questions it kept and dropped, and its figures on labelled questions."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.evaluation.questions import rules
from nemo_kcpt.evaluation.questions.judges import LlmFilter
from nemo_kcpt.evaluation.questions.labelled import CLASSES, figures
from nemo_kcpt.files import atomic_write, write_json
from nemo_kcpt.pages import environment
from nemo_kcpt.pages.numbers import count, percent, share

FILES = ("audit.json", "audit.html", "audit.md")
GROUPS = ("kept", "dropped", "no verdict")


def sample(records: Sequence[Mapping[str, Any]], n: int, seed: int) -> list[dict[str, Any]]:
    """`n` questions by seed, half of them kept and half dropped where there are so many, in groups of GROUPS."""
    groups: dict[str, list[Mapping[str, Any]]] = {name: [] for name in GROUPS}
    for record in records:
        judged = record["kept"] or (record.get("filter") or {}).get("verdict") is not None
        groups["kept" if record["kept"] else "dropped" if judged else "no verdict"].append(record)
    other = len(groups["dropped"]) + len(groups["no verdict"])
    from_kept = min(len(groups["kept"]), max(n - n // 2, n - other))
    wanted = {"kept": from_kept, "dropped": min(len(groups["dropped"]), n - from_kept)}
    wanted["no verdict"] = min(len(groups["no verdict"]), n - sum(wanted.values()))
    samples = []
    for name in GROUPS:
        chosen = random.Random(f"audit {seed} {name}").sample(range(len(groups[name])), wanted[name])
        samples += [{**groups[name][index], "group": name} for index in sorted(chosen)]
    return samples


def measure(labelled: Sequence[Mapping[str, Any]], llm: LlmFilter | None) -> list[dict[str, Any]]:
    """Figures of the rules, and of the LLM if one is given, on labelled questions."""
    filters: dict[str, list[int | None]] = {
        rules.NAME: [rules.judge(record["question"]).self_contained for record in labelled]
    }
    if llm is not None:
        asked = [
            {"question_id": f"labelled:{number:04d}", "question": record["question"]}
            for number, record in enumerate(labelled)
        ]
        filters[llm.name] = [entry["filter"]["verdict"] for entry in llm.judge(asked)]
    return [{"filter": name, **row} for name, verdicts in filters.items() for row in figures(labelled, verdicts)]


def write_audit(
    out: Path,
    records: Sequence[Mapping[str, Any]],
    titles: Mapping[str, str],
    *,
    n: int,
    seed: int,
    by: str,
    measured: Sequence[Mapping[str, Any]],
) -> Path:
    """Write audit.json and, from it alone, audit.html and audit.md into `out`; gives the page's path."""
    chosen = sample(records, n, seed)
    fields = ("question_id", "split", "paper_id", "kind", "question", "answer", "group")
    content = {
        "filter": by,
        "seed": seed,
        "questions": len(records),
        "kept": sum(bool(record["kept"]) for record in records),
        "sampled": len(chosen),
        "samples": [
            {
                **{name: record[name] for name in fields},
                "title": titles.get(record["paper_id"], ""),
                "verdict": record["filter"].get("verdict"),
                "reason": record["filter"]["reason"],
            }
            for record in chosen
        ],
        "measured": list(measured),
        "classes": list(CLASSES.values()),
    }
    write_json(out / FILES[0], content)
    for name in FILES[1:]:
        templates = environment(Path(__file__).parent, markdown=name.endswith("md"))
        templates.filters |= {"count": count, "percent": percent}
        templates.globals |= {"share": share, "groups": GROUPS}
        with atomic_write(out / name) as stream:
            stream.write(templates.get_template(f"{name}.j2").render(found=content))
    return out / FILES[1]
