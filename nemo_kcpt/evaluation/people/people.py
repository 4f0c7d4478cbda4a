"""What people's ratings say together: accuracies, agreement, tests between models; as numbers, page and Markdown.

An answer counts as most of its raters say, skips left out. Where as many say right as wrong it is unresolved: it enters
no accuracy and no test, and its number is given. Agreement is over answers, each once, however many models gave it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

from nemo_kcpt.evaluation.people.ratings import Collected
from nemo_kcpt.files import atomic_write, write_json
from nemo_kcpt.pages import environment, plots
from nemo_kcpt.pages.numbers import percent
from nemo_kcpt.stats.raters import cohen_kappa, krippendorff_alpha, mcnemar_exact
from nemo_kcpt.stats.statistics import holm, paired_difference, share_interval, wilson_interval

FILES = ("people.json", "people.html", "people.md")


def ratings_records(collected: Collected, key: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One record a question, model and rater; `rating` is null where it was skipped. For `kcpt score --agreement`."""
    return [
        {
            "question_id": entry["question_id"],
            "model": model,
            "rater": rater,
            "rating": rating.rating,
            "item": item,
            "paper_id": entry["paper_id"],
            "note": rating.note,
            "seconds": rating.seconds,
        }
        for item, entry in key["items"].items()
        for model in entry["models"]
        for rater in collected.raters
        if (rating := collected.ratings.get((rater, item))) is not None
    ]


def _by_item(collected: Collected, key: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """For each item the raters who said 1 or 0, and what."""
    said: dict[str, dict[str, int]] = {item: {} for item in key["items"]}
    for (rater, item), rating in collected.ratings.items():
        if rating.rating is not None:
            said[item][rater] = rating.rating
    return said


def majority(ratings: Sequence[int]) -> int | None:
    """1 or 0 as most say; None where as many say the one as the other, or nobody anything."""
    right = sum(ratings)
    wrong = len(ratings) - right
    return None if right == wrong else int(right > wrong)


def _share(values: Sequence[int]) -> dict[str, Any]:
    """Share of ones with Wilson's interval; None of no values."""
    if not values:
        return {"right": 0, "n": 0, "accuracy": None, "wilson95": None}
    interval = [round(end, 6) for end in wilson_interval(sum(values), len(values))]
    return {"right": sum(values), "n": len(values), "accuracy": sum(values) / len(values), "wilson95": interval}


def _model(
    model: str, key: Mapping[str, Any], said: Mapping[str, Mapping[str, int]], raters: Sequence[str], seed: int
) -> dict[str, Any]:
    items = [item for item, entry in key["items"].items() if model in entry["models"]]
    verdicts = {item: majority(list(said[item].values())) for item in items}
    values = [verdict for verdict in verdicts.values() if verdict is not None]
    papers = [key["items"][item]["paper_id"] for item in items if verdicts[item] is not None]
    ties = sum(1 for item in items if verdicts[item] is None and said[item])
    clustered = [round(end, 6) for end in share_interval(values, papers, seed)] if values else None
    return {
        "model": model,
        "questions": len(items),
        **_share(values),
        "by_paper95": clustered,
        "papers": len(set(papers)),
        "unresolved": ties,
        "unrated": sum(1 for item in items if not said[item]),
        "by_rater": [
            {"rater": rater, **_share([said[item][rater] for item in items if rater in said[item]])} for rater in raters
        ],
    }


def _rater(rater: str, collected: Collected, items: int) -> dict[str, Any]:
    mine = [rating for (name, _), rating in collected.ratings.items() if name == rater]
    rated = [rating.rating for rating in mine if rating.rating is not None]
    seconds = [rating.seconds for rating in mine if rating.seconds]
    return {
        "rater": rater,
        "rated": len(rated),
        "right": sum(rated),
        "skipped": len(mine) - len(rated),
        "without_rating": items - len(mine),
        "seconds_median": median(seconds) if seconds else None,
    }


def _kappas(said: Mapping[str, Mapping[str, int]], raters: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for first, second in combinations(raters, 2):
        both = [
            (by_rater[first], by_rater[second])
            for by_rater in said.values()
            if first in by_rater and second in by_rater
        ]
        coefficient = cohen_kappa([a for a, _ in both], [b for _, b in both])
        agreed = sum(a == b for a, b in both) / len(both) if both else None
        rows.append(
            {
                "first": first,
                "second": second,
                "n": coefficient.n,
                "agreed": agreed,
                "kappa": coefficient.value,
                "reason": coefficient.reason,
            }
        )
    return rows


def _pair(
    first: str, second: str, key: Mapping[str, Any], said: Mapping[str, Mapping[str, int]], seed: int
) -> dict[str, Any]:
    """Two models on the questions that are resolved for both; the difference is second minus first."""
    verdicts: dict[str, dict[str, int]] = {}
    papers = {}
    for item, entry in key["items"].items():
        verdict = majority(list(said[item].values()))
        for model in entry["models"]:
            if verdict is not None:
                verdicts.setdefault(entry["question_id"], {})[model] = verdict
                papers[entry["question_id"]] = entry["paper_id"]
    shared = [name for name, by_model in verdicts.items() if first in by_model and second in by_model]
    a, b = [verdicts[name][first] for name in shared], [verdicts[name][second] for name in shared]
    only_first = sum(x > y for x, y in zip(a, b))
    only_second = sum(y > x for x, y in zip(a, b))
    row: dict[str, Any] = {
        "first": first,
        "second": second,
        "n": len(shared),
        "both_right": sum(x and y for x, y in zip(a, b)),
        "only_first": only_first,
        "only_second": only_second,
        "both_wrong": sum(not x and not y for x, y in zip(a, b)),
        "p": mcnemar_exact(only_first, only_second) if shared else None,
        "p_holm": None,
        "difference": None,
        "interval95": None,
        "reason": "",
    }
    if not shared:
        return row | {"reason": "no question is resolved for both"}
    difference = paired_difference(
        [float(x) for x in a], [float(x) for x in b], [papers[name] for name in shared], seed
    )
    row["difference"] = difference.mean
    if difference.low == difference.high:
        row["reason"] = (
            "every paper has the same difference (or there is one answer only): resampling gives no interval"
        )
    else:
        row["interval95"] = [round(difference.low, 6), round(difference.high, 6)]
    if not only_first + only_second:
        row["reason"] = "right and wrong on the same questions: no pair to test"
    return row


def summarise(collected: Collected, key: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What is in people.json.

    Args:
        collected: usable ratings and findings.
        key: as `read_key` gives it.
        seed: of the bootstrap over papers.
    """
    said = _by_item(collected, key)
    pairs = [_pair(first, second, key, said, seed) for first, second in combinations(key["models"], 2)]
    tested = [row for row in pairs if row["p"] is not None]
    for row, corrected in zip(tested, holm([row["p"] for row in tested])):
        row["p_holm"] = corrected
    alpha = krippendorff_alpha(list(by_rater.values()) for by_rater in said.values())
    reason = "one rater only: nobody to agree with" if len(collected.raters) == 1 else alpha.reason
    return {
        "sheet": key["sheet"],
        "questions": len({entry["question_id"] for entry in key["items"].values()}),
        "items": len(key["items"]),
        "raters": [_rater(rater, collected, len(key["items"])) for rater in collected.raters],
        "models": [_model(model, key, said, collected.raters, seed) for model in key["models"]],
        "kappa": _kappas(said, collected.raters),
        "alpha": {"alpha": alpha.value, "items": alpha.n, "reason": reason},
        "pairs": pairs,
        "inconsistencies": [
            {"where": finding.where, "what": finding.what, "unusable": finding.unusable}
            for finding in collected.findings
        ],
    }


def write_people(out: Path, content: Mapping[str, Any]) -> list[Path]:
    """Write people.json, people.html and people.md; returns the three."""
    from markupsafe import Markup

    paths = [out / name for name in FILES]
    write_json(paths[0], content)
    for path, markdown in ((paths[1], False), (paths[2], True)):
        templates = environment(Path(__file__).parent, markdown=markdown)
        templates.filters |= {"percent": percent, "points": points, "figure": figure}
        template = templates.get_template("people.md.j2" if markdown else "people.html.j2")
        plot = "" if markdown else Markup(_plot(content["models"]))
        with atomic_write(path) as stream:
            stream.write(template.render(found=content, plot=plot))
    return paths


def points(value: float | Sequence[float] | None) -> str:
    """A difference of shares, or both ends of its interval, in percentage points with sign; – for none."""
    if value is None:
        return "–"
    if isinstance(value, Sequence):
        return f"{points(value[0])} to {points(value[1])}"
    return f"{100 * value:+.1f}".replace("-", "−")


def figure(value: float | None) -> str:
    """A coefficient or p value with three decimals; – for none."""
    if value is None:
        return "–"
    return "< 0.001" if 0 <= value < 0.0005 and value else f"{value:.3f}"


def _plot(models: Sequence[Mapping[str, Any]]) -> str:
    """Accuracy of each model with Wilson's interval; nothing where nothing was rated."""
    rows = [row for row in models if row["accuracy"] is not None]
    if not rows:
        return ""
    (axis,) = plots.panels("accuracy by model", 7.5, 0.8 + 0.42 * len(rows))
    for position, row in enumerate(rows):
        low, high = (100 * end for end in row["wilson95"])
        axis.plot([low, high], [position, position], color=plots.COLOURS[1], linewidth=2.4, solid_capstyle="round")
        axis.plot([100 * row["accuracy"]], [position], "o", color=plots.COLOURS[1], markersize=7)
    axis.set_yticks(range(len(rows)), [row["model"] for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(0, 100)
    axis.grid(axis="y", visible=False)
    axis.tick_params(length=0)
    axis.set_xlabel("answers right, % (95 % interval)")
    return plots.svg(axis.figure, "accuracy by model")
