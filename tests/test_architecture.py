"""docs/architecture.md shows the rooms as the import contracts have them, and how large the house is and may become.

`.venv/bin/python tests/test_architecture.py --write` draws the map again and measures anew.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # import-linter needs it there, too

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "nemo_kcpt"
PAGE = ROOT / "docs/architecture.md"
MARKS = ("<!-- rooms:start -->\n```text\n", "\n```\n<!-- rooms:end -->")
WRITE_AGAIN = "`.venv/bin/python tests/test_architecture.py --write` draws the map again"
WIDTH, NAMES = 122, 18
"""Characters of a line, and of the columns before what a room knows."""


def contract(kind: str) -> dict[str, Any]:
    """The one contract of this kind in pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as stream:
        contracts = tomllib.load(stream)["tool"]["importlinter"]["contracts"]
    (only,) = [entry for entry in contracts if entry["type"] == kind]
    return only


def floors() -> list[tuple[str, list[str]]]:
    """The names on each floor, top floor first, and the mark between them: | for rooms that never import each other."""
    layers = contract("layers")["layers"]
    return [("|" if "|" in layer else ":", re.split(r"\s*[|:]\s*", layer)) for layer in layers]


def parts() -> list[Path]:
    """Folders inside a room that do not import each other."""
    return [ROOT / name.replace(".", "/") for name in contract("independence")["modules"]]


def knowledge(room: Path) -> str:
    """The first line of a room's docstring."""
    docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def lines(mark: object, name: str, text: str) -> Iterator[str]:
    first, *others = textwrap.wrap(text, WIDTH - NAMES)
    yield f"{f'{mark:>2}  {name}':{NAMES}}{first}"
    yield from (f"{'':{NAMES}}{other}" for other in others)


def drawn() -> str:
    """The map: floors numbered from below; files that are rooms of their own are one entry a floor."""
    shown: list[str] = []
    for number, (mark, floor) in zip(range(len(floors()), 0, -1), floors()):
        rooms = [name for name in floor if (PACKAGE / name).is_dir()]
        for name in rooms:
            shown += lines(number if name == floor[0] else mark, name, knowledge(PACKAGE / name))
            for part in parts():
                if part.parent == PACKAGE / name:
                    shown += lines("", f"  {part.name}", knowledge(part))
        if files := [f"{name}.py" for name in floor if name not in rooms]:
            shown += lines(mark if rooms else number, "(files)", ", ".join(files))
    return "\n".join(shown)


@pytest.mark.parametrize(
    "room", [*(PACKAGE / name for _, floor in floors() for name in floor), *parts()], ids=lambda room: room.name
)
def test_every_room_says_what_it_knows(room: Path) -> None:
    if room.is_dir():
        line = knowledge(room)
        assert line.endswith("."), f"{room / '__init__.py'}: its docstring's first line is {line!r}, not a sentence"
    else:
        assert room.with_suffix(".py").is_file()


def test_every_room_is_on_the_map() -> None:
    """A new room, or a file beside the rooms, needs a floor; import-linter's `exhaustive` says so, too."""
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert rooms | files == {name for _, floor in floors() for name in floor}


def test_the_map_is_that_of_the_contracts() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.split(MARKS[0])[1].split(MARKS[1])[0] == drawn(), WRITE_AGAIN


def length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def sizes() -> dict[str, float]:
    """What the table of sizes measures, by its first column."""
    tests, package = [*(ROOT / "tests").rglob("*.py")], [*PACKAGE.rglob("*.py"), *(ROOT / "recipes").glob("*.py")]
    tools, templates = [*(ROOT / "tools").rglob("*.py")], [*PACKAGE.rglob("*.j2")]
    lengths = sorted(map(length, package))
    rooms = [sum(map(length, room.parent.rglob("*.py"))) for room in PACKAGE.glob("*/__init__.py")]
    skips = [path.read_text(encoding="utf-8").count("# fmt: skip") for path in (*package, *tools, *tests)]
    return {
        "lines of the package, recipes, tools and templates": sum(map(length, (*package, *tools, *templates))),
        "lines of tests": sum(map(length, tests)),
        "lines of a file of the package, nine of ten files": lengths[len(lengths) * 9 // 10],
        "largest room, share of the package's lines": round(
            100 * max(rooms) / sum(map(length, PACKAGE.rglob("*.py"))), 1
        ),
        "`# fmt: skip`": sum(skips) - 1,  # but for the one that counts them
    }


SIZE = re.compile(r"^\| (?P<what>[^|]+) \| (?P<now>[\d,.]+)(?P<unit>[ %]*) \| (?P<most>[\d,.]+)[ %]* \|", re.MULTILINE)


def test_the_house_has_the_size_that_it_may_have() -> None:
    allowed = {row["what"]: float(row["most"].replace(",", "")) for row in SIZE.finditer(PAGE.read_text("utf-8"))}
    found = sizes()
    assert set(allowed) == set(found)
    assert {what: value for what, value in found.items() if value > allowed[what]} == {}, (
        "remove what is not needed, or raise the budget in docs/architecture.md and say why in the commit"
    )


if __name__ == "__main__" and "--write" in sys.argv:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    page = f"{before}{MARKS[0]}{drawn()}{MARKS[1]}{rest.partition(MARKS[1])[2]}"
    for what, value in sizes().items():
        page = re.sub(rf"(?<=^\| {re.escape(what)} \| )[\d,.]+", f"{value:,}", page, flags=re.MULTILINE)
    PAGE.write_text(page, encoding="utf-8")
