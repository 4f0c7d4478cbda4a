"""MediaWiki's exports: what a page shows, and dumps of any size."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from nemo_kcpt.markup.wiki.text import Site, wiki_markdown
from nemo_kcpt.readers import readers
from nemo_kcpt.readers.base import READER_CHANGES
from tests.readers.reading import found, peak_of, pieces_of, problem, records

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="ja"><siteinfo>
<sitename>霞wiki</sitename>
<base>https://ja.example.org/wiki/Main</base><namespaces><namespace key="6" case="x">ファイル</namespace>
<namespace key="14" case="x">カテゴリ</namespace></namespaces></siteinfo>"""


def page(title: str, text: str, number: int = 1, space: int = 0, more: str = "") -> str:
    return (
        f"<page><title>{title}</title><ns>{space}</ns><id>{number}</id>{more}<revision><id>9</id>"
        f"<timestamp>2021-01-01T00:00:00Z</timestamp><text xml:space='preserve'>{escape(text)}</text></revision></page>"
    )


def dump(path: Path, *pages: str) -> Path:
    path.write_text(f"{HEAD}{''.join(pages)}</mediawiki>", encoding="utf-8")
    return path


def shown(text: str) -> str:
    return wiki_markdown(text, "題", Site(namespaces={"6": "ファイル", "14": "カテゴリ"}))[0]


def test_pages_are_documents_and_others_are_counted(tmp_path: Path) -> None:
    old = "<revision><timestamp>2020-01-01T00:00:00Z</timestamp><text>old 99</text></revision>"
    others = [page("R", "#転送 [[X]]", 1, more="<redirect title='X'/>"), page("会話", "9", 2, space=1)]
    town = page("霞", "[[日本|にほん]]の市。[[カテゴリ:市|か]]", 3, more=old)
    dump(tmp_path / "a.xml", *others, town, page("#R", "#REDIRECT [[X]]", 4), page("B", "B 5", 5))
    first, second = found(tmp_path)
    assert dict(first.record) == {
        "paper_id": "a.xml#3",
        "title": "霞",
        "date": "2021-01-01T00:00:00Z",
        "language": "ja",
        "sitename": "霞wiki",
        "url": "https://ja.example.org/wiki/霞",
        "categories": ["市"],
        "text": "# 霞\n\nにほんの市。",
    }
    assert (first.changes["wiki_redirects"], first.changes["wiki_other_pages"]) == (1, 1)
    assert second.changes["wiki_redirects"] == 1
    assert set(READER_CHANGES) >= {"wiki_redirects", "wiki_other_pages", "wiki_templates", "wiki_templates_kept"}


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("'''霞'''は''市''で、12,400人。\n\n二。", "霞は市で、12,400人。\n\n二。"),
        (
            "24人<ref>または25人</ref>、26<ref name=a>A</ref>27<ref name='a' />",
            "24人[^1]、26[^2]27[^2]\n\n[^1]: または25人\n\n[^2]: A",
        ),
        (
            "10<sup>6</sup> H<sub>2</sub>O &minus;5 <math>x^{2}</math> <nowiki>'''5'''</nowiki>",
            "10⁶ H₂O −5 $x^{2}$ '''5'''",
        ),
        (
            "== 節 ==\n本文\n=== 小節 [[x]] ===\n* 一\n** 二\n* 三\n# い\n# ろ\n終",
            "## 節\n\n本文\n\n### 小節 x\n\n- 一\n  - 二\n- 三\n\n1. い\n2. ろ\n\n終",
        ),
        ("; 語 : 説明 5\n: 字下げ", "語\n: 説明 5\n\n字下げ"),
        (
            "{|\n|+ 題 5\n! a !! colspan=2 | b\n|-\n| 1 || 2 || {{lang|en|three}}\n|}",
            "題 5\n\n| a | b |  |\n| --- | --- | --- |\n| 1 | 2 | three |",
        ),
        ("{|\n! rowspan=2 | n\n! x\n|-\n| 10<sup>3</sup>\n|}", "| n | x |\n| --- | --- |\n|  | 10³ |"),
        ("[http://a.b 文 5] http://c.d [[en:K]] [[:カテゴリ:市]] [[a]]s", "文 5 http://c.d カテゴリ:市 as"),
        ("前[[ファイル:a.png|thumb|200px|右|説明 [[図|ず]] 3]]", "前\n\n説明 ず 3"),
        (
            "<gallery>\na.png|図 1\nb.png\n</gallery><syntaxhighlight lang=c>int a[2];</syntaxhighlight><!-- 99 -->",
            "図 1\n\n```\nint a[2];\n```",
        ),
        ("a<br />b <s>5</s>6 <ruby>霞<rt>かすみ</rt></ruby>", "a\nb ~~5~~6 霞"),
        ("<blockquote>引用 5</blockquote>__NOTOC__後", "> 引用 5\n\n後"),
    ],
)
def test_what_a_page_shows(text: str, markdown: str) -> None:
    assert shown(text) == markdown


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{val|12400|0.5|e=5|u=km}}", "(12400±0.5)×10⁵ km"),
        ("{{val|-1.5|ul=m|up=s}}", "−1.5 m/s"),
        ("{{val|12400}}", "12400"),
        ("{{convert|5|to|10|km|mi}}", "5 to 10 km"),
        ("{{convert|6|ft|2|in|m}}", "6 ft 2 in"),
        ("{{cvt|12,400|km2}}", "12,400 km²"),
        ("{{lang|ja|'''言'''葉}}", "言葉"),
        ("{{lang-en|Kasumi}}", "Kasumi"),
        ("{{ruby|東京|とうきょう}}", "東京"),
        ("{{読み仮名|霞|かすみ}}", "霞（かすみ）"),
        ("{{仮リンク|三|en|Three}}", "三"),
        ("{{nowrap|5&nbsp;km}}", "5\u00a0km"),
        ("{{chem|SO|4|2-}}", "SO₄²⁻"),
        ("{{chem2|H2O}}", "H₂O"),
        ("{{frac|3|1|2}}", "3 1/2"),
        ("{{e|-5}}", "×10⁻⁵"),
        ("{{coord|35|41|N|139|45|E|display=title}}", "35°41N 139°45E".replace("41N", "41′N").replace("45E", "45′E")),
        ("{{生年月日と年齢|1990|5|6}}", "1990年5月6日"),
        ("{{birth date|1990|5|6}}", "1990-05-06"),
        ("{{formatnum:12400}}", "12400"),
        ("{{PAGENAME}}{{snd}}{{=}}", "題 – ="),
        ("{{cite book|last=A|first=B|title=T|date=2020|pages=5–9}}", "A, B. T. 5–9. 2020"),
        ("{{Infobox x|name=霞|人口={{val|5}}|image=a9.png}}", "- name: 霞\n- 人口: 5"),
        ("{{重さ|kg=1.83}}", "{{重さ|kg=1.83}}"),
        ("{{謎|文}}", ""),
        ("{{要出典|date=2020年1月}}", ""),
        ("{{stub 9}}", ""),
    ],
)
def test_templates_that_hold_numbers_and_names(template: str, text: str) -> None:
    assert shown(template) == text


def test_templates_that_cannot_be_expanded_are_counted() -> None:
    _, counts, _ = wiki_markdown("{{重さ|kg=1.83}}{{謎|文}}{{要出典|date=2020年1月}}{{Reflist}}", "題", Site())
    assert counts == {"wiki_templates": 2, "wiki_templates_kept": 1, "raised": 0}


def test_a_dump_in_any_pieces_and_packings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dump(tmp_path / "a.xml", *(page(f"P{n}", f"Text {n} &lt;page&gt;", n) for n in range(60)))
    whole = found(path)
    assert [item.record["text"] for item in whole[:2]] == ["# P0\n\nText 0 <page>", "# P1\n\nText 1 <page>"] and len(
        whole
    ) == 60
    monkeypatch.setattr("nemo_kcpt.readers.mediawiki.PIECE", 1000)
    monkeypatch.setattr("nemo_kcpt.readers.mediawiki.BLOCK", 700)
    place, pieces = pieces_of(path)
    assert len(pieces) > 5 and pieces[1].number > 1
    assert [item for piece in pieces for item in readers()["mediawiki"].documents_of(place, piece)] == whole
    data = path.read_bytes()
    path.unlink()
    for name, pack in (("b.xml.bz2", bz2.compress), ("c.xml.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(data))
        assert [item.record["text"] for item in found(tmp_path)] == [item.record["text"] for item in whole]
        (tmp_path / name).unlink()


def test_memory_is_flat(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    with path.open("w", encoding="utf-8") as stream:
        stream.write(HEAD)
        for number in range(40):
            stream.write(page(f"P{number}", "#REDIRECT [[X]] " + "x" * 1_000_000, number))
        stream.write(page("Last", "Text 5", 99) + "</mediawiki>")
    program = (
        "import nemo_kcpt.readers.mediawiki as m; m.PIECE = 1 << 40\nfor item in found(sys.argv[1]): "
        "print(item.record['title'])\nprint(peak())"
    )
    lines, peak = peak_of(program, path)
    assert lines == ["Last"] and peak < 160


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{HEAD}{page('A', 'a')}<page><title>B", "is damaged or cut off from here on"),
        (f'<!DOCTYPE mediawiki [<!ENTITY a "x">]>{HEAD}{page("A", "a")}</mediawiki>', "declares entities"),
        (f"{HEAD}{page('A', '{{謎}}')}</mediawiki>", "there is no text in the page"),
        (f"{HEAD}{page('A', 'x' * (2 << 20))}</mediawiki>", "more than the limit of 1 MiB"),
    ],
)
def test_bad_dumps_are_named(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    assert expected in problem(tmp_path, max_bytes=1 << 20)


def test_wikitext_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    for text in (
        "{| 5",
        "[[a",
        "{{b",
        "'''c",
        "<ref>5",
        "== d",
        "* " * 80 + "5",
        "<div>" * 200 + "5",
        "[[a|" * 100 + "5",
    ):
        shown(f"Before 12.\n{text}")


def test_a_broken_packed_dump_is_named(tmp_path: Path) -> None:
    whole = bz2.compress(dump(tmp_path / "a.xml", page("A", "x" * 9000)).read_bytes())
    (tmp_path / "a.xml").unlink()
    (tmp_path / "a.xml.bz2").write_bytes(whole[: len(whole) // 2])
    assert "a.xml.bz2" in problem(tmp_path)
    (tmp_path / "a.xml.bz2").write_bytes(bz2.compress(HEAD.encode() + page("A", "Text 5").encode() + b"</mediawiki>"))
    assert records(tmp_path)[0]["text"] == "# A\n\nText 5"
