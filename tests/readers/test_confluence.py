"""Confluence's exports: a space's XML, and its pages in HTML."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from nemo_kcpt.markup.xml.confluence import storage_markdown
from nemo_kcpt.readers.base import READER_CHANGES
from tests.readers.reading import found, peak_of, problem, records


def page(number: int, title: str, kind: str = "Page", status: str = "current", more: str = "") -> str:
    return (
        f'<object class="{kind}" package="x"><id name="id">{number}</id><property name="title">'
        f"<![CDATA[{title}]]></property>"
        f'<property name="contentStatus"><![CDATA[{status}]]></property>'
        f'<property name="lastModificationDate">2024-03-01 10:00:00.000</property>{more}</object>'
    )


def body(number: int, text: str) -> str:
    return (
        f'<object class="BodyContent" package="x"><id name="id">{number + 1000}</id><property'
        f' name="body"><![CDATA[{text}]]>'
        f'</property><property name="content" class="Page"><id name="id">{number}</id></property></object>'
    )


def space(*objects: str) -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<hibernate-generic datetime="x">'
    return f"{head}{''.join(objects)}</hibernate-generic>"


OLD = '<property name="originalVersion" class="Page"><id name="id">1</id></property>'
SPACE = space(
    body(1, "<h1>節</h1><p>12,400&nbsp;人</p>"),
    page(1, "霞 & 家"),
    page(2, "Old", more=OLD),
    body(2, "old 99"),
    page(3, "Draft", status="draft"),
    body(3, "draft 99"),
    page(4, "Blog", "BlogPost"),
    body(4, "<p>5</p>"),
    '<object class="Comment"><id name="id">9</id></object>',
    body(9, "comment 99"),
)


def archive(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in files.items():
            made.writestr(name, text)
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_the_current_pages_of_a_space(tmp_path: Path, packed: bool) -> None:
    if packed:
        archive(tmp_path / "a.zip", {"entities.xml": SPACE, "attachments/1/2/1": "hidden 99"})
    else:
        (tmp_path / "entities.xml").write_text(SPACE, encoding="utf-8")
    source = "a.zip" if packed else "entities.xml"
    first, second = found(tmp_path)
    assert dict(first.record) == {
        "paper_id": f"{source}#1",
        "title": "霞 & 家",
        "date": "2024-03-01T10:00:00",
        "text": "# 霞 & 家\n\n# 節\n\n12,400\u00a0人",
    }
    assert second.record["text"] == "# Blog\n\n5"
    assert first.changes["confluence_other_pages"] == 3
    assert {"confluence_other_pages", "confluence_macros"} < set(READER_CHANGES)


def macro(name: str, inner: str = "", **parameters: str) -> str:
    given = "".join(f'<ac:parameter ac:name="{key}">{value}</ac:parameter>' for key, value in parameters.items())
    return f'<ac:structured-macro ac:name="{name}">{given}{inner}</ac:structured-macro>'


CODE = "<ac:plain-text-body><![CDATA[if a < 5:\n  b]]></ac:plain-text-body>"
RICH = "<ac:rich-text-body><p>In 5.</p></ac:rich-text-body>"


@pytest.mark.parametrize(
    ("storage", "text"),
    [
        (
            "<p>10<sup>6</sup> &rarr; H<sub>2</sub>O &mdash; 5&ndash;10, <strong>３</strong>km</p>",
            "10⁶ → H₂O — 5–10, ３km",
        ),
        (macro("code", CODE, language="py"), "```\nif a < 5:\n  b\n```"),
        (macro("info", RICH, title="Note 7") + macro("toc"), "Note 7\n\nIn 5."),
        (
            f"<p>State {macro('status', title='DONE', colour='Green')} of {macro('jira', key='AB-12')}</p>",
            "State DONE of AB-12",
        ),
        (f"<p>x {macro('mathinline', '<ac:plain-text-body><![CDATA[x^2]]></ac:plain-text-body>')}</p>", "x $x^2$"),
        (
            '<p>See <ac:link><ri:page ri:content-title="霞 5"/></ac:link> and <ac:link><ri:page'
            ' ri:content-title="X"/><ac:plain-text-link-body><![CDATA[this]]></ac:plain-text-link-body>'
            "</ac:link></p>",
            "See 霞 5 and this",
        ),
        (
            "<ac:task-list><ac:task><ac:task-status>complete</ac:task-status><ac:task-body>Do "
            "5</ac:task-body></ac:task><ac:task><ac:task-status>incomplete</ac:task-status><ac:task-body>Do "
            "6</ac:task-body></ac:task></ac:task-list>",
            "- [x] Do 5\n- [ ] Do 6",
        ),
        (
            '<p>On <time datetime="2024-03-01"/></p><ac:image><ri:attachment ri:filename="a9.png"/>'
            "<ac:caption><p>Fig 1</p></ac:caption></ac:image>",
            "On 2024-03-01\n\nFig 1",
        ),
        (
            '<table><tbody><tr><th>a</th><th colspan="2">b</th></tr><tr><td><p>1</p></td>'
            "<td>−2</td><td>x|y</td></tr></tbody></table>",
            "| a | b |  |\n| --- | --- | --- |\n| 1 | −2 | x\\|y |",
        ),
        (
            "<ac:layout><ac:layout-section><ac:layout-cell><p>A</p></ac:layout-cell><ac:layout-cell>"
            "<p>B</p></ac:layout-cell></ac:layout-section></ac:layout>",
            "A\n\nB",
        ),
        (
            "<ol start='3'><li>x<ul><li>y</li></ul></li></ol><p><del>5</del>6<ac:placeholder>Write "
            "9</ac:placeholder></p>",
            "1. x\n   - y\n\n~~5~~6",
        ),
    ],
)
def test_what_the_storage_format_shows(storage: str, text: str) -> None:
    assert storage_markdown(storage)[0] == text


def test_macros_without_their_content_are_counted() -> None:
    assert storage_markdown(f"<p>5</p>{macro('include')}{macro('toc')}")[1] == {"raised": 0, "confluence_macros": 1}


EXPORTED = """<html><head><title>Kasumi : 霞の設計</title></head>
<body class="theme-default aui-theme-default"><div id="page">
<ol id="breadcrumbs"><li>Kasumi</li></ol><h1 id="title-heading"><span id="title-text"> Kasumi : 霞の設計 </span></h1>
<div id="content" class="view"><div class="page-metadata">Created by <span class='author'> Taro Yamada</span>,
last modified on Mar 01, 2024</div>
<div id="main-content" class="wiki-content group"><div class="toc-macro">目次 99</div>
<h2>節</h2><p>12,400人、10<sup>6</sup></p>
<table class="confluenceTable"><tr><th>a</th></tr><tr><td>5</td></tr></table></div>
<div class="pageSection group"><h2 id="attachments">Attachments:</h2><a>a99.png</a></div></div>
<div id="footer">generated 99</div></div></body></html>"""


@pytest.mark.parametrize("packed", [True, False])
def test_pages_of_the_html_export(tmp_path: Path, packed: bool) -> None:
    files = {"S/index.html": EXPORTED, "S/page_1.html": EXPORTED, "S/styles/site.css": "p {}"}
    if packed:
        archive(tmp_path / "a.zip", files)
    else:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
    (record,) = records(tmp_path)
    assert record == {
        "paper_id": "a.zip#S/page_1.html" if packed else "S/page_1.html",
        "title": "霞の設計",
        "author": "Taro Yamada",
        "date": "Mar 01, 2024",
        "text": "# 霞の設計\n\n## 節\n\n12,400人、10⁶\n\n| a |\n| --- |\n| 5 |",
    }


def test_memory_is_flat(tmp_path: Path) -> None:
    path = tmp_path / "entities.xml"
    with path.open("w", encoding="utf-8") as stream:
        stream.write('<hibernate-generic datetime="x">')
        for number in range(40):
            stream.write(body(number, "x" * 1_000_000))
        stream.write(page(99, "Last") + body(99, "<p>5</p>") + "</hibernate-generic>")
    lines, peak = peak_of("for item in found(sys.argv[1]): print(item.record['title'])\nprint(peak())", path)
    assert lines == ["Last"] and peak < 180


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SPACE[:-200], "is damaged or cut off"),
        ('<!DOCTYPE hibernate-generic [<!ENTITY a "x">]>' + SPACE.split("\n", 1)[1], "declares entities"),
        (space(page(1, "A"), body(1, "<p>unclosed")), "its storage format is not well-formed XML"),
        (space(page(1, "A"), body(1, "<p></p>")), "there is no text in the page"),
    ],
)
def test_bad_exports_are_named(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "entities.xml").write_text(text, encoding="utf-8")
    assert any(expected in item.problem for item in found(tmp_path))


def test_other_archives_and_pages_are_left_alone(tmp_path: Path) -> None:
    archive(tmp_path / "a.zip", {"a.txt": "5"})
    (tmp_path / "b.html").write_text("<html><body><article><h1>T</h1><p>Text 5 of a page.</p></article></body></html>")
    (item,) = found(tmp_path)
    assert item.source == "b.html" and not item.problem
    (tmp_path / "b.html").write_text(EXPORTED.replace("main-content", "other"))
    assert "has no main part" in problem(tmp_path)
