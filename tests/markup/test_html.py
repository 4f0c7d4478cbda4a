from __future__ import annotations

import socket
from pathlib import Path

import pytest

from nemo_kcpt.markup.html.page import main_text
from tests.cleaning.raised_examples import EXAMPLES, HTML_ONLY
from tests.readers.reading import JAPANESE, found, problem, records

pytest.importorskip("trafilatura")

SENTENCE = JAPANESE.split("\n")[0]


def page(body: str, head: str = "") -> str:
    return f"<!DOCTYPE html><html lang='ja'><head>{head}</head><body>{body}</body></html>"


ARTICLE = page(
    f"""<nav><ul><li><a href="/">ホーム</a></li><li><a href="/p">論文一覧</a></li></ul></nav>
    <article><h1>語義曖昧性解消の手法</h1><h2>1 はじめに</h2><p>一番目。{SENTENCE}</p>
    <p><b>太字</b>の語と<a href="https://example.org/">リンク</a>の語、<ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>を含む。{SENTENCE}</p>
    <h2>2 手法</h2><p>二番目。<math alttext="x^{{2}}"><msup><mi>x</mi><mn>2</mn></msup></math>を用いる。{SENTENCE}</p>
    <figure><img src="https://example.org/a.png"><figcaption>図1: 提案手法の概要</figcaption></figure>
    <table><tr><th>手法</th><th>正解率</th></tr><tr><td>提案</td><td>0.91</td></tr></table>
    <ul><li>項目一の説明</li><li>項目二の説明</li></ul>
    <h2>参考文献</h2><ol><li>佐藤. 語義. 2020.</li></ol></article>
    <footer>Copyright 2024 All rights reserved.
    <a rel="license" href="https://creativecommons.org/licenses/by/4.0/">L</a></footer>""",
    '<title>語義曖昧性解消の手法 | 研究室</title><meta name="date" content="2024-03-01">'
    '<meta name="author" content="Taro Yamada">',
)


def test_main_text_with_headings_and_what_the_page_says_of_itself(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.html").write_text(ARTICLE, encoding="utf-8")
    (record,) = records(tmp_path)
    text = record.pop("text")
    assert record == {
        "paper_id": "sub/a.html",
        "title": "語義曖昧性解消の手法",
        "author": "Taro Yamada",
        "date": "2024-03-01",
        "license": "CC BY 4.0",
    }
    lines = text.splitlines()
    assert lines[0] == "# 語義曖昧性解消の手法"
    assert [line for line in lines if line.startswith("## ")] == ["## 1 はじめに", "## 2 手法", "## 参考文献"]
    assert f"太字の語とリンクの語、漢字を含む。{SENTENCE}" in lines
    assert f"二番目。$x^{{2}}$を用いる。{SENTENCE}" in lines
    for kept in ("図1: 提案手法の概要", "| 手法 | 正解率 |", "| 提案 | 0.91 |", "- 項目一の説明", "佐藤. 語義. 2020."):
        assert kept in text
    for gone in ("ホーム", "論文一覧", "Copyright", "かんじ", "example.org"):
        assert gone not in text


@pytest.mark.parametrize(
    ("address", "name"),
    [("https://creativecommons.org/licenses/by-sa/3.0/", "CC BY-SA 3.0"), ("/terms.html", "/terms.html")],
)
def test_a_licence_in_the_head(address: str, name: str) -> None:
    _, fields, _ = main_text(page(f"<p>{SENTENCE}</p>", f'<link rel="license" href="{address}">'))
    assert fields["license"] == name


@pytest.mark.parametrize(
    "body",
    [
        "<br><br>".join(f"{number}番目。{SENTENCE}" for number in range(8)),
        "".join(f"<div>{number}番目。{SENTENCE}</div>" for number in range(8)),
        "<table><tr><td><a href=a>目次</a></td><td><p>"
        + "<p>".join(f"{n}番目。{SENTENCE}" for n in range(8))
        + "</table>",
        "<pre>" + "\n".join(f"{number}番目。{SENTENCE}" for number in range(8)) + "</pre>",
    ],
)
def test_pages_of_every_age_lose_no_paragraph(body: str) -> None:
    text, _, _ = main_text(page(body))
    assert [number for number in range(8) if f"{number}番目。{SENTENCE}" in text.splitlines()] == list(range(8))


DECLARED = {"cp932": "Shift_JIS", "euc_jp": "EUC-JP", "iso2022_jp": "ISO-2022-JP", "utf-8": "utf-8"}


@pytest.mark.parametrize("encoding", DECLARED)
@pytest.mark.parametrize("declared", [None, "right", "wrong"])
def test_the_bytes_tell_the_encoding_whatever_the_page_says(
    tmp_path: Path, encoding: str, declared: str | None
) -> None:
    name = DECLARED[encoding] if declared == "right" else "utf-8" if encoding != "utf-8" else "Shift_JIS"
    head = f'<meta charset="{name}">' if declared else ""
    (tmp_path / "a.html").write_bytes(ARTICLE.replace("<head>", f"<head>{head}").encode(encoding))
    assert SENTENCE in records(tmp_path)[0]["text"]


def test_what_the_page_says_decides_where_the_bytes_do_not(tmp_path: Path) -> None:
    body = "<p>This page is written in English, but for a name at its very end, which is that of a town: ｱｵﾔﾏ</p>"
    for head, good in (('<meta charset="x-sjis">', True), ("", False), ('<meta charset="martian">', False)):
        (tmp_path / "a.html").write_bytes(page(body * 3, head).encode("cp932"))
        (item,) = found(tmp_path)
        assert ("ｱｵﾔﾏ" in item.record.get("text", "")) == good
        assert ("cannot tell the encoding" in item.problem) != good


def test_xhtml_with_a_declaration(tmp_path: Path) -> None:
    body = f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>題</title></head><body><p>{SENTENCE}</p></body></html>'
    text = f'<?xml version="1.0" encoding="EUC-JP"?>\n{body}'
    (tmp_path / "a.xhtml").write_bytes(text.encode("euc_jp"))
    assert records(tmp_path)[0]["text"] == SENTENCE


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b"<!-- nothing -->", "no main text was found: a page of links, or one that a script fills"),
        (b"<html><body><div id=root></div><script>main()</script></body></html>", "no main text was found"),
        (b"\x1f\x8b\x08\x00", "is gzip, not text"),
        (b"<div>" * 100_000 + b"text", "no main text was found"),
    ],
)
def test_a_page_without_main_text_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "a.html").write_bytes(content)
    assert expected in problem(tmp_path)


def test_nothing_is_fetched_and_the_same_page_gives_the_same_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert len({str(main_text(ARTICLE)) for _ in range(3)}) == 1


@pytest.mark.parametrize(("body", "expected"), [*EXAMPLES, *HTML_ONLY])
def test_raised_and_lowered_text(body: str, expected: str) -> None:
    text, _, count = main_text(
        page(f"<article><h1>題</h1><p>{SENTENCE}</p><p>{body}</p><p>{SENTENCE * 3}</p></article>")
    )
    assert expected in text.splitlines()
    assert count


@pytest.mark.parametrize("before", ["", f"<p>{JAPANESE * 12}</p>"])
def test_tables_with_paragraphs_in_their_cells(tmp_path: Path, before: str) -> None:
    """As Word and LibreOffice write them."""
    cell = "<td style='border: 1px solid'><p class=MsoNormal><span lang=EN-US>{}</span></p></td>".format
    rows = ["".join(map(cell, row)) for row in (("区分", "件数"), ("A", "7,185,785"), ("B", "23.2<sup>1)</sup>"))]
    two = "<tr><td><p>C 甲</p><p>乙</p></td><td><div>5</div></td></tr>"
    table = f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}{two}</table>"
    (tmp_path / "a.html").write_text(f"<html><body><h1>表題</h1>{before}{table}<p>以上。</p></body></html>", "utf-8")
    (record,) = records(tmp_path / "a.html")
    lines = [" ".join(line.split()) for line in record["text"].split("\n") if line.startswith("|")]
    assert [line for line in lines if "---" not in line] == [
        "| 区分 | 件数 |",
        "| A | 7,185,785 |",
        "| B | 23.2[^1] |",
        "| C 甲 乙 | 5 |",
    ]


def test_raised_text_in_titles_and_tables_and_its_count(tmp_path: Path) -> None:
    table = "<table><tr><th>面積</th></tr><tr><td>10<sup>6</sup> km<sup>2</sup></td></tr></table>"
    body = f"<article><h1>E=mc<sup>2</sup> の話</h1><p>{SENTENCE}</p>{table}<p>{SENTENCE}</p></article>"
    (tmp_path / "a.html").write_text(page(body), encoding="utf-8")
    (item,) = found(tmp_path)
    assert item.record["title"] == "E=mc² の話"
    assert "| 10⁶ km² |" in item.record["text"]
    assert item.changes == {"raised": 3}


@pytest.mark.parametrize("number", [1, 3])
def test_a_short_page_keeps_its_cells_and_paragraphs_apart(number: int) -> None:
    """trafilatura's fallback for short pages writes 1020."""
    rest = "".join(f"<p>{n}番目。{SENTENCE}</p>" for n in range(number))
    text, _, _ = main_text(page(f"<article><h1>題</h1><ul><li>10</li><li>20</li></ul>{rest}</article>"))
    assert [line for line in text.splitlines() if line][:4] == ["# 題", "- 10", "- 20", f"0番目。{SENTENCE}"]


@pytest.mark.parametrize("sign", ["\x05", "&#5;", "&#x1F", "\ufffe", "&#65535;"])
def test_characters_that_no_xml_can_hold_go_and_end_no_corpus(tmp_path: Path, sign: str) -> None:
    (tmp_path / "a.html").write_text(
        f"<html><body><p>Kasumi was{sign} trained on 10<sup>6{sign}</sup> words.[^3]</p></body></html>"
    )
    (one,) = found(tmp_path / "a.html")
    assert one.record["text"] == "Kasumi was trained on 10⁶ words.[^3]"


@pytest.mark.parametrize("sign", ["\f", "&#12;", "&#xC;"])
def test_a_form_feed_in_a_page_is_a_space(tmp_path: Path, sign: str) -> None:
    (tmp_path / "a.html").write_text(f"<html><body><p>Kasumi{sign}was trained on 12,400 sentences.</p></body></html>")
    (one,) = found(tmp_path / "a.html")
    assert one.record["text"] == "Kasumi was trained on 12,400 sentences."
