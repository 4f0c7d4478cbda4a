from __future__ import annotations

import pytest

from nemo_kcpt.markup.html.page import main_text
from tests.readers.reading import JAPANESE

pytest.importorskip("trafilatura")

SENTENCE = JAPANESE.split("\n")[0]
KATEX = (
    "<span class='katex'><span class='katex-mathml'><math><semantics><msup><mn>10</mn><mn>6</mn></msup>"
    "<annotation encoding='application/x-tex'>10^6</annotation></semantics></math></span>"
    "<span class='katex-html' aria-hidden='true'><span>1</span><span>0<span>6</span></span></span></span>"
)
MATHJAX_2 = (
    "<span class='MathJax_Preview'></span><span class='MathJax'><span><span>10</span><span>6</span></span></span>"
    "<script type='math/tex' id='E'>10^{6}</script>"
)
MATHJAX_3 = (
    "<mjx-container class='MathJax'><mjx-math><mjx-c></mjx-c>106</mjx-math><mjx-assistive-mml><math><msup><mn>10</mn>"
    "<mn>6</mn></msup></math></mjx-assistive-mml></mjx-container>"
)
WIKIPEDIA = (
    "<span class='mwe-math-element'><span class='mwe-math-mathml-a11y' style='display: none;'><math alttext='10^{6}'>"
    "<mn>1</mn></math></span><img class='mwe-math-fallback-image-inline' alt='10^{6}' src='x'></span>"
)


@pytest.mark.parametrize("rest", [SENTENCE * 3, SENTENCE * 40])
@pytest.mark.parametrize(
    ("body", "lines"),
    [
        # lists as the browser numbers them
        ("<ol start=5><li>五</li><li value=9><p>九</p></li><li>十</li></ol>", ["- 5. 五", "- 9. 九", "- 10. 十"]),
        ("<ol reversed><li>三位</li><li>二位</li><li>一位</li></ol>", ["- 3. 三位", "- 2. 二位", "- 1. 一位"]),
        ("<ol type=a><li>あ</li><li>い</li></ol>", ["- a. あ", "- b. い"]),
        ("<ol style='list-style-type: upper-roman' start=4><li>あ</li></ol>", ["- IV. あ"]),
        ("<ol><li>一<ol type=i><li>甲</li><li>乙</li></ol></li><li>二</li></ol>", ["1. 一", "  - ii. 乙", "2. 二"]),
        # what is struck through, hidden or a comment
        ("<p>価格は <del>1,000円</del><ins>800円</ins>、<s>12</s>13 人</p>", ["価格は ~~1,000円~~800円、~~12~~13 人"]),
        ("<p>価格は <strike><b>5</b> 円</strike>6 円</p>", ["価格は ~~5 円~~6 円"]),
        ("<p>人口は <span style='display:none'>7003♠</span>1,204<i hidden>9</i> 人</p>", ["人口は 1,204 人"]),
        ("<p>値は 1<!-- 2 -->3 と <abbr>WHO</abbr> <time>5月6日</time></p>", ["値は 13 と WHO 5月6日"]),
        (
            "<p>価格は <span style='text-decoration: line-through'>99</span>79 円と "
            "<u style='text-decoration:none'>5</u></p>",
            ["価格は ~~99~~79 円と 5"],
        ),
        # what is raised with the blank behind it, or by a style of its own
        (
            "<p>面積 m<sup>2 </sup>and H<sub>2 </sub>gas、y<span style='font-variant-position:super'>3</span></p>",
            ["面積 m² and H₂ gas、y³"],
        ),
        # text whose lines are parted by <br> alone
        ("<div>甲 5<br>乙 <b>6</b><br><br>丙 7</div>", ["甲 5", "乙 6", "丙 7"]),
        ("<section>丁 8<br>戊 9</section>", ["丁 8", "戊 9"]),
        # a note's link by its class
        ("<p>跳んだ 8<a href='#n7' class='footnote'>7</a> m、<a href='#t3'>3</a>と</p>", ["跳んだ 8[^7] m、3と"]),
        # text beside blocks
        (
            "<ul><li>幅 3<div>4 bar</div>5<p>6</p></li><li>E 6<ul><li>7</li></ul>8 G</li></ul>",
            ["- 幅 3 4 bar 5 6", "- E 6", "  - 7", " 8 G"],
        ),
        ("<ul><li>3<div>4<br>5</div>6</li></ul>", ["- 3 4 5 6"]),
        ("<dl><dt>K 1<p>2</p></dt><dd>5<p>6</p>7<div>8</div></dd></dl>", ["- K 1 2", "- 5 6 7 8"]),
        ("<details><summary>詳細 5</summary>本文 <b>77</b> 件</details>", ["詳細 5", "本文 77 件"]),
        ("<section><header><h2>節 8</h2></header><p>本文 9</p></section>", ["## 節 8", "本文 9"]),
        # formulas that are drawn beside themselves, and images that stand for text
        (f"<p>値は {KATEX} だ</p>", ["値は $10^6$ だ"]),
        (f"<p>値は {MATHJAX_2} だ</p>", ["値は $10^{6}$ だ"]),
        (f"<p>値は {MATHJAX_3} だ</p>", ["値は 10⁶ だ"]),
        (f"<p>値は {WIKIPEDIA} だ</p>", ["値は $10^{6}$ だ"]),
        ("<p>値は <img class='tex' alt='10^{-3}' src='a.png'> だ</p>", ["値は $10^{-3}$ だ"]),
        ("<p>森<img class='gaiji' alt='鷗'>外は <img src='m.gif' alt='−'>5 ℃ に</p>", ["森鷗外は −5 ℃ に"]),
        ("<p>前の<img src='a.png' alt='売上の図'>後</p>", ["前の後"]),
        ("<p>値は<template>66</template><svg><text>99</text></svg>5 に</p>", ["値は5 に"]),
        # links and tables within
        ("<p>CO<a href='/w'><sub>2</sub></a>は<a href='/x'>3</a>と<a href='/y'>4</a>である</p>", ["CO₂は3と4である"]),
        (
            "<table><tr><th>外</th><th>値</th></tr><tr><td><table><tr><td>1</td><td>2</td></tr></table></td><td>3</td>"
            "</tr></table>",
            ["| 外 | 値 | ", "| 1, 2 | 3 | "],
        ),
        # captions
        (
            "<table><caption>表1 棟別</caption><tr><th>棟</th></tr><tr><td>A</td></tr></table>",
            ["表1 棟別", "| 棟 | ", "| A | "],
        ),
    ],
)
def test_the_text_says_what_a_reader_sees(body: str, lines: list[str], rest: str) -> None:
    text, _, _ = main_text(
        f"<html><body><article><h1>題</h1><p>{SENTENCE}</p>{body}<p>{rest}</p></article></body></html>"
    )
    found = text.splitlines()
    assert found[0] == "# 題"
    assert [line for line in lines if found.count(line) != 1] == []
    assert "106" not in text


NOTE = (
    "<span class='ltx_note'><sup class='ltx_note_mark'>1</sup><span class='ltx_note_outer'><span "
    "class='ltx_note_content'><sup class='ltx_note_mark'>1</sup>表{}による</span></span></span>"
)


def test_notes_within_a_sentence_go_behind_it_and_are_no_part_of_titles_and_names() -> None:
    body = (
        f"<h1>題{NOTE.format(1)}</h1><div class='ltx_authors'>Jane Doe<sup>1,2</sup>, Taro Yamada<sup>*</sup>, and Ann "
        f"O’Neil<sup>†</sup></div><p>参加者は24{NOTE.format(2)} 人、<b>女性{NOTE.format(3)}</b>は12人。{SENTENCE}</p>"
        f"<table><tr><th>数{NOTE.format(4)}</th></tr><tr><td>3</td></tr></table>"
        f"<p>余白<span class='sidenote'>2019年</span>は5。{SENTENCE}</p>"
    )
    text, fields, _ = main_text(f"<html><body><article>{body}</article></body></html>")
    assert fields["title"] == "題" and fields["author"] == "Jane Doe; Taro Yamada; Ann O’Neil"
    lines = text.splitlines()
    assert "[^1]: 表1による" in lines and f"参加者は24[^1] 人、女性[^1]は12人。{SENTENCE}" in lines
    assert lines.index("[^1]: 表2による") < lines.index("[^1]: 表3による") < lines.index("[^1]: 表4による")
    assert f"余白は5。{SENTENCE}" in lines and "2019年" in lines


def test_a_list_that_counts_from_one_stays() -> None:
    items = "<ol start=1><li>一つ目</li><li value=2>二つ目</li></ol>"
    text, _, _ = main_text(f"<html><body><article><h1>題</h1><p>{SENTENCE}</p>{items}</article></body></html>")
    assert text.splitlines()[-2:] == ["1. 一つ目", "2. 二つ目"]


@pytest.mark.parametrize("rest", [SENTENCE * 3, SENTENCE * 40])
def test_text_beside_blocks_keeps_its_place(rest: str) -> None:
    text, _, _ = main_text(
        f"<html><body><article><h1>題</h1><p>{SENTENCE}</p><div>甲 <b>12</b> で<ul><li>乙 1</li></ul>丙 15<p>丁 17</p>"
        f"戊 18<pre>己 19</pre>庚 20</div><p>{rest}</p></article></body></html>"
    )
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines[2:-1] == ["甲 12 で", "- 乙 1", "丙 15", "丁 17", "戊 18", "己 19", "庚 20"]


@pytest.mark.parametrize("rest", [SENTENCE * 3, SENTENCE * 40])
def test_a_page_within_a_form_is_read_as_any(rest: str) -> None:
    """ASP.NET puts a whole page into one form, of which trafilatura reads paragraphs alone."""
    table = "<table><tr><th>年</th><th>人</th></tr><tr><td>10</td><td>20</td></tr></table>"
    text, _, _ = main_text(
        f"<html><body><form id='aspnetForm'><div><h1>題</h1><p>{SENTENCE}</p><h2>節 5</h2>{table}<p>{rest}</p></div>"
        "</form></body></html>"
    )
    assert [line for line in ("## 節 5", "| 年 | 人 | ", "| 10 | 20 | ") if line not in text.splitlines()] == []


@pytest.mark.parametrize("rest", [SENTENCE * 3, SENTENCE * 40])
def test_a_page_that_names_no_main_part_loses_neither_headings_nor_lists(rest: str) -> None:
    text, _, _ = main_text(
        f"<html><body><nav><a href=a>ホーム</a></nav><div class='menu'><ul><li><a href=b>目次</a></li></ul></div>"
        f"<h1>題</h1><p>{SENTENCE}</p><h2>節 5</h2><ul><li>10</li></ul><h2>節 6</h2><pre>x  1</pre><p>{rest}</p>"
        "<div class='footer'><p>Copyright 2020</p></div><footer>連絡先</footer></body></html>"
    )
    found = text.splitlines()
    assert [line for line in ("## 節 5", "- 10", "## 節 6", "x  1", SENTENCE) if found.count(line) != 1] == []
    assert not any(word in text for word in ("ホーム", "目次", "Copyright", "連絡先"))
