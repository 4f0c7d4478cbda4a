"""The documents are true: commands parse, names exist, links lead somewhere, marked blocks run, tables match the code.

`.venv/bin/python tests/test_docs.py` writes what comes from the code: the table of overrides in docs/cpu-backend.md,
that of the recipes in docs/recipes.md, and in docs/demo.md the keys' defaults and the values in the demo's commands.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.config import field_docs, field_of, keys_of, load_config
from nemo_kcpt.cpu_backend.override import Override
from nemo_kcpt.experiment.demo_stage import KEYS, experiment_of
from nemo_kcpt.experiment.demo_stage import Config as DemoConfig
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.report import commands_of
from nemo_kcpt.experiment.train import read
from nemo_kcpt.hf.known_models import TINY
from nemo_kcpt.planning.catalogue import RECIPES
from nemo_kcpt.planning.recipe_arguments import signature
from nemo_kcpt.stages import COMMANDS, HIDDEN, STAGES, find_stage

ROOT = Path(__file__).resolve().parent.parent
READMES = (ROOT / "README.md", ROOT / "README.ja.md")
PAGES = [*READMES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=NAMES)

FENCE = re.compile(
    r"^(?:<!-- (?P<mark>run|output)(?: exit=(?P<codes>[\d,]+))? -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
INLINE = re.compile(r"`([^`\n]+)`")
ELLIPSIS = "…"
WRITE_AGAIN = "`.venv/bin/python tests/test_docs.py` writes it again"


@dataclass(frozen=True)
class Block:
    """A fenced block; `mark` is run or output where a comment stands before it."""

    language: str
    body: str
    mark: str | None
    codes: tuple[int, ...]


@dataclass(frozen=True)
class Command:
    """A command in a document, as words; `whole` if it stands in a block and can be copied as it is.

    `refused` is one that a page shows because it is wrong.
    """

    words: tuple[str, ...]
    whole: bool
    refused: bool = False


def blocks(page: Path) -> list[Block]:
    found = []
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        codes = tuple(int(code) for code in (match["codes"] or "0").split(","))
        found.append(Block(match["language"], match["body"], match["mark"], codes))
    return found


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def parts(line: str) -> Iterator[tuple[str, ...]]:
    """The commands of a shell line, without assignments before them and the place of the program."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|;&<>"):
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words:
                yield (words[0].rsplit("/", 1)[-1], *words[1:])
            words = []
        else:
            words.append(word)


def commands(page: Path, program: str) -> list[Command]:
    """Every command of `program` in the page's blocks and between backticks."""
    found = []
    for block in blocks(page):
        if block.language == "sh":
            for line in block.body.replace("\\\n", " ").splitlines():
                refused = 0 not in block.codes
                found += [Command(words, True, refused) for words in parts(line) if words[0] == program]
    for text in INLINE.findall(prose(page)):
        words = text.split() if ELLIPSIS in text else shlex.split(text)
        if words[0] == program and len(words) > 1:
            found.append(Command(tuple(words), False))
    return found


def split_options(words: list[str]) -> tuple[Path | None, list[str]]:
    """The --config file and the keys of a stage's words."""
    config, keys = None, []
    while words:
        word = words.pop(0)
        if word in ("--config", "--log"):
            value = words.pop(0)
            config = Path(value) if word == "--config" else config
        elif word not in ("--redo", "--help", "-h"):
            keys.append(word)
    return config, keys


def check_stage(command: Command) -> None:
    stage = command.words[1]
    known = {**STAGES, **HIDDEN}
    assert stage in known, f"{' '.join(command.words)}: no stage {stage}"
    module, words = find_stage(stage, command.words[2:])
    config_class = importlib.import_module(module).Config
    fields = dataclasses.fields(config_class)
    flags = {field.name for field in fields if field.type in (bool, "bool")}
    config, rest = split_options(words)
    keys = keys_of(rest, flags)
    unknown = {field_of(config_class, key.partition("=")[0]) for key in keys} - {field.name for field in fields}
    assert command.refused or not unknown, f"{' '.join(command.words)}: unknown keys {unknown}"
    complete = command.whole and not command.refused and "--help" not in command.words
    if complete and (config is None or (ROOT / config).is_file()):
        load_config(config_class, file=ROOT / config if config else None, overrides=keys)


@EVERY_PAGE
def test_every_kcpt_command_parses(page: Path) -> None:
    for command in commands(page, "kcpt"):
        name = command.words[1]
        if name == "train" and command.whole:
            read(command.words[2:])
        elif not name.startswith("-") and ELLIPSIS not in name and name not in COMMANDS:  # see tests/slurm
            check_stage(command)


@EVERY_PAGE
def test_every_make_target_and_variable_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in commands(page, "make"):
        for word in command.words[1:]:
            if name := re.match(r"([A-Z_]+)=", word):
                assert f"$({name[1]})" in makefile or f"$(if $({name[1]})" in makefile, f"make: no variable {name[1]}"
            else:
                assert re.search(rf"^{word}:", makefile, re.MULTILINE), f"make: no target {word}"


@dataclass(frozen=True)
class Factory:
    """A registered function: its task (pretrain, finetune, or None for an executor) and its parameters."""

    name: str
    task: str | None
    parameters: frozenset[str]


def factories() -> dict[str, Factory]:
    """The catalogue's recipes, and the functions in recipes/ that carry `@run.cli.factory`, without importing NeMo."""
    found = {name: Factory(name, entry.task, frozenset(signature(entry).parameters)) for name, entry in RECIPES.items()}
    for path in sorted((ROOT / "recipes").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if "cli.factory" not in ast.unparse(decorator):
                    continue
                given = {word.arg: word.value for word in getattr(decorator, "keywords", [])}
                name = ast.literal_eval(given["name"]) if "name" in given else node.name
                task = ast.unparse(given["target"]).rsplit(".", 1)[-1] if "target" in given else None
                arguments = [*node.args.args, *node.args.kwonlyargs]
                found[name] = Factory(name, task, frozenset(argument.arg for argument in arguments))
    return found


def data_module_arguments() -> set[str]:
    tree = ast.parse((ROOT / "nemo_kcpt/data/packed.py").read_text(encoding="utf-8"))
    return {
        argument.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        for argument in node.args.args
    }


def called(text: str) -> Factory:
    """The registered factory that `text` names or calls, its arguments checked."""
    call = ast.parse(text if "(" in text else f"{text}()", mode="eval").body
    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    factory = factories().get(call.func.id)
    assert factory is not None, f"no factory {call.func.id} in recipes/"
    given = {word.arg for word in call.keywords}
    assert given <= factory.parameters, f"{factory.name} has no arguments {given - factory.parameters}"
    return factory


def check_nemo(words: tuple[str, ...]) -> None:
    registered = factories()
    assert words[1] == "llm" and words[2] in ("pretrain", "finetune"), f"nemo has no {' '.join(words[1:3])}"
    if "--factory" not in words:
        return
    factory = words[words.index("--factory") + 1]
    if ELLIPSIS in factory:
        return
    recipe = called(factory)
    assert recipe.task == words[2], f"{recipe.name} is for nemo llm {recipe.task}"
    for word in words[words.index("--factory") + 2 :]:
        path, equals, value = word.partition("=")
        if not equals:
            assert word in ("--yes", "--help"), word
        elif path == "data":
            assert called(value).task is None
        elif path == "run.executor":
            assert value in registered and registered[value].task is None, f"no executor {value}"
        else:
            first, *deeper = path.split(".")
            assert first in ("model", "data", "trainer", "optim", "log", "resume", "run"), word
            assert first != "data" or deeper[0] in data_module_arguments(), word


@EVERY_PAGE
def test_every_nemo_command_names_a_recipe(page: Path) -> None:
    for command in commands(page, "nemo"):
        if len(command.words) > 2 and ELLIPSIS not in command.words[2]:
            check_nemo(command.words)


def test_every_recipe_and_stage_is_documented() -> None:
    recipes = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    assert [name for name in factories() if f"`{name}`" not in recipes] == []
    for readme in READMES:
        text = readme.read_text(encoding="utf-8")
        assert [stage for stage in (*STAGES, *COMMANDS) if f"`kcpt {stage}`" not in text] == [], readme.name


def test_every_reader_and_cleaning_step_is_documented() -> None:
    from nemo_kcpt.cleaning import STEPS
    from nemo_kcpt.readers import readers

    page = (ROOT / "docs/corpus.md").read_text(encoding="utf-8")
    assert [name for name in (*readers(), *STEPS) if f"| `{name}` |" not in page] == []


def test_every_filter_and_teacher_is_documented() -> None:
    from nemo_kcpt.synthesis.config import TEACHERS
    from nemo_kcpt.synthesis.filters import FILTERS

    page = (ROOT / "docs/teacher.md").read_text(encoding="utf-8")
    assert [name for name in FILTERS if f"| `{name}` |" not in page] == []
    assert [name for name in TEACHERS if name != "template" and f"teacher={name}" not in page] == []


def test_the_tiny_model_is_described_as_it_is() -> None:
    text = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    assert f"{TINY.num_layers} layers, hidden size {TINY.hidden_size}" in " ".join(text.split())


def anchors(page: Path) -> set[str]:
    """The ids that GitHub gives a page's headings."""
    slugs = set()
    for title in re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE):
        kept = re.sub(r"[^\w\- ]", "", title.lower())
        slugs.add(kept.replace(" ", "-"))
    return slugs


@EVERY_PAGE
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        place, _, anchor = target.partition("#")
        path = (page.parent / place).resolve() if place else page
        assert path.exists(), f"{page.name} links to {target}"
        assert ROOT in path.parents, f"{page.name} links out of the repository: {target}"
        assert not anchor or anchor in anchors(path), f"{page.name} links to {target}, which has no such heading"


@EVERY_PAGE
def test_every_path_exists(page: Path) -> None:
    rooms = ("nemo_kcpt/", "docs/", "conf/", "recipes/", "tools/", "tests/", "constraints/")
    for text in INLINE.findall(prose(page)):
        for word in text.split():
            if word.startswith(rooms):
                assert list(ROOT.glob(word.rstrip("/"))), f"{page.name} names {word}, which is not there"


def shape(page: Path) -> dict[str, Any]:
    """What two translations of a page have in common."""
    text = prose(page)
    links = [target.replace("README.ja.md", "README.md") for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    return {
        "headings": [len(marks) for marks in re.findall(r"^(#{1,6}) ", text, re.MULTILINE)],
        "blocks": [(block.language, block.body, block.mark) for block in blocks(page)],
        "links": sorted(links),
        "bullets": len(re.findall(r"^- ", text, re.MULTILINE)),
        "table rows": len(re.findall(r"^\|", text, re.MULTILINE)),
        "code": sorted(set(INLINE.findall(re.sub(r"<!-- demo-table.*<!-- demo-table:end -->", "", text, flags=re.S)))),
    }


def test_both_readmes_say_the_same() -> None:
    english, japanese = (shape(page) for page in READMES)
    for part, found in english.items():
        assert japanese[part] == found, part


def test_a_readme_fits_two_screens() -> None:
    lengths = {page.name: len(page.read_text(encoding="utf-8").splitlines()) for page in READMES}
    assert {name: length for name, length in lengths.items() if length > 130} == {}


@functools.cache
def phrases_ruled_out() -> re.Pattern[str]:
    """Phrases in quotation marks in the last column of the table of words in CONTRIBUTING.md."""
    words = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Words")[1]
    last = [line.split("|")[-2] for line in words.splitlines() if line.startswith("|")]
    phrases = [phrase for cell in last for phrase in re.findall(r'"(.+?)"', cell)]
    assert "is gone on with" in phrases
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b(?! (?:for|the way)\b)")


def ruled_out(text: str) -> list[str]:
    return phrases_ruled_out().findall(" ".join(text.split()))


@EVERY_PAGE
def test_no_page_has_a_phrase_that_the_list_of_words_rules_out(page: Path) -> None:
    assert ruled_out(prose(page).split("## Words")[0]) == []


PROMPTS = ("synthesis/templates", "evaluation/questions/templates", "evaluation/judging/templates")
"""What an LLM is asked keeps its words: another word would be another request, to be paid for again."""


def test_nothing_that_the_package_says_has_such_a_phrase() -> None:
    """Docstrings, help, messages and pages."""
    found = {}
    for path in [
        *(ROOT / "nemo_kcpt").rglob("*.py"),
        *(ROOT / "recipes").glob("*.py"),
        *(ROOT / "tools").rglob("*.py"),
    ]:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        found[path] = [phrase for text in texts for phrase in ruled_out(text)]
    for path in (ROOT / "nemo_kcpt").rglob("*.j2"):
        if not str(path.parent.relative_to(ROOT / "nemo_kcpt")).startswith(PROMPTS):
            found[path] = ruled_out(path.read_text(encoding="utf-8"))
    assert {str(path.relative_to(ROOT)): phrases for path, phrases in found.items() if phrases} == {}


def test_the_demo_tables_of_both_readmes_hold_the_same_numbers() -> None:
    numbers = []
    for page in READMES:
        table = page.read_text(encoding="utf-8").split("<!-- demo-table:start -->")[1].split("<!-- demo-table:end -->")
        assert len(table) == 2, f"{page.name}: a marker of the demo's table is missing"
        rows = [line for line in table[0].splitlines() if "%" in line and line.startswith("|")]
        numbers.append([re.findall(r"[\d.]+", cell) for line in rows for cell in line.split("|")[2:]])
    assert numbers[0] == numbers[1]


def test_the_readme_tells_the_demo_s_size() -> None:
    for page in READMES:
        text = page.read_text(encoding="utf-8")
        assert f"{demo_keys()['papers']} fictional papers" in text or f"架空の論文 {demo_keys()['papers']} 本" in text


def test_the_demo_s_keys_are_documented_with_their_defaults() -> None:
    text = (ROOT / "docs/demo.md").read_text(encoding="utf-8")
    written = dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", text.split("## Step by step")[0], re.MULTILINE))
    assert written == demo_keys(), WRITE_AGAIN
    for name, text in field_docs(DemoConfig).items():
        told = re.search(r"\(([\d.]+)\)", text)
        assert told is None or told[1] == written[name], f"the help of {name} tells another default"


def demo_keys() -> dict[str, str]:
    """Each key of the demo and its default: its own, or that of conf/experiment/demo.yaml."""
    config, experiment = DemoConfig(), experiment_of(DemoConfig())
    found = {"seq_length": experiment.trainings[0].seq_length, "samples": experiment.sft_data["samples"]}
    for field in dataclasses.fields(config):
        value = getattr(experiment, field.name, None) if field.name in KEYS else getattr(config, field.name)
        if field.name in KEYS and "." in KEYS[field.name][0]:
            section, _, key = KEYS[field.name][0].partition(".")
            value = getattr(experiment, section)[key]
        found.setdefault(field.name, value)
    return {name: shown(value) for name, value in found.items()}


def shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def demo_commands() -> tuple[list[list[str]], list[tuple[str, ...]]]:
    """What the demo runs by default: words of `kcpt` commands, and `nemo llm` commands with their arguments."""
    kcpt: list[list[str]] = []
    nemo: list[tuple[str, ...]] = []
    for record in commands_of(Graph(experiment_of(DemoConfig()))):
        program, *words = record["command"]
        if program == "kcpt":
            kcpt.append(words)
        else:
            nemo.append(nemo_call(words[words.index("llm") + 1], words[words.index("--factory") + 1]))
    return kcpt, nemo


def nemo_call(task: str, factory: str) -> tuple[str, ...]:
    """A factory call in a form that compares: task, name, sorted arguments, without the default of `processes`."""
    call = ast.parse(factory, mode="eval").body
    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    arguments = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    arguments = {name: value for name, value in arguments.items() if (name, value) != ("processes", 1)}
    return (task, call.func.id, *(f"{name}={value}" for name, value in sorted(arguments.items())))


def test_the_demo_runs_the_documented_commands() -> None:
    page = ROOT / "docs/demo.md"
    kcpt, nemo = demo_commands()
    documented = [list(command.words[1:]) for command in commands(page, "kcpt") if command.whole]
    documented = [words for words in documented if words[0] != "demo"]
    assert [words[0] for words in documented] == [words[0] for words in kcpt]
    for written, actual in zip(documented, kcpt):
        assert set(written) <= set(actual), f"{set(written) - set(actual)} in {actual}? {WRITE_AGAIN}"
    written_nemo = [command.words for command in commands(page, "nemo") if command.whole]
    assert [nemo_call(words[2], words[4]) for words in written_nemo] == nemo, WRITE_AGAIN


def demo_paths() -> set[Path]:
    """Files and folders that the demo with both arms makes, and the folders that they are in."""
    run = DemoConfig().out
    nodes = Graph(experiment_of(DemoConfig(arm="raw"))).nodes.values()
    made = {
        run / name for name in ("experiment.yaml", "run.json", *(f"report.{end}" for end in ("json", "html", "md")))
    }
    made |= {path for node in nodes for path in (*node.products, *node.folders)}
    words = [
        word for command in commands_of(Graph(experiment_of(DemoConfig(arm="raw")))) for word in command["command"]
    ]
    made |= {Path(path) for word in words for path in re.findall(rf"{run}/[\w./-]+", word)}
    return {parent for path in made for parent in (path, *path.parents)}


def test_every_path_of_the_demo_is_one_that_it_makes() -> None:
    """Of one arm alone there are no models of the other: answers and scores are named by the models in them."""
    known = demo_paths() | {Path(f"runs/demo/{what}/base-trained") for what in ("answers", "scores")}
    sources = [path for room in ("nemo_kcpt", "recipes", "tools", "tests") for path in (ROOT / room).rglob("*.py")]
    found = {
        (path, str(file.relative_to(ROOT)))
        for file in [*PAGES, *sources, *(ROOT / "conf").rglob("*.yaml"), ROOT / "Makefile"]
        for path in re.findall(r"runs/demo/[\w./-]*\w", file.read_text(encoding="utf-8"))
    }
    assert {(path, file) for path, file in found if Path(path) not in known} == set()


RUNNABLE = [page for page in PAGES if any(block.mark == "run" for block in blocks(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_marked_blocks_run(page: Path, tmp_path: Path) -> None:
    """One after the other in a temporary folder; an output block holds what the run block before it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "200"}
    printed = ""
    for block in blocks(page):
        if block.mark == "run":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.body],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=600,
            )
            printed = done.stdout + done.stderr
            assert done.returncode in block.codes, f"{block.body}\n{printed}"
        elif block.mark == "output":
            shown, written = (text.strip().splitlines() for text in (printed, block.body))
            assert [line.rstrip() for line in shown] == [line.rstrip() for line in written]


def overrides_table(overrides: Sequence[Override]) -> str:
    """A backend's overrides as Markdown, in the order of the code."""
    lines = ["| name | why | what is replaced | upstream line |", "| --- | --- | --- | --- |"]
    for one in overrides:
        module, _, attribute = one.target.partition(":")
        says = one.says.replace("|", "\\|")
        what = f"`{attribute}` of `{module}`"
        lines.append(f"| `{one.name}` | {one.reason} | {what} | `{one.upstream}` `{says}` |")
    return "\n".join(lines)


def overrides_of(backend: str) -> tuple[Override, ...]:
    return importlib.import_module(f"nemo_kcpt.cpu_backend.{backend}").OVERRIDES


MARKS = {
    backend: (f"<!-- overrides-{backend}:start -->\n", f"\n<!-- overrides-{backend}:end -->")
    for backend in ("nemo", "bridge")
}


@pytest.mark.parametrize("backend", MARKS)
def test_the_table_of_overrides_is_the_code_s(backend: str) -> None:
    text = (ROOT / "docs/cpu-backend.md").read_text(encoding="utf-8")
    written = text.split(MARKS[backend][0])[1].split(MARKS[backend][1])[0]
    assert written == overrides_table(overrides_of(backend)), WRITE_AGAIN


def with_values(line: str, actual: Iterator[dict[str, str]]) -> str:
    """A documented command with the values of the next one that the demo runs."""
    if not re.match(r"kcpt (?!demo )|nemo ", line):
        return line
    values = next(actual)
    word = r"(?<= )(\w+)=()(\S+)" if line.startswith("kcpt") else r"(?<=[(,])(\w+)=('?)([^',)]+)"
    return re.sub(word, lambda found: f"{found[1]}={found[2]}{values.get(found[1], found[3])}", line)


def write_demo_values() -> None:
    """Defaults and commands of docs/demo.md; which commands there are, and with which keys, is written by hand."""
    page = ROOT / "docs/demo.md"
    keys, steps = page.read_text(encoding="utf-8").split("## Step by step")
    for name, default in demo_keys().items():
        keys = re.sub(rf"^(\| `{name}` \| )[^|]*?( \|)", rf"\g<1>{default}\g<2>", keys, flags=re.MULTILINE)
    kcpt, nemo = demo_commands()
    of_kcpt = iter([dict(word.split("=", 1) for word in words[1:] if "=" in word) for words in kcpt])
    of_nemo = iter([dict(word.split("=", 1) for word in words[2:]) for words in nemo])
    lines = [with_values(line, of_nemo if line.startswith("nemo") else of_kcpt) for line in steps.split("\n")]
    page.write_text(keys + "## Step by step" + "\n".join(lines), encoding="utf-8")


RECIPES_MARKS = ("<!-- recipes:start -->\n", "\n<!-- recipes:end -->")


def recipes_table() -> str:
    from nemo_kcpt.planning import recipes_stage

    return recipes_stage.markdown(recipes_stage.rows(recipes_stage.Config()))


def test_the_table_of_recipes_is_the_command_s() -> None:
    text = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    assert text.split(RECIPES_MARKS[0])[1].split(RECIPES_MARKS[1])[0] == recipes_table(), WRITE_AGAIN


def write_between(page: Path, marks: tuple[str, str], table: str) -> None:
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(marks[0].strip())
    after = rest.split(marks[1].strip())[1]
    page.write_text(f"{before}{marks[0]}{table}{marks[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    for backend, marks in MARKS.items():
        write_between(ROOT / "docs/cpu-backend.md", marks, overrides_table(overrides_of(backend)))
    write_between(ROOT / "docs/recipes.md", RECIPES_MARKS, recipes_table())
    write_demo_values()
