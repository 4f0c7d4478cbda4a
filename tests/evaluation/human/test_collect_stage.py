"""kcpt human collect: files merged, every inconsistency named, the numbers, and the cases without numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.people.collect_stage import Config, run
from nemo_kcpt.evaluation.people.people import majority, summarise
from nemo_kcpt.evaluation.people.ratings import Collected, Rating, read_key
from nemo_kcpt.files import read_json, read_jsonl, write_json
from nemo_kcpt.stats.agreement import read_ratings
from tests.evaluation.human import sheets


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sheets.make_sheet(tmp_path_factory.mktemp("sheet"))


def _rate(key: dict[str, Any], rater: str, right: set[str], skip: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """One rating an item: 1 where all its models are in `right`, null for the items in `skip`."""
    return [
        sheets.line(key, one["item"], rater, None if one["item"] in skip else int(set(one["models"]) <= right))
        for one in key["items"]
    ]


FULL = {"full-secretname"}


def _collect(tmp_path: Path, sheet: Path, *files: Path, **keys: Any) -> dict[str, Any]:
    run(Config(out=tmp_path / "out", sheet=sheet, ratings=[str(path) for path in files], **keys))
    return dict(read_json(tmp_path / "out" / "people.json"))


def test_pages_and_workbooks_together(tmp_path: Path, sheet: Path) -> None:
    key = sheets.read_key(sheet)
    both = {*FULL, "base-secretname"}
    last = key["items"][-1]["item"]
    sheets.write_ratings(tmp_path / "r" / "a.jsonl", _rate(key, "Sato", FULL))
    sheets.write_ratings(tmp_path / "r" / "b.jsonl", _rate(key, "Kato", both, (last,)))
    book = load_workbook(sheet / "sheet.xlsx")
    book["ratings"]["E1"] = "Ito"
    for row, one in enumerate(key["items"], start=4):
        book["ratings"][f"I{row}"] = 1 if set(one["models"]) <= FULL else 0
    book.save(tmp_path / "r" / "c.xlsx")
    found = _collect(tmp_path, sheet, tmp_path / "r")
    assert found["inconsistencies"] == []
    assert [one["rater"] for one in found["raters"]] == ["Sato", "Kato", "Ito"]
    assert found["raters"][1]["skipped"] == 1 and found["raters"][0]["seconds_median"] == 2.5
    models = {one["model"]: one for one in found["models"]}
    # a:2 was answered alike by both, so it is wrong for both in the eyes of Sato and Ito
    assert (models["full-secretname"]["right"], models["full-secretname"]["n"]) == (3, 4)
    assert (models["base-secretname"]["right"], models["base-secretname"]["n"]) == (0, 4)
    assert models["full-secretname"]["wilson95"] == pytest.approx([0.300642, 0.954413], abs=1e-5)
    (pair,) = found["pairs"]
    assert (pair["only_first"], pair["only_second"], pair["both_wrong"]) == (0, 3, 1)
    assert pair["p"] == pair["p_holm"] == pytest.approx(0.25)
    assert pair["difference"] == pytest.approx(0.75) and pair["interval95"]
    assert {(one["first"], one["second"]): one["kappa"] for one in found["kappa"]}["Sato", "Ito"] == pytest.approx(1)
    records = list(read_jsonl(tmp_path / "out" / "ratings.jsonl"))
    assert len(records) == 8 * 3  # a:2 counts for both models
    assert [record["rating"] for record in records].count(None) == 1  # the skip
    given = read_ratings(tmp_path / "out", {(record["question_id"], record["model"]): record for record in records})
    assert given["a:2", "base-secretname"] == given["a:2", "full-secretname"] == pytest.approx(1 / 3)
    assert all(record.keys() >= {"question_id", "model", "rater", "rating"} for record in records)
    page = (tmp_path / "out" / "people.html").read_text(encoding="utf-8")
    assert "3 of 4" in page and "<svg" in page and "None" not in page.replace("<p>None.</p>", "") and "nan" not in page
    text = (tmp_path / "out" / "people.md").read_text(encoding="utf-8")
    assert "| full-secretname | 3 of 4 | 75.0 % | 30.1 to 95.4 % |" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table
    run(Config(out=tmp_path / "out", sheet=sheet, ratings=str(tmp_path / "r")))  # done


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"sheet": "other"}, "sheet 'other', but the key is that of"),
    ({"item": "999Z"}, "item '999Z' is not on the sheet"),
    ({"item": ["x"]}, "is not on the sheet"),
    ({"rating": 2}, "rating 2, expected 1, 0 or skip"),
    ({"rating": True}, "rating True, expected"),
    ({"rating": float("nan")}, "rating nan, expected"),
    ({"item": "x" * 1000 + "\ud800"}, "xxx… is not on the sheet"),
    ({"rating": "1"}, "rating '1', expected"),
    ({"answer_sha256": "0" * 64}, "the answer's hash is not that of the key"),
    ({"question_id": "b:2"}, "question 'b:2', in the key it is 'a:1'"),
    ({"rater": " "}, "no rater's name"),
    ({"rater": None}, "no rater's name"),
]


@pytest.mark.parametrize(
    ("change", "message"), FAULTS, ids=[f"{number}-{next(iter(change))}" for number, (change, _) in enumerate(FAULTS)]
)
def test_what_cannot_count_is_refused_or_left_out(
    tmp_path: Path, sheet: Path, change: dict[str, Any], message: str
) -> None:
    key = sheets.read_key(sheet)
    lines = _rate(key, "Sato", FULL)
    file = sheets.write_ratings(tmp_path / "a.jsonl", [{**lines[0], **change}, *lines[1:]])
    with pytest.raises(BadInput) as error:
        _collect(tmp_path, sheet, file)
    assert f"{file}, line 1" in str(error.value) and message in str(error.value)
    assert "allow_inconsistent=true" in str(error.value)
    found = _collect(tmp_path, sheet, file, allow_inconsistent=True)
    assert [one["unusable"] for one in found["inconsistencies"] if message in one["what"]] == [True]
    assert sum(one["rated"] for one in found["raters"]) == len(lines) - 1


def test_half_characters_in_a_name_or_a_note(tmp_path: Path, sheet: Path) -> None:
    key = sheets.read_key(sheet)
    record = json.dumps(sheets.line(key, "001A", "Sato\ud800", 1, note="\udfff"))
    (tmp_path / "a.jsonl").write_text(record, encoding="utf-8")
    assert _collect(tmp_path, sheet, tmp_path / "a.jsonl")["raters"][0]["rater"] == "Sato\ufffd"


def test_broken_lines_are_all_named(tmp_path: Path, sheet: Path) -> None:
    key = sheets.read_key(sheet)
    good = json.dumps(sheets.line(key, "001A", "Sato", 1)).encode()
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + good + b'\n{oops\n[1]\n\n{"sheet": 1}\n\xff\n' + b"[" * 100_000 + b"\n")
    with pytest.raises(BadInput) as error:
        _collect(tmp_path, sheet, file)
    for text in (
        "line 2: not JSON",
        "line 3: expected an object",
        "line 5: field rater, item",
        "line 6: not JSON in UTF-8",
        "line 7: not JSON",
    ):
        assert text in str(error.value)
    assert "5 inconsistencies" in str(error.value)


def test_one_fault_on_many_lines_is_told_once(tmp_path: Path, sheet: Path) -> None:
    lines = [{**one, "sheet": "other"} for one in _rate(sheets.read_key(sheet), "Sato", FULL)]
    with pytest.raises(BadInput, match=r"1 inconsistencies.*\n.*line 1 to line 7 \(7 places\): sheet 'other'"):
        _collect(tmp_path, sheet, sheets.write_ratings(tmp_path / "a.jsonl", lines))


def test_different_ratings_under_one_name(tmp_path: Path, sheet: Path) -> None:
    key = sheets.read_key(sheet)
    mine = _rate(key, "Sato", FULL)
    first = sheets.write_ratings(tmp_path / "a.jsonl", mine)
    again = sheets.write_ratings(tmp_path / "b.jsonl", [{**mine[0], "rating": 1 - mine[0]["rating"]}, mine[1]])
    with pytest.raises(
        BadInput, match=r"rater 'Sato', item 001A: different ratings .*a.jsonl, line 1.*b.jsonl, line 1"
    ):
        _collect(tmp_path, sheet, first, again)
    found = _collect(tmp_path, sheet, first, again, allow_inconsistent=True)
    told = [one["what"] for one in found["inconsistencies"]]
    assert any("is in 2 files, taken for one person; 1 items differ" in what for what in told)
    assert any("item 001B: the same rating again in" in what for what in told)
    assert found["raters"][0]["rated"] == 6  # both ratings of 001A are left out
    twice = sheets.write_ratings(tmp_path / "c.jsonl", [*mine, {**mine[0], "rating": None}])
    with pytest.raises(BadInput, match="skip in .*c.jsonl, line 8.*rated twice"):
        _collect(tmp_path / "x", sheet, twice)


def test_harmless_ones_are_warnings(tmp_path: Path, sheet: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = sheets.read_key(sheet)
    a = sheets.write_ratings(tmp_path / "a.jsonl", _rate(key, "Sato", FULL)[:-2])
    b = sheets.write_ratings(tmp_path / "b.jsonl", [sheets.line(key, "001A", "ＳＡＴＯ", None)])
    c = sheets.write_ratings(tmp_path / "c.jsonl", [])
    found = _collect(tmp_path, sheet, a, b, c, sheet / "sheet.xlsx")
    told = {one["what"]: one["unusable"] for one in found["inconsistencies"]}
    assert set(told.values()) == {False}
    assert "rater 'Sato' did not rate 2 of 7 items: 004A, 004B" in told
    assert "rater 'ＳＡＴＯ' has no usable rating of 1 or 0" in told
    assert "raters 'Sato' and 'ＳＡＴＯ' are taken for different people" in told
    assert sum(one["what"] == "no rating in it" for one in found["inconsistencies"]) == 2
    assert "did not rate 2 of 7 items" in caplog.text


def test_one_rater(tmp_path: Path, sheet: Path) -> None:
    file = sheets.write_ratings(tmp_path / "a.jsonl", _rate(sheets.read_key(sheet), "Sato", FULL))
    found = _collect(tmp_path, sheet, file)
    assert found["alpha"]["alpha"] is None and "one rater only" in found["alpha"]["reason"] and found["kappa"] == []
    assert "one rater only" in (tmp_path / "out" / "people.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "people.json").read_text(), parse_constant=pytest.fail)


def test_names_are_data_on_the_pages(tmp_path: Path, sheet: Path) -> None:
    rater = "<b onclick=x>|`$a$"
    file = sheets.write_ratings(tmp_path / "a.jsonl", _rate(sheets.read_key(sheet), rater, FULL)[1:])
    _collect(tmp_path, sheet, file)
    page = (tmp_path / "out" / "people.html").read_text(encoding="utf-8")
    assert "<b onclick" not in page and "&lt;b onclick=x&gt;|`$a$" in page
    text = (tmp_path / "out" / "people.md").read_text(encoding="utf-8")
    assert "| &lt;b onclick=x&gt;\\|\\`$a$ | 6 |" in text


def test_all_ratings_equal(tmp_path: Path, sheet: Path) -> None:
    key = sheets.read_key(sheet)
    everything = set(key["models"])
    files = [sheets.write_ratings(tmp_path / f"{name}.jsonl", _rate(key, name, everything)) for name in ("A", "B")]
    found = _collect(tmp_path, sheet, *files)
    assert found["alpha"]["alpha"] is None and "not defined" in found["alpha"]["reason"]
    assert found["kappa"][0]["kappa"] is None and found["kappa"][0]["agreed"] == 1
    (pair,) = found["pairs"]
    assert pair["p"] == 1 and pair["interval95"] is None and "no pair to test" in pair["reason"]
    assert all(one["accuracy"] == 1 and one["wilson95"][0] < 0.7 for one in found["models"])


def test_ties_are_unresolved(tmp_path: Path, sheet: Path) -> None:
    key = sheets.read_key(sheet)
    right = sheets.write_ratings(tmp_path / "a.jsonl", _rate(key, "A", {*key["models"]}))
    wrong = sheets.write_ratings(tmp_path / "b.jsonl", _rate(key, "B", set()))
    found = _collect(tmp_path, sheet, right, wrong)
    assert all(one["accuracy"] is None and one["unresolved"] == 4 for one in found["models"])
    (pair,) = found["pairs"]
    assert pair["p"] is None and pair["p_holm"] is None and "no question is resolved" in pair["reason"]
    assert [majority(values) for values in ([1, 0], [1, 1, 0], [0], [])] == [None, 1, 0, None]


def test_nothing_that_can_count(tmp_path: Path, sheet: Path) -> None:
    file = sheets.write_ratings(tmp_path / "a.jsonl", [sheets.line(sheets.read_key(sheet), "001A", "Sato", None)])
    with pytest.raises(BadInput, match="no rating of 1 or 0 that can count"):
        _collect(tmp_path, sheet, file)


def test_holm_over_three_models_and_papers_as_clusters() -> None:
    models = ["a", "b", "c"]
    key: dict[str, Any] = {"sheet": "s", "models": models, "items": {}}
    found = Collected(raters=["R"])
    for number in range(24):
        for model in models:
            item = f"{number:03d}{model}"
            entry = {"item": item, "question_id": f"q{number}", "paper_id": f"p{number // 4}", "models": [model]}
            key["items"][item] = {**entry, "answer_sha256": item}
            right = {"a": number % 8 == 0, "b": number % 2 == 0, "c": number % 8 != 1}[model]
            found.ratings["R", item] = Rating("R", item, int(right), "", 1.0, Path("f"), "line 1")
    content = summarise(found, key, seed=0)
    pairs = {(one["first"], one["second"]): one for one in content["pairs"]}
    assert len(pairs) == 3
    assert pairs["a", "c"]["only_second"] == 18 and pairs["a", "c"]["p"] == pytest.approx(2 / 2**18)
    assert pairs["a", "c"]["p_holm"] == pytest.approx(6 / 2**18)
    assert pairs["a", "b"]["p_holm"] == pytest.approx(2 * 2 / 2**9)
    low, high = pairs["a", "b"]["interval95"] or (0.3, 0.4)
    assert low < 9 / 24 < high
    assert all(one["papers"] == 6 and one["n"] == 24 for one in content["models"])


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ("nowhere.jsonl", "nowhere.jsonl: no such file or folder"),
        ("empty", "empty: no .jsonl or .xlsx file in it"),
        ("r.csv", "r.csv: ratings are read from .jsonl and .xlsx files"),
        ("", "no file given"),
        ([3], "3 is no path"),
    ],
)
def test_bad_paths(tmp_path: Path, sheet: Path, ratings: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "r.csv").write_text("x")
    with pytest.raises(BadInput, match=re.escape(message)):
        run(Config(out=tmp_path / "out", sheet=sheet, ratings=ratings))


@pytest.mark.parametrize("key", [[], {"sheet": "s"}, {"sheet": "s", "models": [], "items": [{"item": "1"}]}])
def test_a_key_of_something_else(tmp_path: Path, key: Any) -> None:
    write_json(tmp_path / "key.json", key)
    with pytest.raises(BadInput, match="not a key that `kcpt human sheet` wrote"):
        read_key(tmp_path / "key.json")


def test_the_command(tmp_path: Path, sheet: Path, kcpt: Any) -> None:
    key = sheets.read_key(sheet)
    files = [sheets.write_ratings(tmp_path / f"{name}.jsonl", _rate(key, name, FULL)) for name in ("A", "B")]
    words = ["human", "collect", f"sheet={sheet}", f"out={tmp_path}/out"]
    done = kcpt(*words, f"ratings={files[0]},{files[1]}")
    assert done.returncode == 0, done.stderr
    assert "full-secretname: 75.0 % right (30.1 to 95.4 %), 4 of 4 questions resolved" in done.stdout + done.stderr
    refused = kcpt(*words, f"ratings={files[0]}")
    assert refused.returncode == 2 and "Give --redo" in refused.stderr
    files[0].write_text("{")
    bad = kcpt(*words, f"ratings=[{files[0]},{files[1]}]", "--redo")
    assert bad.returncode == 2 and "A.jsonl, line 1: not JSON" in bad.stderr
