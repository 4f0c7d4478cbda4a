"""Several raters' files together: who says what, how far they agree, and which model is better.

Reads the .jsonl files that sheet.html exports and filled sheet.xlsx, in any mixture. Every inconsistency is named with
its file and line or cell. Ratings that cannot count because of one (another sheet, an unknown item, another answer than
was asked about, a rating other than 1, 0 or skip, no rater, two different ratings of one rater for one answer) are
refused; allow_inconsistent=true leaves them out instead. Harmless ones are warnings: answers not rated, the same rating
twice, a rater in several files.

An answer is right or wrong as most of its raters say; skips don't count, and an even split is unresolved: it enters no
accuracy and no test, and is counted. For each model: accuracy with Wilson's 95 % interval, and with one that resamples
papers. Between raters: Cohen's kappa, and Krippendorff's alpha over all. Between models: McNemar's exact test with
Holm's correction, and the paired difference with its interval, papers resampled.

Writes ratings.jsonl (for kcpt score --agreement), people.json, people.html, people.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.people.items import split_list
from nemo_kcpt.evaluation.people.people import ratings_records, summarise, write_people
from nemo_kcpt.evaluation.people.ratings import collect, rating_files, read_key
from nemo_kcpt.files import sha256_file, write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.pages.numbers import percent
from nemo_kcpt.runs import shaping, stage


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt human collect`."""

    out: Path = Path(MISSING)
    """Folder for the result."""
    sheet: Path = Path(MISSING)
    """Folder of kcpt human sheet, with key.json."""
    ratings: Any = MISSING
    """Files of raters (.jsonl, .xlsx), or folders with them: a list [a,b] or a,b."""
    allow_inconsistent: bool = False
    """Leave ratings out that cannot count, instead of refusing all."""
    seed: int = 0
    """Seed of the intervals that resample papers."""


def _paths(given: Any) -> list[Path]:
    values = split_list(given) if isinstance(given, str) else given if isinstance(given, list | tuple) else [given]
    for value in values:
        if not isinstance(value, str | Path):
            raise BadInput(f"ratings: {value!r} is no path; give files or folders as [a,b] or a,b")
    return [Path(value) for value in values]


def run(config: Config, redo: bool = False) -> None:
    """Merge the ratings unless that was done.

    Raises:
        BadInput: ratings that cannot count (unless allow_inconsistent), or none that can.
    """
    files = rating_files(_paths(config.ratings), config.out / "ratings.jsonl")
    inputs: dict[str, Path | str] = {"sheet": config.sheet}
    inputs |= {f"ratings/{path}": sha256_file(path) for path in sorted(files)}
    shape = {**shaping(config, "ratings"), "files": len(files)}
    with stage("human collect", config.out, config=shape, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("human collect: %s is finished", config.out)
            return
        key = read_key(config.sheet / "key.json")
        collected = collect(files, key)
        unusable = [str(finding) for finding in collected.findings if finding.unusable]
        for finding in collected.findings:
            if not finding.unusable or config.allow_inconsistent:
                LOG.warning("human collect: %s%s", finding, " (left out)" if finding.unusable else "")
        if unusable and not config.allow_inconsistent:
            raise BadInput(
                "\n  ".join(
                    [f"ratings: {len(unusable)} inconsistencies, because of which ratings cannot count:", *unusable]
                )
                + "\nCorrect the files, or give allow_inconsistent=true to leave these ratings out"
            )
        records = ratings_records(collected, key)
        rated = sum(record["rating"] is not None for record in records)
        if not rated:
            raise BadInput(f"{', '.join(map(str, files))}: no rating of 1 or 0 that can count; is it the right sheet?")
        content = summarise(collected, key, config.seed)
        write_jsonl(config.out / "ratings.jsonl", records)
        current.add(config.out / "ratings.jsonl", *write_people(config.out, content))
        current.counts = {
            "raters": len(collected.raters),
            "ratings": rated,
            "inconsistencies": len(collected.findings),
            "unusable": len(unusable),
        }
        LOG.info("human collect: %d raters, %d ratings of %d answers", len(collected.raters), rated, content["items"])
        for row in content["models"]:
            LOG.info(
                "human collect: %s: %s right (%s), %d of %d questions resolved",
                row["model"],
                percent(row["accuracy"]),
                percent(row["wilson95"]),
                row["n"],
                row["questions"],
            )
