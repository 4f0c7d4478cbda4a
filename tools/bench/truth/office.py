"""The content as Word, PowerPoint and Excel files, written as their formats' standard (ECMA-376) has them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from .content import Block, Document, Piece

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_KIND = "application/vnd.openxmlformats-officedocument."
_LINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
_P = (
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    f'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:r="{_LINK}"'
)


def _package(path: Path, parts: Mapping[str, tuple[str, str]], links: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Write a package.

    Args:
        path: of the file.
        parts: name -> content type below `_KIND`, XML.
        links: name of a part, or nothing for the package -> kind and target of its relationships, rId1 first.
    """
    types = "".join(
        f'<Override PartName="/{name}" ContentType="{_KIND}{kind}+xml"/>' for name, (kind, _) in parts.items()
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr(
            "[Content_Types].xml",
            f'{_HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{types}</Types>',
        )
        for owner, targets in links.items():
            folder, _, name = owner.rpartition("/")
            relations = "".join(
                f'<Relationship Id="rId{number}" Type="{_LINK}/{kind}" Target="{target}"/>'
                for number, (kind, target) in enumerate(targets, 1)
            )
            out.writestr(
                f"{folder}/_rels/{name}.rels".lstrip("/"),
                f'{_HEAD}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
                f"{relations}</Relationships>",
            )
        for name, (_, xml) in parts.items():
            out.writestr(name, _HEAD + xml)


# Word


def docx(document: Document, path: Path, *, columns: int = 1) -> None:
    """Write a Word file with styles, real notes, ruby, formulas, a header and a footer with the page's number."""
    notes: list[str] = []
    body = "".join(_word_block(block, notes) for block in document.blocks)
    section = (
        '<w:sectPr><w:headerReference w:type="default" r:id="rId3"/><w:footerReference w:type="default" r:id="rId4"/>'
        '<w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="1400" w:right="1200" w:bottom="1400" w:left="1200" '
        f'w:header="700" w:footer="700" w:gutter="0"/><w:cols w:num="{columns}" w:space="500"/></w:sectPr>'
    )
    spaces = f'{_W} {_M} xmlns:r="{_LINK}"'
    separators = "".join(
        f'<w:footnote w:type="{kind}" w:id="{number}"><w:p><w:r><w:{kind}/></w:r></w:p></w:footnote>'
        for number, kind in ((-1, "separator"), (0, "continuationSeparator"))
    )
    mark = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:footnoteRef/></w:r>'
    own = "".join(
        f'<w:footnote w:id="{number}"><w:p>{mark}{_run(" " + note)}</w:p></w:footnote>'
        for number, note in enumerate(notes, 1)
    )
    field = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'
    page = f"{field.format('begin')}<w:r><w:instrText> PAGE </w:instrText></w:r>{field.format('separate')}{_run('1')}"
    footer = f"<w:p>{_run(document.footer + ' ')}{page}{field.format('end')}</w:p>"
    _package(
        path,
        {
            "word/document.xml": (
                "wordprocessingml.document.main",
                f"<w:document {spaces}><w:body>{body}{section}</w:body></w:document>",
            ),
            "word/styles.xml": ("wordprocessingml.styles", _word_styles(document.language)),
            "word/numbering.xml": ("wordprocessingml.numbering", _BULLETS),
            "word/footnotes.xml": ("wordprocessingml.footnotes", f"<w:footnotes {_W}>{separators}{own}</w:footnotes>"),
            "word/header1.xml": ("wordprocessingml.header", f"<w:hdr {_W}><w:p>{_run(document.header)}</w:p></w:hdr>"),
            "word/footer1.xml": ("wordprocessingml.footer", f"<w:ftr {_W}>{footer}</w:ftr>"),
        },
        {
            "": [("officeDocument", "word/document.xml")],
            "word/document.xml": [
                ("styles", "styles.xml"),
                ("footnotes", "footnotes.xml"),
                ("header", "header1.xml"),
                ("footer", "footer1.xml"),
                ("numbering", "numbering.xml"),
            ],
        },
    )


_BULLETS = (
    f'<w:numbering {_W}><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/>'
    '<w:lvlText w:val="•"/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
    "</w:numbering>"
)


def _word_styles(language: str) -> str:
    font = "IPAPGothic" if language == "ja" else "DejaVu Sans"
    fonts = f'<w:rFonts w:ascii="{font}" w:hAnsi="{font}" w:eastAsia="IPAPGothic"/>'
    styles = [("Title", "Title", 36), ("Heading1", "heading 1", 28), ("ListBullet", "List Bullet", 20)]
    own = "".join(
        f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/><w:basedOn w:val="Normal"/>'
        f'<w:rPr><w:sz w:val="{size}"/></w:rPr></w:style>'
        for key, name, size in styles
    )
    normal = '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>'
    defaults = f'<w:docDefaults><w:rPrDefault><w:rPr>{fonts}<w:sz w:val="20"/></w:rPr></w:rPrDefault></w:docDefaults>'
    return f"<w:styles {_W}>{defaults}{normal}{own}</w:styles>"


def _run(text: str, properties: str = "") -> str:
    properties = f"<w:rPr>{properties}</w:rPr>" if properties else ""
    return f'<w:r>{properties}<w:t xml:space="preserve">{escape(text, quote=False)}</w:t></w:r>' if text else ""


def _word_block(block: Block, notes: list[str]) -> str:
    if block.rows:
        borders = "".join(f'<w:{side} w:val="single" w:sz="4"/>' for side in ("top", "bottom", "insideH", "insideV"))
        small = '<w:sz w:val="16"/>'
        rows = "".join(
            f"<w:tr>{''.join(f'<w:tc><w:p>{_run(cell, small)}</w:p></w:tc>' for cell in row)}</w:tr>"
            for row in block.rows
        )
        grid = "".join(f'<w:gridCol w:w="{width}"/>' for width in (1500, 1100, 800, 1100))
        about = f"<w:tblPr><w:tblBorders>{borders}</w:tblBorders></w:tblPr><w:tblGrid>{grid}</w:tblGrid>"
        return f"<w:tbl>{about}{rows}</w:tbl><w:p/>"
    style = {"title": "Title", "heading": "Heading1", "item": "ListBullet"}.get(block.kind, "")
    bullet = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>' if block.kind == "item" else ""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/>{bullet}</w:pPr>' if style else ""
    return f"<w:p>{properties}{''.join(_word_piece(piece, notes) for piece in block.pieces)}</w:p>"


def _word_piece(piece: Piece, notes: list[str]) -> str:
    if piece.style in ("sup", "sub"):
        where = {"sup": "superscript", "sub": "subscript"}[piece.style]
        return _run(piece.text, f'<w:vertAlign w:val="{where}"/>')
    if piece.style == "ruby":
        about = (
            '<w:rubyPr><w:rubyAlign w:val="distributeSpace"/><w:hps w:val="10"/><w:hpsRaise w:val="18"/>'
            '<w:hpsBaseText w:val="20"/><w:lid w:val="ja-JP"/></w:rubyPr>'
        )
        reading = _run(piece.more, '<w:sz w:val="10"/>')
        return f"<w:r><w:ruby>{about}<w:rt>{reading}</w:rt><w:rubyBase>{_run(piece.text)}</w:rubyBase></w:ruby></w:r>"
    if piece.style == "note":
        notes.append(piece.more)
        mark = '<w:rPr><w:vertAlign w:val="superscript"/></w:rPr>'
        return f'<w:r>{mark}<w:footnoteReference w:id="{len(notes)}"/></w:r>'
    if piece.style == "formula":
        return f"<m:oMathPara><m:oMath>{_word_formula(piece.text)}</m:oMath></m:oMathPara>"
    return _run(piece.text)


def _word_formula(tex: str) -> str:
    """A formula whose only structure is powers."""

    def text(part: str) -> str:
        return f'<m:r><m:t xml:space="preserve">{escape(part, quote=False)}</m:t></m:r>' if part else ""

    first, *rest = tex.split("^{")
    out, base = text(first[:-1]), first[-1:]
    for part in rest:
        power, _, after = part.partition("}")
        out += f"<m:sSup><m:e>{text(base)}</m:e><m:sup>{text(power)}</m:sup></m:sSup>"
        out, base = out + text(after[:-1]), after[-1:]
    return out + text(base)


# PowerPoint


def slides(document: Document) -> list[list[Block]]:
    """The blocks slide by slide: each heading begins one, and so does every table."""
    groups: list[list[Block]] = []
    for block in document.blocks:
        if block.kind in ("title", "heading") or not groups:
            groups.append([])
        groups[-1].append(block)
    return groups


def pptx(document: Document, path: Path) -> None:
    """Write a presentation: titles, text, tables, notes as the speaker's, a footer and numbers on every slide."""
    pages = slides(document)
    master = (
        '<p:cSld><p:spTree><p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
        "</p:spTree></p:cSld>"
    )
    colours = (
        'bg1="lt1" tx1="dk1" bg2="lt2" tx2="dk2" accent1="accent1" accent2="accent2" accent3="accent3" '
        'accent4="accent4" accent5="accent5" accent6="accent6" hlink="hlink" folHlink="folHlink"'
    )
    ids = "".join(f'<p:sldId id="{256 + number}" r:id="rId{number + 2}"/>' for number in range(len(pages)))
    parts = {
        "ppt/presentation.xml": (
            "presentationml.presentation.main",
            f'<p:presentation {_P}><p:sldMasterIdLst><p:sldMasterId id="2147483648" r:id="rId1"/></p:sldMasterIdLst>'
            f'<p:sldIdLst>{ids}</p:sldIdLst><p:sldSz cx="12192000" cy="6858000"/><p:notesSz cx="6858000" cy="9144000"/>'
            "</p:presentation>",
        ),
        "ppt/slideMasters/slideMaster1.xml": (
            "presentationml.slideMaster",
            f"<p:sldMaster {_P}>{master}<p:clrMap {colours}/>"
            '<p:sldLayoutIdLst><p:sldLayoutId id="2147483649" r:id="rId1"/></p:sldLayoutIdLst></p:sldMaster>',
        ),
        "ppt/slideLayouts/slideLayout1.xml": (
            "presentationml.slideLayout",
            f'<p:sldLayout {_P} type="obj">{master}<p:clrMapOvr><a:masterClrMapping/></p:clrMapOvr></p:sldLayout>',
        ),
    }
    links = {
        "": [("officeDocument", "ppt/presentation.xml")],
        "ppt/presentation.xml": [
            ("slideMaster", "slideMasters/slideMaster1.xml"),
            *(("slide", f"slides/slide{number}.xml") for number in range(1, len(pages) + 1)),
        ],
        "ppt/slideMasters/slideMaster1.xml": [("slideLayout", "../slideLayouts/slideLayout1.xml")],
        "ppt/slideLayouts/slideLayout1.xml": [("slideMaster", "../slideMasters/slideMaster1.xml")],
    }
    for number, blocks in enumerate(pages, 1):
        name = f"ppt/slides/slide{number}.xml"
        parts[name] = ("presentationml.slide", _slide(document, blocks, number))
        links[name] = [("slideLayout", "../slideLayouts/slideLayout1.xml")]
        notes = [piece.more for block in blocks for piece in block.pieces if piece.style == "note"]
        if notes:
            beside = f"ppt/notesSlides/notesSlide{number}.xml"
            shape = _shape(2, "Notes", "body", 0, "".join(_paragraph([Piece(note)]) for note in notes))
            tree = master.replace("</p:spTree>", f"{shape}</p:spTree>")
            parts[beside] = ("presentationml.notesSlide", f"<p:notes {_P}>{tree}</p:notes>")
            links[name].append(("notesSlide", f"../notesSlides/notesSlide{number}.xml"))
            links[beside] = [("slide", f"../slides/slide{number}.xml")]
    _package(path, parts, links)


def _slide(document: Document, blocks: Sequence[Block], number: int) -> str:
    shapes, top = [_shape(2, "Title", "title", 0, _paragraph(blocks[0].pieces))], 900_000
    for index, block in enumerate(blocks[1:], 3):
        if block.rows:
            shapes.append(_slide_table(index, block, top))
        else:
            shapes.append(_shape(index, f"Text {index}", "", top, _paragraph(block.pieces)))
        top += 500_000
    shapes.append(_shape(90, "Footer", "ftr", 6_300_000, _paragraph([Piece(document.footer)])))
    page = (
        f'<a:p><a:fld id="{{B6F15528-21DE-4FAA-801E-634DDDAF4B2B}}" type="slidenum"><a:t>{number}</a:t></a:fld></a:p>'
    )
    shapes.append(_shape(91, "Number", "sldNum", 6_400_000, page))
    group = '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
    return (
        f"<p:sld {_P}><p:cSld><p:spTree>{group}{''.join(shapes)}</p:spTree></p:cSld>"
        "<p:clrMapOvr><a:masterClrMapping/></p:clrMapOvr></p:sld>"
    )


def _shape(number: int, name: str, kind: str, top: int, paragraphs: str) -> str:
    placeholder = f'<p:nvPr><p:ph type="{kind}"/></p:nvPr>' if kind else "<p:nvPr/>"
    at = f'<a:xfrm><a:off x="600000" y="{top}"/><a:ext cx="11000000" cy="400000"/></a:xfrm>'
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="{name}"/><p:cNvSpPr/>{placeholder}</p:nvSpPr><p:spPr>{at}'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr>'
        f"<p:txBody><a:bodyPr/><a:lstStyle/>{paragraphs}</p:txBody></p:sp>"
    )


def _paragraph(pieces: Sequence[Piece]) -> str:
    return f"<a:p>{''.join(map(_slide_piece, pieces))}</a:p>"


def _slide_piece(piece: Piece) -> str:
    if piece.style == "formula":
        first, *rest = piece.text.split("^{")
        parts = [Piece(first)]
        for part in rest:
            power, _, after = part.partition("}")
            parts += [Piece(power, "sup"), Piece(after)]
        return "".join(map(_slide_piece, parts))
    if piece.style == "note" or not piece.text:
        return ""
    text = f"{piece.text}（{piece.more}）" if piece.style == "ruby" else piece.text  # slides have no ruby
    raised = {"sup": ' baseline="30000"', "sub": ' baseline="-25000"'}.get(piece.style, "")
    return f"<a:r><a:rPr{raised}/><a:t>{escape(text, quote=False)}</a:t></a:r>"


def _slide_table(number: int, block: Block, top: int) -> str:
    grid = "".join('<a:gridCol w="2500000"/>' for _ in block.rows[0])
    cell = "<a:tc><a:txBody><a:bodyPr/><a:lstStyle/>{}</a:txBody><a:tcPr/></a:tc>"
    rows = "".join(
        f'<a:tr h="200000">{"".join(cell.format(_paragraph([Piece(text)])) for text in row)}</a:tr>'
        for row in block.rows
    )
    return (
        f'<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="{number}" name="Table"/><p:cNvGraphicFramePr/><p:nvPr/>'
        f'</p:nvGraphicFramePr><p:xfrm><a:off x="600000" y="{top}"/><a:ext cx="10000000" cy="400000"/></p:xfrm>'
        '<a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/table">'
        f'<a:tbl><a:tblPr firstRow="1"/><a:tblGrid>{grid}</a:tblGrid>{rows}</a:tbl>'
        "</a:graphicData></a:graphic></p:graphicFrame>"
    )


# Excel


def xlsx(document: Document, path: Path) -> None:
    """Write a workbook with a sheet for each table, its numbers stored as numbers and shown with separators."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, block in enumerate(tables(document), 1):
        sheet = book.create_sheet(f"表{number}" if document.language == "ja" else f"Table {number}")
        for row, cells in enumerate(block.rows, 1):
            for column, text in enumerate(cells, 1):
                value, number_format = _stored(text)
                cell = sheet.cell(row, column, value)
                cell.number_format = number_format
    stream = io.BytesIO()
    book.save(stream)
    path.write_bytes(stream.getvalue())


def tables(document: Document) -> list[Block]:
    """The blocks that a workbook holds."""
    return [block for block in document.blocks if block.rows]


def _stored(text: str) -> tuple[str | int | float, str]:
    """A cell's value and the format by which it is shown as `text`."""
    bare = text.replace(",", "")
    try:
        number = float(bare)
    except ValueError:
        return text, "General"
    decimals = len(bare.partition(".")[2])
    value = number if decimals else int(number)
    return value, ("#,##0" if "," in text else "0") + ("." + "0" * decimals if decimals else "")
