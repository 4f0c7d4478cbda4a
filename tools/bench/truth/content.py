"""Fictional documents whose every block is known: what a reader of any format should find, in which order.

The same content is written as Word, PowerPoint, Excel, TeX, JATS, HTML and PDF by the modules beside this one. Text is
a sequence of pieces (plain, raised, lowered, with a reading, a note, a formula), so that each format writes them its
own way and the truth is what a person reads.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Piece:
    """A stretch of text."""

    text: str
    style: str = ""
    """sup, sub, ruby (`more` is the reading), note (`more` is the note's text), formula (`text` is TeX)."""
    more: str = ""


@dataclass(frozen=True)
class Block:
    """One thing on a page, in reading order."""

    kind: str
    """title, heading, paragraph, item, formula or table."""
    pieces: tuple[Piece, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    """Rows of a table: the first is its header."""


@dataclass(frozen=True)
class Document:
    """A document and what stands around its text on every page."""

    name: str
    language: str
    blocks: tuple[Block, ...]
    header: str
    footer: str

    def notes(self) -> list[str]:
        """The texts of the notes, in order."""
        return [piece.more for block in self.blocks for piece in block.pieces if piece.style == "note"]


def plain(block: Block) -> str:
    """A block as text: raised digits after a caret, formulas as TeX, without notes and readings."""
    if block.rows:
        return "\n".join(" ".join(row) for row in block.rows)
    return "".join(_plain(piece) for piece in block.pieces)


def _plain(piece: Piece) -> str:
    if piece.style == "sup":
        return f"^{piece.text}"
    return "" if piece.style == "note" else piece.text


JA = {
    "things": ["霞式推定器", "疾風方式", "湊モデル", "皐月測定法", "雪割試験", "若葉指標", "白樺検査"],
    "places": ["架空第一研究所", "北浜観測所", "星見台工場", "青葉試験場", "常盤海洋局"],
    "properties": ["平均誤差", "処理時間", "消費電力", "再現率", "含水量", "引張強度"],
    "units": ["件", "秒", "回", "台", "人", "語"],
    "ruby": ["麒麟 きりん", "黎明 れいめい", "漣 さざなみ", "縹 はなだ", "朧 おぼろ"],
    "sections": ["背景と目的", "測定の方法", "得られた結果", "誤差の検討", "運用の手順", "今後の計画"],
    "sentences": [
        "{thing}は{place}で{n}{unit}の標本に適用され、{property}は{d}であった。",
        "前年の{n}{unit}と比べると、{property}が{p}％下がり、{d}に達した。",
        "第{s}期の{place}では、{thing}を用いた作業が{wide}台の装置で行われた。",
        "この値は{thing}の設計値{d}を上回り、許容範囲の{n}{unit}以内に収まる。",
        "なお、{property}の算出には{place}の記録{n}{unit}分を用い、欠測の{s}{unit}分を除いた。",
        "型番ＫＸ－{wide}の装置は、{property}を{d}から{d2}まで段階的に変えられる。",
    ],
    "power": ["試行の総数は", "回であり、", "記録の全体は"],
    "note": "{place}の記録{n}番による。測定は{s}月に行われた。",
    "columns": ["項目", "件数", "比率", "備考"],
    "remarks": ["基準内", "再測定", "暫定値", "○", "×", "対象外"],
    "title": "{thing}の{property}に関する報告（第{s}版）",
    "item": "{thing}：{property}は{d}、対象は{n}{unit}",
}
EN = {
    "things": ["Kasumi estimator", "Hayate method", "Minato model", "Satsuki probe", "Wakaba index"],
    "places": ["the Northbank station", "the Hoshimi plant", "the Tokiwa institute", "the Aoba test field"],
    "properties": ["mean error", "processing time", "power draw", "recall", "moisture", "tensile strength"],
    "units": ["samples", "seconds", "trials", "units", "words"],
    "sections": ["Background and aims", "How it was measured", "Results", "Discussion of errors", "Operation"],
    "sentences": [
        "At {place} the {thing} was applied to {n} {unit}, and the {property} came to {d}.",
        "Compared with the {n} {unit} of the year before, the {property} fell by {p}% and reached {d}.",
        "In phase {s} the work with the {thing} was done at {place} on {w} machines.",
        "This is above the design value of {d} and stays within the {n} {unit} that are allowed.",
        "The {property} was computed from {n} {unit}, of which {s} were left out as incomplete.",
        "The unit KX-{w} can vary the {property} from {d} to {d2} in steps.",
    ],
    "power": ["The number of trials was ", " in all, and ", "The whole record has "],
    "note": "From record {n} of {place}, measured in month {s}.",
    "columns": ["Item", "Count", "Share", "Remark"],
    "remarks": ["within limits", "measured again", "provisional", "yes", "no", "n/a"],
    "title": "Report on the {property} of the {thing}, edition {s}",
    "item": "{thing}: {property} of {d}, for {n} {unit}",
}
WORDS: dict[str, dict[str, Any]] = {"ja": JA, "en": EN}
FORMULAS = ("y = {a} x^{{2}} + {b}", "E = {a} m c^{{2}} - {b}", "R = {a} + {b} n", "s = {a} t^{{3}} - {b} t")
"""In TeX; simple enough to be drawn on a page by raised digits alone."""


def wide(number: int) -> str:
    """A number in full-width digits."""
    return "".join(chr(ord(digit) + 0xFEE0) for digit in str(number))


class Writer:
    """Draws the content of one document."""

    def __init__(self, language: str, seed: int) -> None:
        self.language, self.words = language, WORDS[language]
        self.random = random.Random(f"{language} {seed}")

    def values(self) -> dict[str, str]:
        """Values for the places of a sentence."""
        draw, words = self.random, self.words
        decimals = draw.choice((1, 2, 3))
        return {
            "thing": draw.choice(words["things"]),
            "place": draw.choice(words["places"]),
            "property": draw.choice(words["properties"]),
            "unit": draw.choice(words["units"]),
            "n": f"{draw.randint(1_000, 9_999_999):,}",
            "d": f"{draw.choice(('', '', '-'))}{draw.uniform(0, 99):.{decimals}f}",
            "d2": f"{draw.uniform(100, 999):.1f}",
            "p": f"{draw.uniform(1, 40):.1f}",
            "s": str(draw.randint(1, 12)),
            "w": str(draw.randint(10, 9_999)),
            "wide": wide(draw.randint(10, 9_999)),
        }

    def sentence(self, kind: str = "sentences") -> str:
        """A sentence with values of its own."""
        template = self.words[kind]
        template = self.random.choice(template) if isinstance(template, list) else template
        return str(template.format(**self.values()))

    def paragraph(self, extra: str) -> Block:
        """Three to five sentences, and after the first what `extra` names: a power, ruby, a note or nothing."""
        sentences = [self.sentence() for _ in range(self.random.randint(3, 5))]
        gap = "" if self.language == "ja" else " "
        return Block("paragraph", (Piece(sentences[0]), *self.inline(extra), Piece(gap + gap.join(sentences[1:]))))

    def inline(self, extra: str) -> Iterator[Piece]:
        """Pieces that are more than plain text."""
        draw, words = self.random, self.words
        gap = "" if self.language == "ja" else " "
        if extra == "power":
            yield Piece(gap + words["power"][0] + f"{draw.randint(11, 99) / 10}×10")
            yield Piece(str(draw.randint(2, 9)), "sup")
            yield Piece(words["power"][1] + words["power"][2] + "10")
            yield Piece(f"-{draw.randint(2, 9)}", "sup")
            yield Piece("mol の H" if self.language == "ja" else " mol of H")
            yield Piece("2", "sub")
            yield Piece("O である。" if self.language == "ja" else "O.")
        elif extra == "ruby" and self.language == "ja":
            word, reading = draw.choice(words["ruby"]).split()
            yield Piece("観測船")
            yield Piece(word, "ruby", reading)
            yield Piece(f"号は{draw.randint(13, 99)}海里を進んだ。")
        elif extra == "note":
            yield Piece("", "note", self.sentence("note"))

    def table(self) -> Block:
        """A table with numbers, some of its cells being a single character."""
        draw, words = self.random, self.words
        rows = [tuple(words["columns"])]
        for _ in range(draw.randint(4, 7)):
            values = self.values()
            rows.append((values["thing"], values["n"], values["d"], draw.choice(words["remarks"])))
        return Block("table", rows=tuple(rows))

    def formula(self) -> Block:
        """A formula of its own line."""
        draw = self.random
        tex = draw.choice(FORMULAS).format(a=f"{draw.uniform(1, 9):.2f}", b=draw.randint(11, 99))
        return Block("formula", (Piece(tex, "formula"),))


def make(language: str, seed: int, *, sections: int = 4) -> Document:
    """A document of about three pages.

    Args:
        language: ja or en.
        seed: draws everything that is in it.
        sections: headings below the title.
    """
    writer = Writer(language, seed)
    draw = writer.random
    blocks = [Block("title", (Piece(writer.sentence("title")),))]
    extras = ["power", "ruby", "note", "", "note", "power"]
    names = draw.sample(writer.words["sections"], min(sections, len(writer.words["sections"])))
    for number, name in enumerate(names, 1):
        blocks.append(Block("heading", (Piece(f"{number} {name}"),)))
        blocks += [writer.paragraph(extras[(2 * number + turn) % len(extras)]) for turn in range(2)]
        if number % 2:
            blocks += [writer.table(), writer.paragraph("")]
        else:
            blocks.append(writer.formula())
            blocks += [Block("item", (Piece(writer.sentence("item")),)) for _ in range(3)]
            blocks.append(writer.paragraph("note"))
    title = plain(blocks[0])
    return Document(
        f"{language}-{seed}",
        language,
        tuple(blocks),
        header=title,
        footer="架空資料 社外秘" if language == "ja" else "Fictional",
    )
