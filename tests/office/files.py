"""Small office files, written by hand as Office writes them: any XML in the parts that a test names."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

OPEN = "http://schemas.openxmlformats.org"
NAMESPACES = " ".join(
    f'xmlns:{prefix}="{address}"'
    for prefix, address in {
        "w": f"{OPEN}/wordprocessingml/2006/main",
        "p": f"{OPEN}/presentationml/2006/main",
        "a": f"{OPEN}/drawingml/2006/main",
        "c": f"{OPEN}/drawingml/2006/chart",
        "dgm": f"{OPEN}/drawingml/2006/diagram",
        "m": f"{OPEN}/officeDocument/2006/math",
        "r": f"{OPEN}/officeDocument/2006/relationships",
        "wp": f"{OPEN}/drawingml/2006/wordprocessingDrawing",
        "pic": f"{OPEN}/drawingml/2006/picture",
        "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
        "mc": f"{OPEN}/markup-compatibility/2006",
        "a14": "http://schemas.microsoft.com/office/drawing/2010/main",
        "v": "urn:schemas-microsoft-com:vml",
        "o": "urn:schemas-microsoft-com:office:office",
    }.items()
)
CORE = (
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{}</cp:coreProperties>'
)


def write_package(path: Path, main: str, parts: Mapping[str, str | bytes], relations: Mapping[str, str]) -> Path:
    """A package.

    Args:
        path: where to.
        main: the part that holds the document.
        parts: name -> content; XML gets its namespaces where it has a `{ns}`.
        relations: part ("" for the file) -> lines "id kind target", an address as target is outside.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr("[Content_Types].xml", f'<Types xmlns="{OPEN}/package/2006/content-types"/>')
        for part, lines in {
            "": f"rId1 officeDocument {main}\n{relations.get('', '')}",
            **_without_root(relations),
        }.items():
            folder, _, name = part.rpartition("/")
            stream.writestr(f"{folder}/_rels/{name}.rels".lstrip("/"), _relations(lines))
        for name, content in parts.items():
            stream.writestr(name, content.replace("{ns}", NAMESPACES) if isinstance(content, str) else content)
    return path


def _without_root(relations: Mapping[str, str]) -> dict[str, str]:
    return {part: lines for part, lines in relations.items() if part}


def _relations(lines: str) -> str:
    made = ""
    for line in lines.strip().splitlines():
        key, kind, target = line.split()
        mode = ' TargetMode="External"' if ":" in target else ""
        made += (
            f'<Relationship Id="{key}" Type="{OPEN}/officeDocument/2006/relationships/{kind}" Target="{target}"{mode}/>'
        )
    return f'<Relationships xmlns="{OPEN}/package/2006/relationships">{made}</Relationships>'


def write_docx(
    path: Path,
    body: str,
    *,
    styles: str = "",
    numbering: str = "",
    footnotes: str = "",
    endnotes: str = "",
    settings: str = "",
    core: str = "",
    relations: str = "",
    parts: Mapping[str, str | bytes] | None = None,
) -> Path:
    """A .docx; the arguments are what the elements of its parts hold."""
    inner = {
        "styles": styles,
        "numbering": numbering,
        "footnotes": footnotes,
        "endnotes": endnotes,
        "settings": settings,
    }
    made: dict[str, str | bytes] = {"word/document.xml": f"<w:document {{ns}}><w:body>{body}</w:body></w:document>"}
    lines = relations
    for name, content in inner.items():
        if content:
            made[f"word/{name}.xml"] = f"<w:{name} {{ns}}>{content}</w:{name}>"
            lines += f"\nrId{name} {name} {name}.xml"
    root = ""
    if core:
        made["docProps/core.xml"] = CORE.format(core)
        root = "rId2 core-properties docProps/core.xml"
    return write_package(path, "word/document.xml", {**made, **(parts or {})}, {"": root, "word/document.xml": lines})


def p(text: str, properties: str = "") -> str:
    """A paragraph: XML, or plain text that becomes a run."""
    return (
        f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}{text if text.startswith('<') else r(text)}</w:p>"
    )


def r(text: str, properties: str = "") -> str:
    """A run."""
    return f'<w:r>{f"<w:rPr>{properties}</w:rPr>" if properties else ""}<w:t xml:space="preserve">{text}</w:t></w:r>'


def up(text: str) -> str:
    """A raised run."""
    return r(text, '<w:vertAlign w:val="superscript"/>')


def down(text: str) -> str:
    """A lowered run."""
    return r(text, '<w:vertAlign w:val="subscript"/>')


def write_xlsx(
    path: Path,
    sheets: Mapping[str, str],
    *,
    styles: str = "",
    strings: str = "",
    workbook: str = "",
    states: Mapping[str, str] | None = None,
    parts: Mapping[str, str | bytes] | None = None,
    relations: Mapping[str, str] | None = None,
) -> Path:
    """A workbook.

    Args:
        path: where to.
        sheets: name -> what is in the worksheet's element.
        styles: what is in styles.xml.
        strings: what is in sharedStrings.xml.
        workbook: what is before the list of sheets.
        states: name of a sheet -> hidden or veryHidden.
        parts: more parts.
        relations: of more parts.
    """
    main = f"{OPEN}/spreadsheetml/2006/main"
    names = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}" state="{(states or {}).get(name, "visible")}"/>'
        for number, name in enumerate(sheets, 1)
    )
    made: dict[str, str | bytes] = {
        "xl/workbook.xml": f'<workbook xmlns="{main}" {{ns}}>{workbook}<sheets>{names}</sheets></workbook>'
    }
    lines = ""
    for number, content in enumerate(sheets.values(), 1):
        made[f"xl/worksheets/sheet{number}.xml"] = f'<worksheet xmlns="{main}" {{ns}}>{content}</worksheet>'
        lines += f"\nrId{number} worksheet worksheets/sheet{number}.xml"
    if styles:
        made["xl/styles.xml"] = f'<styleSheet xmlns="{main}">{styles}</styleSheet>'
        lines += "\nrIdS styles styles.xml"
    if strings:
        made["xl/sharedStrings.xml"] = f'<sst xmlns="{main}">{strings}</sst>'
        lines += "\nrIdT sharedStrings sharedStrings.xml"
    return write_package(
        path, "xl/workbook.xml", {**made, **(parts or {})}, {"xl/workbook.xml": lines, **(relations or {})}
    )


def write_pptx(
    path: Path,
    slides: list[str],
    *,
    attributes: Mapping[int, str] | None = None,
    notes: Mapping[int, str] | None = None,
    layout: str = "",
    master: str = "",
    order: list[int] | None = None,
    parts: Mapping[str, str | bytes] | None = None,
    relations: str = "",
) -> Path:
    """A presentation.

    Args:
        path: where to.
        slides: the shapes of each slide.
        attributes: number of a slide, from 1 -> attributes of its element.
        notes: number of a slide -> the shapes of its notes.
        layout: shapes of the layout of all slides.
        master: what follows the shapes of the master in its element.
        order: of the slides, by numbers.
        parts: more parts.
        relations: of the first slide.
    """
    tree = "<p:cSld><p:spTree>{}</p:spTree></p:cSld>"
    numbers = order or list(range(1, len(slides) + 1))
    listed = "".join(f'<p:sldId id="{255 + number}" r:id="rId{number}"/>' for number in numbers)
    made: dict[str, str | bytes] = {
        "ppt/presentation.xml": f"<p:presentation {{ns}}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>",
        "ppt/slideLayouts/l.xml": f"<p:sldLayout {{ns}}>{tree.format(layout)}</p:sldLayout>",
        "ppt/slideMasters/m.xml": f"<p:sldMaster {{ns}}>{tree.format('')}{master}</p:sldMaster>",
    }
    related = {"ppt/presentation.xml": "", "ppt/slideLayouts/l.xml": "rId1 slideMaster ../slideMasters/m.xml"}
    for number, shapes in enumerate(slides, 1):
        more = (attributes or {}).get(number, "")
        made[f"ppt/slides/s{number}.xml"] = f"<p:sld {{ns}} {more}>{tree.format(shapes)}</p:sld>"
        related["ppt/presentation.xml"] += f"\nrId{number} slide slides/s{number}.xml"
        related[f"ppt/slides/s{number}.xml"] = "rId1 slideLayout ../slideLayouts/l.xml"
        if number in (notes or {}):
            made[f"ppt/notesSlides/n{number}.xml"] = f"<p:notes {{ns}}>{tree.format((notes or {})[number])}</p:notes>"
            related[f"ppt/slides/s{number}.xml"] += f"\nrId2 notesSlide ../notesSlides/n{number}.xml"
    related["ppt/slides/s1.xml"] += f"\n{relations}"
    return write_package(path, "ppt/presentation.xml", {**made, **(parts or {})}, related)


def shape(text: str, kind: str = "", at: tuple[int, int, int, int] | None = None, body: str = "") -> str:
    """A shape: its paragraphs (XML, or one of plain text), a placeholder of a kind, left, top, width and height."""
    place = f'<p:ph type="{kind}"/>' if kind else ""
    where = ""
    if at:
        left, top, wide, high = at
        where = f'<a:xfrm><a:off x="{left}" y="{top}"/><a:ext cx="{wide}" cy="{high}"/></a:xfrm>'
    paragraphs = text if text.startswith("<") else ap(text)
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="x"/><p:cNvSpPr/><p:nvPr>{place}</p:nvPr></p:nvSpPr>'
        f"<p:spPr>{where}</p:spPr><p:txBody><a:bodyPr {body}/>{paragraphs}</p:txBody></p:sp>"
    )


def ap(text: str, properties: str = "", level: int = 0) -> str:
    """A paragraph of a shape: runs, or plain text."""
    runs = text if text.startswith("<") else f"<a:r><a:t>{text}</a:t></a:r>"
    return f'<a:p><a:pPr lvl="{level}">{properties}</a:pPr>{runs}</a:p>'
