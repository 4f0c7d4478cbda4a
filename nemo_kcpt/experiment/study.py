"""A study: an experiment whose report is published as a page with plots, beside the documentation.

    kcpt study experiment=conf/experiment/laptop.yaml    runs it, hours; rerun it to resume
    kcpt study page_only=true                            only the page, from what the run holds, finished or not

1. The experiment as `kcpt grid --config EXPERIMENT out=OUT`, then that of second=, if given.
2. DOCS/NAME/report.json, report.html and plots, with the numbers of the second experiment in second.json.
3. DOCS/NAME.md, from these files alone. Nobody edits it by hand: its words are in a template (nemo_kcpt/report/study/),
   its numbers in report.json. Without a run, page_only=true makes the page again after a change of the words.

NAME and the limits that the page reports on are the experiment's `study`. `make study` prepares models and documents
of the two experiments in docs/study.md and runs this.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import load_config
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.experiment import experiment, stage
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.logs import LOG
from nemo_kcpt.report.study.page import templates, write_page
from nemo_kcpt.report.study.record import published

COMMITS = "study.json"
"""In the run's folder: {commits}, those that made it."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt study`."""

    experiment: Path = Path("conf/experiment/laptop.yaml")
    """File of the experiment, with a section `study`."""
    second: Path | None = None
    """File of a second experiment, on real documents, whose table the page has, too."""
    second_input: Path | None = None
    """Documents of the second experiment in SQuAD's form, instead of those that its file names."""
    out: Path = Path("runs/study")
    """Folder of the experiment; that of the second is beside it, with -second at the end of its name."""
    docs: Path = Path("docs")
    """Folder of the page."""
    page_only: bool = False
    """Run nothing: write the page from what the runs hold, or from the published files where there is no run."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """The section `study` of an experiment file."""

    page: str
    """Name of the page and of its template."""
    study_minutes: float
    """How long all of it may take on two cores."""
    words: Mapping[str, Any]
    """The whole experiment file."""


def read_study(path: Path) -> Study:
    """The study that an experiment file describes.

    Raises:
        BadInput: there is no such file, it has no section `study`, or one without a known page.
    """
    words = _yaml(path)
    if not words:
        raise BadInput(f"{path}: no such file, or an empty one; give experiment= the file of an experiment")
    section = words.get("study")
    if not isinstance(section, Mapping) or section.get("page") not in templates():
        raise BadInput(
            f"{path}: expected study: {{page: NAME, study_minutes: N}}, NAME one of {', '.join(templates())}; "
            "an experiment without a page of its own is run by kcpt grid"
        )
    return Study(page=section["page"], study_minutes=float(section.get("study_minutes", 0)), words=words)


def _yaml(path: Path) -> Mapping[str, Any]:
    import yaml

    found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found if isinstance(found, Mapping) else {}


def commit(root: Path) -> str:
    """The commit that runs, and whether something beside the pages was changed since; unknown without git."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        head = git("rev-parse", "--short", "HEAD")
    except OSError:
        head = ""
    if not head:
        return "unknown"
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    return f"{head} with uncommitted changes" if changed else head


def note_commit(run: Path, root: Path) -> None:
    """Write down in the run's folder by which commits it was made, in order."""
    path = run / COMMITS
    known = read_json(path)["commits"] if path.is_file() else []
    run.mkdir(parents=True, exist_ok=True)
    write_json(path, {"commits": list(dict.fromkeys([*known, commit(root)]))})


def second_run(run: Path) -> Path:
    """The folder of the second experiment."""
    return run.with_name(f"{run.name}-second")


def grid(file: Path, *words: str, redo: bool = False) -> KcptError | None:
    """`kcpt grid --config FILE` with these keys; the error it ended with."""
    LOG.info("study: kcpt grid --config %s %s", file, " ".join(words))
    try:
        stage.run(load_config(experiment.Config, file=file, overrides=words), redo)
    except KcptError as error:
        LOG.error("%s", error)
        return error
    return None


def run_all(config: Config, study: Study, redo: bool) -> list[KcptError]:
    """Both experiments as far as they are missing; the errors they ended with."""
    root = Path.cwd()
    last = config.docs / study.page / "report.json"
    took = read_json(last)["study"]["total_seconds"] if last.is_file() else None
    before = f"; the published run took {took / 60:.0f} minutes" if took else ""
    LOG.info("study: at most %.0f minutes on two cores are expected in all%s", study.study_minutes, before)
    LOG.info("study: after Ctrl-C or a kill rerun the same command to resume")
    note_commit(config.out, root)
    errors = [grid(config.experiment, f"out={config.out}", redo=redo)]
    if config.second is not None:
        folder, words = second_run(config.out), []
        if (given := config.second_input) is not None:
            words = [f"corpus.input={given}", f"synthesize.squad={given}", f"questions.squad={given}"]
        note_commit(folder, root)
        errors.append(grid(config.second, f"out={folder}", *words, redo=redo))
    return [error for error in errors if error is not None]


def refresh(run: Path) -> None:
    """A report of what a grid that is not finished has so far; a report of a finished grid stays."""
    path = run / "report/report.json"
    if path.is_file() and all(cell["state"] == "done" for cell in read_json(path)["cells"]):
        return
    if (run / "experiment.yaml").is_file() and grid(run / "experiment.yaml", "node=report"):
        LOG.warning("study: no newer report of %s", run)


def publish(config: Config, study: Study) -> bool:
    """DOCS/NAME and DOCS/NAME.md from what the runs hold; false where the first has no report yet."""
    run, folder, root = config.out, config.docs / study.page, Path.cwd()
    source, second = run / "report/report.json", second_run(run) / "report/report.json"
    if not source.is_file():
        return False
    state = "run" if second.is_file() else "waiting" if config.second is not None else "absent"
    folder.mkdir(parents=True, exist_ok=True)
    tried = (folder / "tried.md").is_file()
    write_json(folder / "report.json", _published(source, run, root, f"runs/{study.page}", state, tried))
    other = folder / "second.json"
    if second.is_file():
        write_json(other, _published(second, second_run(run), root, f"runs/{study.page}-second"))
    else:
        other.unlink(missing_ok=True)
    write_page(config.docs, study.page)
    return True


def _published(source: Path, run: Path, root: Path, shown: str, state: str = "", tried: bool = False) -> dict[str, Any]:
    note = run / COMMITS
    commits: Sequence[str] = read_json(note)["commits"] if note.is_file() else [commit(root)]
    return published(read_json(source), _yaml(run / "experiment.yaml"), commits, run, shown, root, state, tried)


def run(config: Config, redo: bool = False) -> None:
    """Run what is missing and write the page.

    Raises:
        BadInput: the experiment has no page, or there is nothing to write it from.
        KcptError: not everything is finished; the page says what is missing.
    """
    study, errors = read_study(config.experiment), list[KcptError]()
    if config.page_only:
        for folder in (config.out, second_run(config.out)):
            refresh(folder)
    else:
        errors = run_all(config, study, redo)
    if not publish(config, study):
        if not config.page_only or not (config.docs / study.page / "report.json").is_file():
            nothing = "has no report yet: the base and one other model must be finished; kcpt study runs them"
            raise errors[0] if errors else BadInput(f"{config.out}: {nothing}")
        LOG.info("study: %s has no report; the page is made again from %s", config.out, config.docs / study.page)
        write_page(config.docs, study.page)
    if errors:
        LOG.warning("study: not everything is finished: the page names what is missing; rerun to resume")
        raise errors[0]
