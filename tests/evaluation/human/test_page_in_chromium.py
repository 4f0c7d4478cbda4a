"""The page in headless Chromium: rate with keys, reload, search, switch language, export, import, and collect."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.evaluation.people import collect_stage
from nemo_kcpt.files import read_json
from tests.evaluation.human import sheets

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the extra dev)")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")

NAMES = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update"
OPTIONS = [f"--{name}" for name in [*NAMES.split(), "disable-sync"]]


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sheets.make_sheet(tmp_path_factory.mktemp("sheet"), language="en")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, headless=True, args=OPTIONS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Any, sheet: Path) -> Iterator[Any]:
    """The sheet as a new rater sees it: a profile of its own. Errors of the page fail the test."""
    context = browser.new_context(accept_downloads=True, locale="en-GB")
    context.set_default_timeout(10_000)
    shown = context.new_page()
    complaints: list[str] = []
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    shown.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
    shown.goto((sheet / "sheet.html").as_uri())
    shown.complaints = complaints
    yield shown
    context.close()
    assert complaints == []


def begin(page: Any, name: str = "佐藤 花") -> None:
    page.fill("#name", name)
    page.keyboard.press("Enter")
    page.wait_for_selector("#asking", state="hidden")


def press(page: Any, keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def export(page: Any, folder: Path) -> Path:
    with page.expect_download() as started:
        page.click("#export")
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rate_reload_export_and_collect(page: Any, sheet: Path, tmp_path: Path) -> None:
    begin(page)
    press(page, "10s1")
    page.keyboard.press("n")
    page.keyboard.type("1 note ＝ メモ")  # a digit in a note is no rating
    page.keyboard.press("Escape")
    assert page.inner_text("#rated") == "4 of 7 answers rated"
    page.reload()
    assert page.inner_text("#rated") == "4 of 7 answers rated" and page.inner_text("#rater") == "佐藤 花"
    assert page.input_value(".item.current textarea") == "1 note ＝ メモ"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("0")  # thought again
    press(page, " 10")
    assert page.inner_text("#said").startswith("Every answer has a rating")
    path = export(page, tmp_path)
    assert path.name == "ratings-佐藤_花.jsonl"
    lines = read(path)
    assert [one["rating"] for one in lines] == [1, 0, None, 0, None, 1, 0]
    key = sheets.read_key(sheet)
    for one, entry in zip(lines, key["items"]):
        assert one["sheet"] == key["sheet"] and one["rater"] == "佐藤 花" and one["seconds"] >= 0
        assert all(one[name] == entry[name] for name in ("item", "question_id", "answer_sha256"))
    assert lines[4]["note"] == "1 note ＝ メモ"
    collect_stage.run(collect_stage.Config(out=tmp_path / "out", sheet=sheet, ratings=str(path)))
    found = read_json(tmp_path / "out" / "people.json")
    assert found["inconsistencies"] == []
    assert [(one["rated"], one["skipped"], one["right"]) for one in found["raters"]] == [(5, 2, 2)]


def test_hostile_texts_are_shown_as_texts(page: Any) -> None:
    begin(page)
    assert page.title() == "Rate answers"
    shown = page.inner_text("#question")
    assert "</script><script>document.title = 'owned'</script><img src=x" in shown and "[U+202E]abc" in shown
    assert page.locator("#question img").count() == 0 and "[U+202E]" in page.inner_text("#paper")
    assert page.evaluate("fetch('https://example.org').then(() => 'open', () => 'closed')") == "closed"
    refused = [text for text in page.complaints if "Content Security Policy" in text]
    assert refused == page.complaints != []
    page.complaints.clear()


def test_the_mouse(page: Any) -> None:
    begin(page)
    page.click(".item >> nth=1 >> .r0")
    assert page.inner_text("#rated") == "1 of 7 answers rated"
    assert page.inner_text("#question .count").startswith("Question 2 of 4")  # on, behind the one that was clicked
    page.click("#jump button >> nth=2")
    page.click(".item >> nth=1 >> .label")
    assert page.get_attribute(".item.current", "id") == "item-003B"
    page.click("#previous")
    assert page.get_attribute(".item.current", "id") == "item-003A"
    page.click(".item >> nth=1 >> textarea")
    assert page.get_attribute(".item.current", "id") == "item-003B"
    page.keyboard.press("Escape")
    press(page, "u1")
    assert page.get_attribute(".item.current", "id") == "item-004B"
    press(page, "1u")  # the first one was never rated
    assert page.get_attribute(".item.current", "id") == "item-001A"


def test_search(page: Any) -> None:
    begin(page)
    assert page.inner_text("#paper mark.at") == "12,400件"  # the reference answer is marked in the paper
    page.keyboard.press("/")
    page.keyboard.type('hayate ９１．２ "reaches 91"')
    page.wait_for_selector(".hit")
    assert page.locator(".hit").count() == 1 and page.inner_text(".hit b") == "Hayate for speech"
    assert page.inner_text(".hit mark >> nth=1") == "Hayate"
    page.click(".hit")
    assert page.inner_text("#paper h2") == "Hayate for speech"
    assert page.inner_text("#paper .places span").startswith("Place 1 of ")
    page.click("#paper .places button >> nth=1")
    assert page.inner_text("#paper .places span").startswith("Place 2 of ")
    page.click("button.link")
    assert page.inner_text("#paper h2") == "手法Kasumi"
    page.fill("#search", "minato")  # a paper that no question is about
    page.wait_for_selector(".hit b:has-text('Minato')")
    page.fill("#search", "<img>")
    page.wait_for_selector("#results :text('No paper holds all of: <img>')")
    page.keyboard.press("Escape")
    press(page, "1")
    assert page.inner_text("#rated") == "1 of 7 answers rated"


def test_languages(page: Any) -> None:
    begin(page)
    page.click("#ja")
    assert page.inner_text("h1") == "回答の評価" and page.inner_text("#rated") == "7 件中 0 件を評価済み"
    assert page.evaluate("document.documentElement.lang") == "ja"
    page.reload()
    assert page.inner_text("#export") == "評価を書き出す"
    page.click("#en")
    assert page.inner_text("#export") == "Export ratings"
    page.keyboard.press("?")
    assert page.is_visible("#helping") and "Skip what you cannot decide" in page.inner_text("#helping")


def test_import_goes_on_elsewhere_and_names_what_is_wrong(page: Any, browser: Any, sheet: Path, tmp_path: Path) -> None:
    begin(page, "Kato")
    press(page, "1s")
    path = export(page, tmp_path)
    other = browser.new_context().new_page()
    other.goto((sheet / "sheet.html").as_uri())
    begin(other, "somebody")
    other.set_input_files("#file", path)
    other.wait_for_selector("#said:has-text('2 ratings of Kato')")
    assert other.inner_text("#rater") == "Kato" and other.inner_text("#rated") == "2 of 7 answers rated"
    press(other, "0")
    assert [one["rating"] for one in read(export(other, tmp_path / "other"))] == [1, None, 0]
    good = read(path)[0]
    for change, message in (
        ({"sheet": "x"}, "line 1: ratings of another sheet (x; this one is"),
        ({"item": "9"}, "line 1: no answer 9 on this sheet"),
        ({"answer_sha256": "9"}, "its text was another"),
        ({"rating": 3}, "line 1: the rating is 3"),
        ({"rater": ""}, "line 1: another rater"),
    ):
        bad = sheets.write_ratings(tmp_path / "bad.jsonl", [{**good, **change}])
        other.set_input_files("#file", bad)
        other.wait_for_selector(f"#said.bad:has-text('{message}')")
        assert "Nothing was imported" in other.inner_text("#said")
    (tmp_path / "bad.jsonl").write_text("\n{")
    other.set_input_files("#file", tmp_path / "bad.jsonl")
    other.wait_for_selector("#said.bad:has-text('line 2: not JSON')")
    assert other.inner_text("#rated") == "3 of 7 answers rated"
    other.click("#previous")
    other.keyboard.press("ArrowLeft")
    press(other, "11")  # 002A is on, 001B was skipped in the file
    asked: list[str] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.accept() if len(asked) > 1 else dialog.dismiss()

    other.on("dialog", answer)
    other.set_input_files("#file", path)
    other.wait_for_timeout(300)
    assert [one["rating"] for one in read(export(other, tmp_path / "other"))][1] == 1
    other.set_input_files("#file", path)
    other.wait_for_selector("#said:has-text('2 ratings of Kato')")
    assert [one["rating"] for one in read(export(other, tmp_path / "other"))][1] is None
    assert len(asked) == 2 and asked[0].startswith("1 ratings of Kato in this browser differ")
    other.context.close()


def test_a_misspelt_name_and_a_second_rater(page: Any, tmp_path: Path) -> None:
    begin(page, "Stao")
    press(page, "1")
    page.click("#who")
    page.fill("#name", "Sato")
    page.click("#rename")
    assert page.inner_text("#rated") == "1 of 7 answers rated" and page.inner_text("#rater") == "Sato"
    page.click("#who")
    page.fill("#name", "Ito")
    page.click("#another")
    assert page.inner_text("#rated") == "0 of 7 answers rated"
    press(page, "0")
    assert [(one["rater"], one["rating"]) for one in read(export(page, tmp_path))] == [("Ito", 0)]
    page.click("#who")
    page.fill("#name", "Sato")
    assert page.is_visible("#taken") and not page.is_visible("#rename")
    page.click("#another")
    assert [one["rating"] for one in read(export(page, tmp_path))] == [1]


def test_a_japanese_input_method_and_modifiers(page: Any) -> None:
    begin(page)
    send = "(options) => document.body.dispatchEvent(new KeyboardEvent('keydown', {bubbles: true, ...options}))"
    page.evaluate(send, {"key": "Process", "code": "Digit1"})
    page.evaluate(send, {"key": "０", "code": "Digit0"})
    assert page.inner_text("#rated") == "2 of 7 answers rated"
    page.evaluate(send, {"key": "1", "code": "Digit1", "ctrlKey": True})
    page.evaluate(send, {"key": "1", "code": "Digit1", "repeat": True})
    assert page.inner_text("#rated") == "2 of 7 answers rated"


def test_where_nothing_can_be_saved_the_page_says_so(page: Any, tmp_path: Path) -> None:
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('refused'); }})")
    page.reload()
    begin(page)
    press(page, "1")
    assert "does not let the page save" in page.inner_text("#saved")
    assert [one["rating"] for one in read(export(page, tmp_path))] == [1]


def test_two_windows_show_the_same_ratings(page: Any) -> None:
    begin(page)
    other = page.context.new_page()
    other.goto(page.url)
    press(page, "10")
    other.wait_for_selector("#rated:has-text('2 of 7')")
    press(other, "1")
    page.wait_for_selector("#rated:has-text('3 of 7')")


def test_printing(page: Any) -> None:
    begin(page)
    press(page, "1")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#print article").count() == 4 and not page.is_visible("main")
    assert "☑ Right ☐ Wrong" in " ".join(page.inner_text("#print").split())
