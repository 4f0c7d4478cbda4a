"""One concept, once: a record file has one reader, a child process one way to start, a number one way to be written.

Each entry of `CONCEPTS` says where one is at home, and which other files may do the same and why.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.test_imports import modules


def called(node: ast.AST) -> str:
    """The last part of the name of the function that a node calls."""
    return getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""


def imports(node: ast.AST, package: str) -> bool:
    names = [entry.name for entry in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return any(name.split(".")[0] == package for name in names)


def reads_json_lines(node: ast.AST) -> bool:
    return called(node) in ("read_jsonl", "read_jsonl_lines")


def names_a_record_file(node: ast.AST) -> bool:
    """`file_in(…, "papers.jsonl")`: which file of a stage's folder is meant."""
    return called(node) == "file_in" and any(ast.unparse(word).endswith(".jsonl'") for word in node.args)  # type: ignore[attr-defined]


def writes_percent(node: ast.AST) -> bool:
    """`{100 * share:.1f} %` in an f-string."""
    if not isinstance(node, ast.JoinedStr):
        return False
    for value, following in zip(node.values, [*node.values[1:], ast.Constant("")]):
        share = isinstance(value, ast.FormattedValue) and "100 *" in ast.unparse(value.value)
        if share and str(getattr(following, "value", "")).startswith(" %"):
            return True
    return False


def draws(node: ast.AST) -> bool:
    return imports(node, "matplotlib")


def starts_a_child(node: ast.AST) -> bool:
    """One started elsewhere might outlive a run that is killed. Short questions to programs (subprocess.run) may be."""
    starting = {"Popen", "Process", "Pool", "ProcessPoolExecutor", "fork", "system", "create_subprocess_exec"}
    return called(node) in starting and "platform" not in ast.unparse(node)


def asks_an_llm(node: ast.AST) -> bool:
    return imports(node, "httpx") or imports(node, "openai")


def opens_a_database(node: ast.AST) -> bool:
    return imports(node, "sqlite3")


def counts_in_roman(node: ast.AST) -> bool:
    """The pair of 900 in a table of Roman numerals."""
    return isinstance(node, ast.Tuple) and [getattr(part, "value", None) for part in node.elts][:1] == [900]


def names_nothing(node: ast.AST) -> bool:
    """A name that says nothing of the thing."""
    bound = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id
    bound = bound or (isinstance(node, ast.arg) and node.arg) or getattr(node, "name", None)
    return str(bound).strip("_") in ("found", "one", "told", "shown")


@dataclass(frozen=True)
class Concept:
    """What is written once."""

    shows: Callable[[ast.AST], bool]
    """Whether a part of a program is this."""
    homes: tuple[str, ...]
    others: Mapping[str, str] = field(default_factory=dict)
    """Files that do it, too, and why."""


CONCEPTS = (
    Concept(
        reads_json_lines,
        ("records/files.py", "files.py"),
        {
            "conversion/verify/serving.py": "the journal of vLLM's worker, which nobody else sees",
            "evaluation/questions/labelled.py": "labelled questions, shipped or a user's; no stage writes them",
            "evaluation/questions/own.py": "the questions that nemo_kcpt ships",
            "evaluation/scoring/perplexity_stage.py": "texts of a user's file, whose ids may be missing",
            "records/prompts.py": "prompts of a user's file, in one of two forms",
            "packing/replay.py": "looks at the first record to know which of two forms a file of replay has",
        },
    ),
    Concept(names_a_record_file, ()),
    Concept(writes_percent, ("pages/numbers.py",)),
    Concept(draws, ("pages/plots.py",)),
    Concept(starts_a_child, ("processes.py", "forks.py")),
    Concept(
        asks_an_llm,
        ("llm/connection.py", "llm/openai.py"),
        {"llm/batch.py": "types and errors of OpenAI's batch endpoint", "llm/vllm.py": "asks its server if it is up"},
    ),
    Concept(opens_a_database, ("llm/journal.py", "llm/journal_damage.py")),
    Concept(counts_in_roman, ("text/counting.py",)),
    Concept(
        names_nothing,
        (),
        {
            "doctor.py": "a field of `kcpt doctor --json`",
            "planning/recipes_stage.py": "the plan for one node, beside that for two",
            "readers/pdf.py": "the words for one page, beside those for many",
            "text/counting.py": "the numeral 1",
        },
    ),
)


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda concept: concept.shows.__name__)
def test_a_concept_has_one_home(concept: Concept, root: Path) -> None:
    found = {
        str(path.relative_to(root)).removeprefix("nemo_kcpt/")
        for path in modules(root)
        if any(map(concept.shows, ast.walk(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert found == {*concept.homes, *concept.others}
