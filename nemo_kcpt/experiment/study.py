"""A study: an experiment whose report is published as a page with plots, beside the documentation.

    kcpt study experiment=conf/experiment/laptop.yaml    runs it, hours; rerun it to resume
    kcpt study page_only=true                            only the page, from what the run holds, finished or not

1. The experiment as `kcpt grid --config EXPERIMENT out=OUT`, then that of second=, if given.
2. DOCS/NAME/report.json, report.html and plots, with the numbers of the second experiment in second.json.
3. DOCS/NAME/arms: answers, scores and losses of every arm that is finished, without its weights. A later run, also in
   another folder or on another machine, takes them up and trains what is missing; each arm may come from another day.
4. DOCS/NAME.md, from these files alone. Nobody edits it by hand: its words are in a template (nemo_kcpt/report/study/),
   its numbers in report.json. Without a run, page_only=true makes the page again after a change of the words.

With `study: {worlds: [11, 12, 13]}` the whole is done on the fictional papers of each of these seeds, one after the
other, each with models of its own, and the page is about all papers together as soon as a second world is finished.

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
from nemo_kcpt.experiment import archive, experiment, stage, worlds
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.sections import check_sections
from nemo_kcpt.experiment.states import States
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.logs import LOG
from nemo_kcpt.report.study.page import templates, write_page
from nemo_kcpt.report.study.record import published

ARMS = "arms"
"""In the page's folder: what finished arms wrote, from which the study is resumed elsewhere."""
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
    """Minutes that the whole study may take on two cores."""
    words: Mapping[str, Any]
    """The whole experiment file."""
    worlds: Sequence[int] = ()
    """Seeds of the fictional papers on which the whole experiment is done, each by itself; empty: those of the file."""

    def folders(self, out: Path) -> dict[str, Path]:
        """The experiments' folders by the names of their worlds: `out`, and others beside it."""
        names = [f"papers-{seed}" for seed in self.worlds] or [""]
        return {name: out.with_name(f"{out.name}-{name}") if index else out for index, name in enumerate(names)}


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
    seeds = section.get("worlds") or []
    own = (words.get("world") or {}).get("seed")
    if seeds and (len(set(seeds)) < len(seeds) or seeds[0] != own):
        raise BadInput(f"{path}: study: worlds: {seeds}: expected seeds that differ, the first that of world ({own})")
    minutes = float(section.get("study_minutes", 0))
    return Study(page=section["page"], study_minutes=minutes, words=words, worlds=seeds)


def _yaml(path: Path) -> Mapping[str, Any]:
    import yaml

    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return content if isinstance(content, Mapping) else {}


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


def note_commit(run: Path, root: Path, before: Sequence[str] = ()) -> None:
    """Write down in the run's folder by which commits it was made, in order, and by which what it took up `before`."""
    path = run / COMMITS
    known = [*(read_json(path)["commits"] if path.is_file() else []), *before]
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


def states_of(config: Config, words: Sequence[str]) -> States:
    """How the steps of the first experiment stand, with these keys."""
    grid_config = load_config(experiment.Config, file=config.experiment, overrides=words)
    check_sections(grid_config)
    return States(Graph(grid_config))


def words_of_world(name: str, run: Path) -> list[str]:
    """Keys of the experiment on the papers of a world."""
    return [f"out={run}", *([f"world.seed={name.removeprefix('papers-')}"] if name else [])]


def whole(folders: Mapping[str, Path]) -> dict[str, Path]:
    """The first experiment, and those of the others that are finished."""

    def done(run: Path) -> bool:
        path = run / "report/report.json"
        return path.is_file() and all(cell["state"] == "done" for cell in read_json(path)["cells"])

    first = next(iter(folders))
    return {name: run for name, run in folders.items() if name == first or (done(folders[first]) and done(run))}


def run_all(config: Config, study: Study, redo: bool) -> list[KcptError]:
    """Both experiments as far as they are missing; the errors they ended with."""
    root = Path.cwd()
    last = config.docs / study.page / "report.json"
    before = read_json(last)["study"] if last.is_file() else None
    took = before["total_seconds"] if before else None
    earlier = f"; the published run took {took / 60:.0f} minutes" if took else ""
    LOG.info("study: at most %.0f minutes on two cores are expected in all%s", study.study_minutes, earlier)
    LOG.info("study: after Ctrl-C or a kill rerun the same command to resume")
    errors: list[KcptError | None] = []
    for name, run in study.folders(config.out).items():
        words, kept = words_of_world(name, run), config.docs / study.page / ARMS / name
        restored = archive.restore(states_of(config, words), kept) if kept.is_dir() else []
        if restored:
            LOG.info("study: finished before, taken from %s: %s", kept, ", ".join(restored))
        note_commit(run, root, before["commits"] if before and restored else ())
        errors.append(grid(config.experiment, *words, redo=redo))
    if config.second is not None:
        folder, words = second_run(config.out), []
        if (given := config.second_input) is not None:
            known = _yaml(config.second)
            stages = [name for name in ("synthesize", "questions") if "squad" in (known.get(name) or {})]
            words = [f"corpus.input={given}", *(f"{name}.squad={given}" for name in stages)]
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


def keep_arms(config: Config, study: Study) -> None:
    """DOCS/NAME/arms from what the runs hold."""
    for name, run in study.folders(config.out).items():
        if (run / "nodes").is_dir():
            archive.save(states_of(config, words_of_world(name, run)), config.docs / study.page / ARMS / name)


def publish(config: Config, study: Study) -> bool:
    """DOCS/NAME and DOCS/NAME.md from what the runs hold; false where the first has no report yet."""
    run, folder, root = config.out, config.docs / study.page, Path.cwd()
    source, second = run / "report/report.json", second_run(run) / "report/report.json"
    if not source.is_file():
        return False
    state = "run" if second.is_file() else "waiting" if config.second is not None else "absent"
    folder.mkdir(parents=True, exist_ok=True)
    tried = (folder / "tried.md").is_file()
    if len(finished := whole(study.folders(run))) > 1:
        together = run.with_name(f"{run.name}-together")
        worlds.run(finished, together)
        source = together / "report/report.json"
    report = _published(source, run, root, f"runs/{study.page}", state, tried)
    report["study"]["worlds"] = [*finished] if study.worlds else []
    write_json(folder / "report.json", report)
    other = folder / "second.json"
    if second.is_file():
        write_json(other, _published(second, second_run(run), root, f"runs/{study.page}-second"))
    else:
        other.unlink(missing_ok=True)
    write_page(config.docs, study.page)
    return True


def _published(source: Path, run: Path, root: Path, label: str, state: str = "", tried: bool = False) -> dict[str, Any]:
    note = run / COMMITS
    commits: Sequence[str] = read_json(note)["commits"] if note.is_file() else [commit(root)]
    return published(read_json(source), _yaml(run / "experiment.yaml"), commits, run, label, root, state, tried)


def run(config: Config, redo: bool = False) -> None:
    """Run what is missing and write the page.

    Raises:
        BadInput: the experiment has no page, or there is nothing to write it from.
        KcptError: not everything is finished; the page says what is missing.
    """
    study, errors = read_study(config.experiment), list[KcptError]()
    if config.page_only:
        for folder in (*study.folders(config.out).values(), second_run(config.out)):
            refresh(folder)
    else:
        errors = run_all(config, study, redo)
    keep_arms(config, study)
    if not publish(config, study):
        if not config.page_only or not (config.docs / study.page / "report.json").is_file():
            nothing = "has no report yet: the base and one other model must be finished; kcpt study runs them"
            raise errors[0] if errors else BadInput(f"{config.out}: {nothing}")
        LOG.info("study: %s has no report; the page is made again from %s", config.out, config.docs / study.page)
        write_page(config.docs, study.page)
    if errors:
        LOG.warning("study: not everything is finished: the page names what is missing; rerun to resume")
        raise errors[0]
