"""The content as PDF by reportlab: two columns, sideways pages, vertical writing. A program for its own environment.

    python -m truth.pdf FOLDER columns ja-1 ja-2 …

Fonts: IPAexGothic of the package japanize-matplotlib, embedded; for vertical writing Adobe's HeiseiMin-W3, which no PDF
embeds. LibreOffice, where it is installed, makes PDFs of the Word files instead (bench/documents.py).
"""

from __future__ import annotations

import importlib.util
import sys
from html import escape
from pathlib import Path
from typing import Any

from .content import Block, Document, Piece, make, plain

MARGIN = 50
LAYOUTS = ("columns", "sideways", "vertical")


def _font() -> str:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    spec = importlib.util.find_spec("japanize_matplotlib")
    assert spec is not None and spec.origin is not None, "pip install japanize-matplotlib"
    pdfmetrics.registerFont(TTFont("IPAex", Path(spec.origin).parent / "fonts" / "ipaexg.ttf"))
    return "IPAex"


def write(document: Document, path: Path, layout: str) -> None:
    """Write a PDF in one of `LAYOUTS`."""
    if layout == "vertical":
        _vertical(document, path)
    else:
        _flowing(document, path, sideways=layout == "sideways")


def _flowing(document: Document, path: Path, *, sideways: bool) -> None:
    """Two columns with a header, a footer and page numbers; or one column that is turned by a quarter."""
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

    font = _font()
    wide, high = (A4[1], A4[0]) if sideways else A4

    def begin(canvas: Any, template: Any) -> None:
        if sideways:
            canvas.rotate(90)
            canvas.translate(0, -A4[0])
        canvas.setFont(font, 8)
        canvas.drawString(MARGIN, high - 30, document.header)
        canvas.drawString(MARGIN, 25, document.footer)
        canvas.drawCentredString(wide / 2, 25, str(template.page))

    height = high - 2 * MARGIN
    if sideways:
        frames = [Frame(MARGIN, MARGIN, wide - 2 * MARGIN, height)]
    else:
        width = (wide - 2 * MARGIN - 20) / 2
        frames = [Frame(MARGIN + side * (width + 20), MARGIN, width, height) for side in (0, 1)]
    template = BaseDocTemplate(str(path), pagesize=A4, title=document.header)
    template.addPageTemplates(PageTemplate(frames=frames, onPage=begin))
    template.build(_story(document, font, sideways))


def _story(document: Document, font: str, sideways: bool) -> list[Any]:
    from reportlab.lib import colors
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph, Spacer, Table

    wrap = "CJK" if document.language == "ja" else None
    sizes = {"title": 13, "heading": 11}
    story: list[Any] = []
    notes: list[str] = []

    def paragraph(text: str, size: float) -> Any:
        style = ParagraphStyle("text", fontName=font, fontSize=size, leading=1.5 * size, wordWrap=wrap, spaceAfter=6)
        return Paragraph(text, style)

    for block in document.blocks:
        if block.rows:
            size = 9 if sideways else 7
            style = [("FONT", (0, 0), (-1, -1), font, size), ("GRID", (0, 0), (-1, -1), 0.3, colors.black)]
            story += [Table([list(row) for row in block.rows], style=style), Spacer(0, 8)]
            continue
        mark = "・" if block.kind == "item" and document.language == "ja" else "• " if block.kind == "item" else ""
        text = mark + "".join(_piece(piece, notes) for piece in block.pieces)
        story.append(paragraph(text, sizes.get(block.kind, 9)))
    story += [paragraph(f"{number}) {escape(note)}", 7) for number, note in enumerate(notes, 1)]
    return story


def _piece(piece: Piece, notes: list[str]) -> str:
    if piece.style == "note":
        notes.append(piece.more)
        return f"<super>{len(notes)})</super>"
    if piece.style == "formula":
        return escape(piece.text).replace("^{", "<super>").replace("}", "</super>")
    text = escape(piece.text)
    return {"sup": f"<super>{text}</super>", "sub": f"<sub>{text}</sub>"}.get(piece.style, text)


def _vertical(document: Document, path: Path) -> None:
    """The paragraphs and headings from top to bottom, lines from right to left, a page number below."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    upright = UnicodeCIDFont("HeiseiMin-W3", isVertical=True)
    upright.fontName = upright.name = "HeiseiMin-W3-V"
    pdfmetrics.registerFont(upright)
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    canvas = Canvas(str(path), pagesize=A4)
    size, pitch = 10, 18
    letters = int((A4[1] - 2 * MARGIN) / size)
    x, page = A4[0] - MARGIN, 1
    for block in vertical_blocks(document):
        text = plain(block)
        for start in range(0, len(text), letters):
            if x < MARGIN:
                canvas.drawCentredString(A4[0] / 2, 25, str(page))
                canvas.showPage()
                x, page = A4[0] - MARGIN, page + 1
            canvas.setFont("HeiseiMin-W3-V", size)
            canvas.drawString(x, A4[1] - MARGIN, text[start : start + letters])
            canvas.setFont("HeiseiMin-W3", 8)
            x -= pitch
    canvas.drawCentredString(A4[0] / 2, 25, str(page))
    canvas.save()


def vertical_blocks(document: Document) -> list[Block]:
    """What is set vertically: text without powers and formulas, its digits in full width as books have them."""
    kept = (block for block in document.blocks if block.kind in ("title", "heading", "paragraph"))
    plain_only = (block for block in kept if not any(piece.style for piece in block.pieces))
    wide = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)} | {" ": "　"})
    return [
        Block(block.kind, tuple(Piece(piece.text.translate(wide)) for piece in block.pieces)) for block in plain_only
    ]


def main() -> None:
    """Write the files that were asked for."""
    folder, layout, *names = sys.argv[1:]
    for name in names:
        language, seed = name.split("-")
        write(make(language, int(seed)), Path(folder) / f"{name}.pdf", layout)


if __name__ == "__main__":
    main()
