"""The data sheet of a report: corpus, synthetic data, instruction sets, questions and judges, as their folders tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.files import read_json
from nemo_kcpt.records.files import QUESTIONS
from nemo_kcpt.records.inputs import read_papers
from nemo_kcpt.runs import MANIFEST, read_manifest
from nemo_kcpt.stats.statistics import holm, paired_difference, paired_p, wilson_interval

JUDGED = ("verdicts", "ties", "invalid", "requests", "prompt_tokens", "cached_tokens", "completion_tokens", "cost")
ASKED = ("requests", "prompt_tokens", "completion_tokens", "cost")


def counts_in(folder: Path | None) -> dict[str, Any]:
    """What a stage counted; empty for a file or a folder of somebody's own."""
    if folder is None or not (folder / MANIFEST).is_file():
        return {}
    return dict(read_manifest(folder).get("counts", {}))


def data_sheet(
    papers: Path | None, synthetic: Path | None, sft: Path | None, questions: Path, verdicts: Sequence[Path]
) -> dict[str, Any]:
    """Everything that is known of the data; a part that was not given is None, `judges` a list."""
    return {
        "corpus": _corpus(papers),
        "synthetic": _synthetic(synthetic),
        "instructions": _instructions(sft),
        "questions": _questions(questions),
        "judges": [_judged(folder) for folder in verdicts],
    }


def _shares(table: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    rows = (table or {}).get("rows") or []
    shares = [{"value": row["value"], "papers": row["papers"]} for row in rows]
    others = ((table or {}).get("others") or {}).get("papers") or 0
    return [*shares, {"value": "others", "papers": others}] if others else shares


def _corpus(papers: Path | None) -> dict[str, Any] | None:
    if papers is None:
        return None
    if not (papers / "datasheet.json").is_file():
        records = read_papers(papers)
        licences = Counter(str(record.get("license") or "not given") for record in records.values())
        return {
            "name": None,
            "papers": len(records),
            "read": None,
            "heldout": None,
            "left_out": [],
            "characters": sum(len(record["text"]) for record in records.values()),
            "tokens": None,
            "duplicates": None,
            "licences": [{"value": name, "papers": n} for name, n in licences.most_common()],
            "languages": [],
        }
    sheet = read_json(papers / "datasheet.json")
    documents, split = sheet.get("documents") or {}, sheet.get("split") or {}
    duplicates = [(sheet.get(name) or {}).get("documents") or 0 for name in ("duplicates", "near_duplicates")]
    return {
        "name": sheet.get("name"),
        "papers": documents.get("papers"),
        "read": documents.get("read"),
        "left_out": documents.get("left_out") or [],
        "heldout": (split.get("heldout") or {}).get("papers"),
        "characters": (sheet.get("totals") or {}).get("characters"),
        "tokens": (sheet.get("totals") or {}).get("tokens") or None,
        "duplicates": sum(duplicates),
        "licences": _shares(sheet.get("licenses")),
        "languages": _shares(sheet.get("languages")),
    }


def _synthetic(folder: Path | None) -> dict[str, Any] | None:
    """Pairs of each kind and what was rejected; from synthesis.json, else from the manifest's counts."""
    if folder is None:
        return None
    if not (folder / "synthesis.json").is_file():
        counts = counts_in(folder)
        kinds = [{"kind": name, "made": None, "kept": n, "rejected": None} for name, n in counts["pairs"].items()]
        made = dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens"))
        return {
            "teacher": None,
            "kinds": kinds,
            "rejected": counts.get("rejected") or {},
            "filters": {},
            "calls": counts.get("calls"),
            "failed": counts.get("failed"),
            "cost": counts.get("cost"),
            **made,
        }
    synthesis = read_json(folder / "synthesis.json")
    kinds = [
        {"kind": row["kind"], "made": row["made"], "kept": row["kept"], "rejected": sum(row["rejected"].values())}
        for row in synthesis["kinds"]
    ]
    totals = {
        name: synthesis["totals"].get(name)
        for name in ("calls", "failed", "prompt_tokens", "cached_tokens", "completion_tokens", "cost")
    }
    rejected = synthesis.get("rejected") or {}
    filters = {name: text for name, text in (synthesis.get("filters") or {}).items() if name in rejected}
    return {"teacher": synthesis["model"], "kinds": kinds, "rejected": rejected, "filters": filters, **totals}


def _instructions(folder: Path | None) -> dict[str, Any] | None:
    counts = counts_in(folder)
    if not counts:
        return None
    short = counts.pop("short_of", None) or {}
    return {"sets": [{"set": name, "samples": n} for name, n in counts.items()], "short_of": short}


def _questions(path: Path) -> dict[str, Any]:
    """Kept and filtered questions by split and kind, and how many were dropped as duplicates."""
    records = list(QUESTIONS.read(path))
    kept = Counter((record["split"], record["kind"]) for record in records if record.get("kept", True))
    dropped = Counter((record["split"], record["kind"]) for record in records if not record.get("kept", True))
    filters = Counter(
        str((record.get("filter") or {}).get("by") or "unknown") for record in records if not record.get("kept", True)
    )
    counts = counts_in(path)
    rows = [
        {"kind": kind}
        | {split: {"kept": kept[split, kind], "filtered": dropped[split, kind]} for split in ("test", "train")}
        for kind in sorted({kind for _, kind in [*kept, *dropped]})
    ]
    asked = counts.get("llm") if isinstance(counts.get("llm"), dict) else {}
    return {
        "kinds": rows,
        "filtered": dict(filters),
        "duplicates": (counts.get("duplicates") or 0) + (counts.get("near_duplicates") or 0) if counts else None,
        "asked": {name: asked.get(name) for name in ASKED} if asked else None,
    }


def _judged(folder: Path) -> dict[str, Any]:
    folder = folder if folder.is_dir() else folder.parent
    counts = counts_in(folder)
    config = read_manifest(folder)["config"] if (folder / MANIFEST).is_file() else {}
    return {"judge": _name(config.get("judge")), **{name: counts.get(name) for name in JUDGED}}


def _name(judge: Any) -> str | None:
    if isinstance(judge, (list, tuple)):
        return ", ".join(str(_name(member)) for member in judge)
    if isinstance(judge, Mapping):
        return ", ".join(map(str, judge))
    return str(judge) if judge else None


def general_rows(
    names: Sequence[str], questions: Mapping[str, Mapping[str, Any]], scores: Mapping[Any, Mapping[str, Any]], base: str
) -> list[dict[str, Any]]:
    """General knowledge of each model: share right with Wilson's interval, and the paired difference to the base.

    General questions are about no paper; each stands for itself. `p` is of the paired permutation test, `p_holm`
    corrected for the models compared.
    """
    results = {
        name: {
            key: float(scores[key, name]["exact_match"])
            for key in questions
            if (scores.get((key, name)) or {}).get("exact_match") is not None
        }
        for name in names
    }
    rows = []
    for name, values in results.items():
        if not values:
            continue
        right = round(sum(values.values()))
        row: dict[str, Any] = {"name": name, "n": len(values), "right": right, "exact_match": right / len(values)}
        row |= {"wilson95": [*wilson_interval(right, len(values))], "difference": None, "difference_ci95": None}
        both = [key for key in values if key in results.get(base, {})]
        if name != base and both:
            before, after = [results[base][key] for key in both], [values[key] for key in both]
            apart = paired_difference(before, after)
            row |= {"difference": apart.mean, "difference_ci95": [apart.low, apart.high], "p": paired_p(before, after)}
        rows.append(row)
    compared = [row for row in rows if "p" in row]
    for row, corrected in zip(compared, holm([row["p"] for row in compared])):
        row["p_holm"] = corrected
    return rows
