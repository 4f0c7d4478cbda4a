"""The content as HTML, LaTeX and JATS."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from .content import Block, Document, Piece


def html(document: Document, path: Path) -> None:
    """Write a page with navigation, a footer, ruby, tables, notes at its end and formulas as MathML."""
    notes: list[str] = []
    body = _joined_items("".join(_html_block(block, notes) for block in document.blocks), "ul", "li")
    listed = "".join(
        f'<li id="fn{number}" role="doc-endnote"><p>{escape(note)}</p></li>' for number, note in enumerate(notes, 1)
    )
    path.write_text(
        f'<!DOCTYPE html>\n<html lang="{document.language}"><head><meta charset="utf-8">'
        f"<title>{escape(document.header)}</title><style>main {{ columns: 2 }}</style></head><body>"
        f'<nav><a href="#">{"目次" if document.language == "ja" else "Contents"}</a> <a href="#">1</a></nav>'
        f'<main><article>{body}<section role="doc-endnotes"><ol>{listed}</ol></section></article></main>'
        f"<footer>{escape(document.footer)}</footer></body></html>\n",
        encoding="utf-8",
    )


def _html_block(block: Block, notes: list[str]) -> str:
    if block.rows:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in block.rows[0])
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in block.rows[1:])
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>\n"
    tag = {"title": "h1", "heading": "h2", "item": "li"}.get(block.kind, "p")
    return f"<{tag}>{''.join(_html_piece(piece, notes) for piece in block.pieces)}</{tag}>\n"


def _html_piece(piece: Piece, notes: list[str]) -> str:
    if piece.style in ("sup", "sub"):
        return f"<{piece.style}>{escape(piece.text)}</{piece.style}>"
    if piece.style == "ruby":
        return f"<ruby>{escape(piece.text)}<rp>（</rp><rt>{escape(piece.more)}</rt><rp>）</rp></ruby>"
    if piece.style == "note":
        notes.append(piece.more)
        return f'<sup><a href="#fn{len(notes)}" role="doc-noteref">{len(notes)}</a></sup>'
    if piece.style == "formula":
        return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{_mathml(piece.text)}</math>'
    return escape(piece.text)


def _mathml(tex: str) -> str:
    """Presentation MathML, with the TeX beside it as editors put it there."""
    row: list[str] = []
    for token in re.findall(r"\^\{[^}]*\}|\d[\d.]*|\w|[^\s\w]", tex):
        if token.startswith("^"):
            row[-1] = f"<msup>{row[-1]}<mn>{token[2:-1]}</mn></msup>"
        else:
            tag = "mn" if token[0].isdigit() else "mi" if token.isalpha() else "mo"
            row.append(f"<{tag}>{token}</{tag}>")
    note = f'<annotation encoding="application/x-tex">{escape(tex)}</annotation>'
    return f"<semantics><mrow>{''.join(row)}</mrow>{note}</semantics>"


def _joined_items(text: str, outer: str, item: str) -> str:
    """Runs of list items in a list."""
    run = re.compile(f"(?:<{item}>.*?</{item}>\n?)+", re.S)
    return run.sub(lambda match: f"<{outer}>{match[0]}</{outer}>\n", text)


_ESCAPED = str.maketrans({sign: f"\\{sign}" for sign in "%#&_$"})


_HEADS = {
    "lualatex": "\\documentclass[twocolumn]{ltjsarticle}\n\\usepackage{luatexja-ruby}\n",
    "uplatex": "\\documentclass[uplatex,dvipdfmx,twocolumn]{jsarticle}\n\\usepackage{okumacro}\n",
    "uplatex, vertical": "\\documentclass[dvipdfmx]{utarticle}\n\\usepackage{okumacro}\n",
}
"""Engine -> the head of an article."""


def tex(document: Document, path: Path, engine: str = "lualatex") -> None:
    """Write an article, in two columns unless it is vertical."""
    lines = []
    for block in document.blocks:
        text = "".join(map(_tex_piece, block.pieces))
        if block.rows:
            rows = " \\\\\n".join(" & ".join(cell.translate(_ESCAPED) for cell in row) for row in block.rows)
            lines.append(f"\\begin{{tabular}}{{lrrl}}\n\\hline\n{rows} \\\\\n\\hline\n\\end{{tabular}}")
        elif block.kind == "title":
            lines.append(f"\\title{{{text}}}\n\\maketitle")
        elif block.kind == "heading":
            lines.append(f"\\section*{{{text}}}")  # it has its number
        elif block.kind == "item":
            lines.append(f"\\begin{{itemize}}\n\\item {text}\n\\end{{itemize}}")
        elif block.kind == "formula":
            lines.append(f"\\begin{{equation}}\n{block.pieces[0].text}\n\\end{{equation}}")
        else:
            lines.append(text)
    body = "\n\n".join(lines).replace("\\end{itemize}\n\n\\begin{itemize}\n", "")
    path.write_text(f"{_HEADS[engine]}\\begin{{document}}\n{body}\n\\end{{document}}\n", encoding="utf-8")


def _tex_piece(piece: Piece) -> str:
    text = piece.text.translate(_ESCAPED)
    if piece.style in ("sup", "sub"):
        return f"${'^' if piece.style == 'sup' else '_'}{{{text}}}$"
    if piece.style == "ruby":
        return f"\\ruby{{{text}}}{{{piece.more}}}"
    if piece.style == "note":
        return f"\\footnote{{{piece.more.translate(_ESCAPED)}}}"
    return text


def jats(document: Document, path: Path) -> None:
    """Write a JATS article: sections, tables, notes, formulas with TeX."""
    notes: list[str] = []
    title, *blocks = document.blocks
    body, is_open = "", False
    for block in blocks:
        if block.kind == "heading":
            body += "</sec>" * is_open + f"<sec><title>{escape(block.pieces[0].text)}</title>"
            is_open = True
        else:
            body += _jats_block(block, notes)
    body = _joined_items(body + "</sec>" * is_open, 'list list-type="bullet"', "list-item")
    body = body.replace('</list list-type="bullet">', "</list>")
    listed = "".join(f'<fn id="fn{number}"><p>{escape(note)}</p></fn>' for number, note in enumerate(notes, 1))
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) Journal Archiving '
        'and Interchange DTD v1.2 20190208//EN" "JATS-archivearticle1.dtd">\n'
        '<article xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'xml:lang="{document.language}"><front><article-meta><title-group><article-title>'
        f"{escape(title.pieces[0].text)}</article-title></title-group></article-meta></front>"
        f"<body>{body}</body><back><fn-group>{listed}</fn-group></back></article>\n",
        encoding="utf-8",
    )


def _jats_block(block: Block, notes: list[str]) -> str:
    if block.rows:
        tags = ["th", *["td"] * (len(block.rows) - 1)]
        rows = [
            f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>"
            for tag, row in zip(tags, block.rows)
        ]
        table = f"<table><thead>{rows[0]}</thead><tbody>{''.join(rows[1:])}</tbody></table>"
        return f"<table-wrap>{table}</table-wrap>\n"
    if block.kind == "formula":
        return f"<disp-formula><tex-math>{escape(block.pieces[0].text)}</tex-math></disp-formula>\n"
    text = f"<p>{''.join(_jats_piece(piece, notes) for piece in block.pieces)}</p>"
    return f"<list-item>{text}</list-item>\n" if block.kind == "item" else f"{text}\n"


def _jats_piece(piece: Piece, notes: list[str]) -> str:
    if piece.style in ("sup", "sub"):
        return f"<{piece.style}>{escape(piece.text)}</{piece.style}>"
    if piece.style == "ruby":
        return f"<ruby><rb>{escape(piece.text)}</rb><rt>{escape(piece.more)}</rt></ruby>"
    if piece.style == "note":
        notes.append(piece.more)
        return f'<xref ref-type="fn" rid="fn{len(notes)}"><sup>{len(notes)}</sup></xref>'
    return escape(piece.text)
