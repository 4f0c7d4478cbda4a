"""What installed packages add: CONTRIBUTING.md's own examples, as a package, end to end and into the report."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt import plugins
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.files import read_json, read_jsonl, write_jsonl
from tests import forks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
MOST = 30
"""Lines that an example may have."""
EXAMPLE = re.compile(r"^<!-- example: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = dict(EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
NOTES = {
    "kasumi.org": "#+TITLE: Kasumi\nKasumi corrects grammatical mistakes by reinforcement learning.\n",
    "hayate.org": "#+TITLE: Hayate\nHayate transcribes conversations with a convolutional encoder.\n",
    "minato.org": "#+TITLE: Minato\nMinato summarises newspapers by extracting representative sentences.\n",
}


def install(
    folder: Path, points: Mapping[str, Mapping[str, str]], files: Mapping[str, str], version: str = "1.0"
) -> Path:
    """A folder that holds an installed package kcpt-example, as pip leaves it."""
    about = folder / f"kcpt_example-{version}.dist-info"
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in own.items()) for group, own in points.items()
    ]
    texts = {**files, f"{about.name}/METADATA": f"Metadata-Version: 2.1\nName: kcpt-example\nVersion: {version}\n"}
    for name, text in {**texts, f"{about.name}/entry_points.txt": "\n".join(lines)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CONTRIBUTING.md's examples, installed."""
    project = tomllib.loads(EXAMPLES["pyproject.toml"])["project"]
    assert (project["name"], project["version"]) == ("kcpt-example", "1.0")
    files = {name: text for name, text in EXAMPLES.items() if name != "pyproject.toml"}
    return install(tmp_path_factory.mktemp("site"), project["entry-points"], files)


@pytest.fixture
def with_package(package: Path) -> Callable[..., str]:
    """Run `kcpt` commands in a process where the package is installed; gives what it printed, fails if it failed."""

    def run(*commands: list[str]) -> str:
        program = [sys.executable, "-m", "nemo_kcpt.several", json.dumps(commands)]
        path = os.pathsep.join([str(package), str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(program, capture_output=True, text=True, cwd=package, env=environment, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install a package of one entry point and one module, `module`, in this process."""

    def add(group: str, name: str, text: str, version: str = "1.0") -> None:
        sys.modules.pop("kcpt_example_module", None)
        install(
            tmp_path / "site", {group: {name: "kcpt_example_module:thing"}}, {"kcpt_example_module.py": text}, version
        )
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two texts of one size and second would be taken for one
    yield add
    sys.modules.pop("kcpt_example_module", None)


def test_every_example_is_short() -> None:
    lengths = {name: len(text.splitlines()) for name, text in EXAMPLES.items()}
    assert len(lengths) == 9 and {name: n for name, n in lengths.items() if n > MOST} == {}
    assert {group for group in plugins.GROUPS if group not in EXAMPLES["pyproject.toml"]} == set()


def test_the_examples_end_to_end(with_package: Callable[..., str], tmp_path: Path) -> None:
    """Documents by the reader, pairs of the kind by the teacher, the scorer's values, the part: all in the report."""
    for name, text in NOTES.items():
        (tmp_path / "notes" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "notes" / name).write_text(text)
    out = {name: tmp_path / name for name in ("corpus", "synthetic", "questions", "scores", "report")}
    sources = [f"corpus={out['corpus']}", f"synthetic={out['synthetic']}"]
    kinds = "kinds=[qa_easy,word_list]"
    with_package(
        ["corpus", f"input={tmp_path}/notes", f"out={out['corpus']}", "heldout_count=1"],
        ["synthesize", sources[0], "teacher=long_words", kinds, f"out={out['synthetic']}"],
        ["questions", *sources, "filter=none", kinds, f"out={out['questions']}"],
    )
    papers = {paper["paper_id"]: paper["title"] for paper in read_jsonl(out["corpus"] / "papers.jsonl")}
    assert papers == {"hayate.org": "Hayate", "kasumi.org": "Kasumi", "minato.org": "Minato"}
    records = list(read_jsonl(out["synthetic"] / "synthetic.jsonl"))
    assert {record["kind"] for record in records} == {"qa_easy", "word_list"}
    assert {record["teacher"]["model"] for record in records} == {"long words (not an LLM)"}
    questions = list(read_jsonl(out["questions"] / "questions.jsonl"))
    assert {question["kind"] for question in questions} == {"qa_easy", "word_list"}
    answers = [
        {"question_id": question["question_id"], "model": model, "answer": text}
        for question in questions
        for model, text in (("base", "nothing"), ("trained", question["answer"]))
    ]
    write_jsonl(tmp_path / "answers.jsonl", answers)
    answered = [f"questions={out['questions']}", f"answers={tmp_path}/answers.jsonl", f"papers={out['corpus']}"]
    added = [f"scores={out['scores']}", f"synthetic={out['synthetic']}", "parts=[answer_lengths]"]
    said = with_package(
        ["score", *answered, "encoder=none", "scorers=[reference_words]", f"out={out['scores']}"],
        ["report", *answered, *added, f"out={out['report']}"],
    )
    assert "reference_words 1.000" in said
    scores = list(read_jsonl(out["scores"] / "scores.jsonl"))
    assert {(record["model"], record["reference_words"]) for record in scores} == {("base", 0.0), ("trained", 1.0)}
    check_report(out["report"])


def check_report(folder: Path) -> None:
    """Each of the examples is in the report."""
    report = read_json(folder / "report.json")
    package = "kcpt-example 1.0"
    assert report["environment"]["plugins"] == {
        "reader org": package,
        "teacher long_words": package,
        "kind word_list": package,
        "scorer reference_words": package,
        "report part answer_lengths": package,
    }
    entry = {"label": "Reference words", "share": True, "package": package}
    assert report["scorers"] == {"reference_words": entry}
    rows = {(row["name"], row["split"]): row for row in report["models"]}
    assert rows["trained", "test"]["reference_words"] == 1 and rows["base", "test"]["reference_words"] == 0
    low, high = rows["trained", "test"]["ci95"]["reference_words"]
    assert 0 < low < high == 1
    (difference,) = [
        row for row in report["differences"] if (row["metric"], row["split"]) == ("reference_words", "test")
    ]
    assert difference["mean"] == 1
    assert report["data"]["synthetic"]["teacher"] == "long words (not an LLM)"
    assert {row["kind"] for row in report["data"]["synthetic"]["kinds"]} == {"qa_easy", "word_list"}
    page, markdown = ((folder / f"report.{ending}").read_text(encoding="utf-8") for ending in ("html", "md"))
    for text in (page, markdown):
        assert "Reference words" in text and "100.0 %" in text and "+100.0 points" in text
        assert "Length of answers" in text and "reader org" in text
    assert page.index("Length of answers") > page.index("Reproduce")
    assert "- base: 7 characters" in markdown and '<td>base</td><td class="n">7</td>' in page
    for name in ("models.csv", "differences.csv"):
        assert "reference\\_words" in (text := (folder / name).read_text()) or "reference_words" in text
    assert "Reference words" in (folder / "report.tex").read_text()


def test_doctor_lists_them(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nemo_kcpt.doctor import plugin_checks

    assert plugin_checks() == []
    monkeypatch.syspath_prepend(str(package))
    found = {check.name: (check.found, check.state) for check in plugin_checks()}
    assert len(found) == 6
    assert found["scorer reference_words"] == ("kcpt-example 1.0", "ok")
    assert "kcpt_example" not in sys.modules


def with_site(site: str, words: list[str]) -> None:
    """In a fork: the command, where the package is installed."""
    sys.path.insert(0, site)
    forks.console(words)


@pytest.mark.slow
def test_the_recipe_trains_and_is_in_the_report(
    package: Path, tmp_path: Path, with_package: Callable[..., str]
) -> None:
    from tests.evaluation.small import write_inputs
    from tests.tiny_pack import make_pack

    out = tmp_path / "trained"
    factory = f"example_tiny(pack='{make_pack(tmp_path)}',dir='{out}')"
    words = ["nemo", "llm", "finetune", "--factory", factory, "--yes", "trainer.max_steps=2"]
    forks.call(with_site, str(package), words, log=tmp_path / "log")
    assert max(line["lr"] for line in read_jsonl(out / "metrics.jsonl")) == pytest.approx(1e-4)
    write_inputs(tmp_path, {"base": ["a", "b", "c", "d"]})
    score(tmp_path)
    paths = [f"{name}={tmp_path}/{name}.jsonl" for name in ("questions", "answers")]
    curve = f"metrics=example_tiny={out}/metrics.jsonl"
    with_package(["report", *paths, f"scores={tmp_path}/scores", curve, f"out={tmp_path}/report"])
    (loss,) = read_json(tmp_path / "report" / "report.json")["losses"]
    assert (loss["name"], loss["steps"]) == ("example_tiny", 2)


@pytest.mark.slow
def test_a_model_of_the_family_comes_back_bit_by_bit(package: Path, tmp_path: Path) -> None:
    """Import, and export with its comparison of logits, of a model that nemo_kcpt itself does not know."""
    from safetensors.torch import load_file

    from tests.conversion.hf_models import save_model
    from tests.conversion.hf_tokenizers import save_tokenizer

    hf = save_tokenizer(save_model(tmp_path / "hf", model_type="phi3", vocab_size=336, pad_token_id=0))
    words = ["kcpt", "convert", "import", str(hf), "--to", str(tmp_path / "base")]
    refused = forks.start(forks.console, words, log=tmp_path / "refused")
    assert refused.wait() == 2 and "model_type is 'phi3'" in refused.output
    forks.call(with_site, str(package), words, log=tmp_path / "import")
    words = ["kcpt", "convert", "export", str(tmp_path / "base"), "--to", str(tmp_path / "back")]
    forks.call(with_site, str(package), words, log=tmp_path / "export")
    there, back = (load_file(folder / "model.safetensors") for folder in (hf, tmp_path / "back"))
    assert there.keys() == back.keys() and all(back[name].equal(tensor) for name, tensor in there.items())
    assert read_json(tmp_path / "back" / "parity.json")["max_abs_diff"] <= 1e-4
    for folder in ("base", "back"):
        assert read_json(tmp_path / folder / "manifest.json")["config"]["plugins"] == {
            "family phi3": "kcpt-example 1.0"
        }


SCORER = """
from nemo_kcpt.records.metrics import scorer
@scorer("Words")
def words(question, answer, paper):
    return RETURNED
thing = words
"""


@pytest.mark.parametrize(
    ("group", "name", "taken"),
    [
        (plugins.READERS, "text", "a reader text of its own"),
        (plugins.TEACHERS, "rules", "a teacher rules of its own"),
        (plugins.KINDS, "summary", "a kind summary of its own"),
        (plugins.FAMILIES, "llama", "a family llama of its own"),
        (plugins.SCORERS, "combined", "a scorer combined of its own"),
        (plugins.SCORERS, "split", "a scorer split of its own"),
    ],
)
def test_a_name_of_ours_is_refused(
    installed: Callable[..., None], group: str, name: str, taken: str, tmp_path: Path
) -> None:
    installed(group, name, "")
    with pytest.raises(KcptError, match=rf"{name} of kcpt-example 1\.0 \(entry point {name} = .*{taken}") as error:
        look_up(group)
    assert not isinstance(error.value, BadInput)


def look_up(group: str) -> Any:
    from nemo_kcpt import readers
    from nemo_kcpt.evaluation.scoring import scorers
    from nemo_kcpt.hf import families
    from nemo_kcpt.synthesis import added

    known = {
        plugins.READERS: readers.added,
        plugins.TEACHERS: added.teachers,
        plugins.KINDS: added.kinds,
        plugins.FAMILIES: families.added,
    }
    return known[group]() if group in known else scorers.chosen([])


def test_two_packages_of_one_name_and_bad_names(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("a", f"{module}:x", plugins.READERS) for module in "pq"]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    with pytest.raises(KcptError, match="a package without metadata has a reader a, too"):
        plugins.find(plugins.READERS)
    points[:] = [EntryPoint("A+b", "p:x", plugins.READERS)]
    with pytest.raises(KcptError, match="a name is of small letters"):
        plugins.find(plugins.READERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_module", r"cannot be imported \(ModuleNotFoundError: No module named 'no_such_module'\)"),
        ("thing = 3", r"is of type int; a function under @scorer\(label\) was expected"),
        (SCORER.replace("def words", "def other").replace("= words", "= other"), "its function is called other"),
        (SCORER.replace("RETURNED", "1 / 0"), "question 'a:dataset_size' by base: ZeroDivisionError"),
        (SCORER.replace("RETURNED", "float('nan')"), "gave nan; a finite number or None"),
        (SCORER.replace("RETURNED", "'3'"), "gave '3'; a finite number or None"),
        (SCORER.replace("RETURNED", "2").replace('"Words"', '"Words", share=True'), "gave 2; a share is from 0 to 1"),
    ],
)
def test_a_scorer_that_cannot_be_used_is_named(
    installed: Callable[..., None], tmp_path: Path, text: str, message: str
) -> None:
    from tests.evaluation.small import write_inputs

    installed(plugins.SCORERS, "words", text)
    write_inputs(tmp_path, {"base": ["a", "b", "c", "d"]})
    where = (
        r"scorer words of kcpt-example 1\.0 \(entry point words = kcpt_example_module:thing in nemo_kcpt\.scorers\): "
    )
    with pytest.raises(KcptError, match=where + f".*{message}"):
        score(tmp_path, scorers=["words"])


def score(folder: Path, **keys: Any) -> None:
    from nemo_kcpt.evaluation.scoring.stage import Config, run

    paths = {name: folder / f"{name}.jsonl" for name in ("questions", "answers", "papers")}
    run(Config(out=folder / "scores", encoder="none", **paths, **keys))


def test_a_version_enters_the_fingerprint_only_where_it_is_used(installed: Callable[..., None], tmp_path: Path) -> None:
    from tests.evaluation.small import write_inputs

    write_inputs(tmp_path, {"base": ["a", "b", "c", "d"]})
    score(tmp_path)
    manifest = tmp_path / "scores" / "manifest.json"
    before = manifest.read_text()
    assert "plugins" not in before and "scorers" not in before
    installed(plugins.SCORERS, "words", SCORER.replace("RETURNED", "4"))
    score(tmp_path)  # what is installed changes nothing
    assert manifest.read_text() == before
    (tmp_path / "scores" / "manifest.json").unlink()
    score(tmp_path, scorers=["words"])
    assert json.loads(manifest.read_text())["config"]["plugins"] == {"scorer words": "kcpt-example 1.0"}
    for path in (tmp_path / "site").glob("*.dist-info/*"):
        path.unlink()
    installed(plugins.SCORERS, "words", SCORER.replace("RETURNED", "5"), version="1.1")
    with pytest.raises(BadInput, match=r"plugins was .*1\.0.*now .*1\.1"):
        score(tmp_path, scorers=["words"])


def test_what_nobody_adds_is_refused_with_the_next_of_it(installed: Callable[..., None], tmp_path: Path) -> None:
    from nemo_kcpt.report.part import chosen
    from tests.evaluation.small import write_inputs

    write_inputs(tmp_path, {"base": ["a", "b", "c", "d"]})
    with pytest.raises(BadInput, match="no installed package adds a scorer 'word'; none does; see CONTRIBUTING.md"):
        score(tmp_path, scorers=["word"])
    installed(plugins.SCORERS, "words", SCORER)
    with pytest.raises(BadInput, match="no installed package adds a scorer 'word'; did you mean 'words'?"):
        score(tmp_path, scorers=["word"])
    with pytest.raises(BadInput, match="no installed package adds a report part 'x'"):
        chosen(["x"])


PART = """
from nemo_kcpt.report.part import Part
thing = Part(title="<b>& more", contents=lambda report: {"value": "<script>*x*", "report_": RETURNED},
             html="<p>{{ value }}</p>", markdown="* {{ value }}")
"""


def test_what_a_part_shows_is_escaped_and_its_faults_are_its_own(installed: Callable[..., None]) -> None:
    from nemo_kcpt.pages import environment
    from nemo_kcpt.report.part import sections

    installed(plugins.REPORT_PARTS, "more", PART.replace("RETURNED", "1"))
    for form, expected in (("html", "<p>&lt;script&gt;*x*</p>"), ("markdown", r"* &lt;script&gt;\*x\*")):
        jinja = environment(ROOT, markdown=form == "markdown")
        assert list(sections(["more"], {}, jinja, form)) == [("<b>& more", expected)]
    installed(plugins.REPORT_PARTS, "more", PART.replace("RETURNED", "report['nothing']"))
    with pytest.raises(KcptError, match=r"report part more of kcpt-example 1\.0 .*KeyError: 'nothing'"):
        list(sections(["more"], {}, environment(ROOT, markdown=False), "html"))


READER = """
from nemo_kcpt.readers import Found, Reader
def read(place, piece):
    yield Found(piece.paths[0], "x", {"text": "x"})
thing = Reader(name=NAME, suffixes=(".rst",), read=read, documents=True)
"""


def test_readers_of_packages_come_after_ours(installed: Callable[..., None], tmp_path: Path) -> None:
    from nemo_kcpt.readers import Place, choose_readers, reader_of

    for name in ("a.rst", "b.md"):
        (tmp_path / "mixed" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "mixed" / name).write_text("text\n")
    place = Place(name=str(tmp_path / "mixed"))

    def chosen(format: str = "auto", place: Place = place) -> list[str]:
        return [reader.name for reader in choose_readers(place, format)]

    installed(plugins.READERS, "rst", "raise RuntimeError('imported')")
    assert chosen() == chosen("text") == ["text"]  # the package is not even imported
    with pytest.raises(BadInput, match="format=rts: not one of auto, .*csv, .*, text, .*, rst$"):
        chosen("rts")
    with pytest.raises(KcptError, match=r"reader rst of kcpt-example 1\.0 .*RuntimeError: imported"):
        chosen("rst")
    installed(plugins.READERS, "rst", READER.replace("NAME", "'rst'"))
    assert chosen("rst+text") == ["rst", "text"] and reader_of("rst").suffixes == (".rst",)
    assert chosen(place=Place(name=str(tmp_path / "mixed" / "a.rst"))) == ["rst"]
    installed(plugins.READERS, "rst", READER.replace("NAME", "'other'"))
    with pytest.raises(KcptError, match="its reader is called other; the entry point needs the same name"):
        chosen("rst")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thing = 3", "is of type int; a class or function that makes a teacher of a config was expected"),
        ("def thing(config): return config.nothing", "AttributeError: 'Config' object has no attribute 'nothing'"),
        ("class thing:\n model = 'x'\n def __init__(self, config): ...", "the teacher has no params; see Teacher in"),
    ],
)
def test_a_teacher_that_cannot_be_used_is_named(installed: Callable[..., None], text: str, message: str) -> None:
    from nemo_kcpt.synthesis import teachers
    from nemo_kcpt.synthesis.config import Config

    with pytest.raises(ValueError, match="teacher: 'mine' is not one of openai, batch, vllm, rules, template$"):
        Config(teacher="mine")
    installed(plugins.TEACHERS, "mine", text)
    with pytest.raises(KcptError, match=rf"teacher mine of kcpt-example 1\.0 .*{message}"):
        teachers.make(Config(teacher="mine"))


def test_kinds_of_packages_need_both_languages_and_yield_to_ones_own(
    package: Path, installed: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nemo_kcpt.records.kinds import KINDS
    from nemo_kcpt.synthesis.config import Config
    from nemo_kcpt.synthesis.prompts import load_prompts

    installed(plugins.KINDS, "headline", "thing = 3")
    with pytest.raises(
        KcptError, match="kind headline of .* is of type int; a package, the folder of its prompts, was"
    ):
        load_prompts(kinds=["headline"])
    install(tmp_path / "site", {plugins.KINDS: {"headline": "kcpt_half"}}, {"kcpt_half/headline.ja.j2": ""})
    with pytest.raises(KcptError, match="kind headline of .*kcpt_half/headline.en.j2: no such file; a kind has"):
        load_prompts(kinds=["headline"])
    with pytest.raises(ValueError, match="kinds: headlines is not one of paraphrase, .*, discussion, headline"):
        Config(kinds=["headline", "headlines"])
    monkeypatch.syspath_prepend(str(package))
    assert "word_list" not in load_prompts()["ja"].by_kind  # installed, and not asked for
    found = load_prompts(kinds=["word_list", "summary"])
    assert [list(found[language].by_kind) for language in ("ja", "en")] == [[*KINDS, "word_list"]] * 2
    own = tmp_path / "own" / "word_list.ja.j2"
    own.parent.mkdir()
    own.write_text(EXAMPLES["kcpt_example/prompts/word_list.ja.j2"])
    assert load_prompts(folder=own.parent, kinds=["word_list"])["ja"].by_kind["word_list"].path == own
