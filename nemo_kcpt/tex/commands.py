"""What LaTeX's commands for text mean: sections, notes, captions, references, fonts, and what leaves no trace."""

from __future__ import annotations

import re

from nemo_kcpt.tex.labels import Label, kind_name
from nemo_kcpt.tex.lexer import Token, tokens_of, written
from nemo_kcpt.tex.macros import Macro
from nemo_kcpt.tex.write import Writer

LEVELS = {
    "part": -1,
    "chapter": 0,
    "section": 1,
    "subsection": 2,
    "subsubsection": 3,
    "paragraph": 4,
    "subparagraph": 5,
}
_NUMBERED = 3
"""The deepest level that LaTeX numbers by itself."""
_THANKS = re.compile(r"\[\^[^\]]*\]")


def section(writer: Writer, name: str) -> None:
    """A heading, with the number that the page shows."""
    star, kind = name.endswith("*"), name.rstrip("*")
    program, state = writer.program, writer.state
    program.option()
    title = program.argument()
    level = LEVELS[kind]
    number = ""
    if not star and level <= _NUMBERED + (0 if not state.chapters else -1) and "frontmatter" not in state.fields:
        program.step(kind)
        number = writer.text(tokens_of(f"\\the{kind}"))
    text = writer.text(title)
    writer.label = Label(number, "section" if level > 0 else kind, _THANKS.sub("", text))
    if number and kind in ("chapter", "part") and state.japanese and number.isdigit():
        number = f"第{number}{'章' if kind == 'chapter' else '部'}"
    signs = min(max(level + (2 if state.chapters else 1), 2), 6)
    writer.paragraph()
    writer.block(f"{'#' * signs} {f'{number} ' if number else ''}{text}" if text else "")
    writer.paragraph()


def appendix(writer: Writer, name: str) -> None:
    """Sections are counted by letters from here on."""
    top = "chapter" if writer.state.chapters else "section"
    writer.program.counters[top] = writer.program.counters["subsection"] = 0
    writer.program.define(f"the{top}", Macro(tokens_of(f"\\Alph{{{top}}}")), everywhere=True)


def title(writer: Writer, name: str) -> None:
    """The title, without its notes."""
    writer.program.option()
    writer.state.fields[name] = _without_notes(writer, writer.program.argument())


def author(writer: Writer, name: str) -> None:
    """The authors' names."""
    writer.program.option()
    text = writer.render(_names(writer.program.argument()))
    writer.state.notes.clear()
    people = re.split(r"\s*(?:\x06|;)\s*", _THANKS.sub("", text))
    authors = [writer.line(re.split("[\x01\x02]", person.strip("\x01\x02 \n"))[0]) for person in people]
    known = writer.state.fields.get("author", "")
    writer.state.fields["author"] = "; ".join(filter(None, [known, *(person.strip(" ,") for person in authors)]))


def _names(tokens: list[Token]) -> list[Token]:
    """The tokens of \\author with \\and as a mark of its own."""
    return [
        Token("raw", "\x06") if token.kind == "cmd" and token.text in ("and", "And", "AND") else token
        for token in tokens
    ]


def _without_notes(writer: Writer, tokens: list[Token]) -> str:
    """What a title says; its notes are no part of it."""
    text = writer.text(tokens)
    writer.state.notes.clear()
    return _THANKS.sub("", text).strip()


def date(writer: Writer, name: str) -> None:
    """The date, unless it is that of typesetting."""
    tokens = writer.program.argument()
    if not any(token.text == "today" for token in tokens):
        writer.state.fields["date"] = writer.text(tokens)


def thanks(writer: Writer, name: str) -> None:
    """A note of the title: a field."""
    known = writer.state.fields.get("thanks", "")
    writer.state.fields["thanks"] = "; ".join(filter(None, [known, writer.text(writer.program.argument())]))


def keywords(writer: Writer, name: str) -> None:
    """Keywords: a field."""
    writer.state.fields["keywords"] = writer.text(writer.program.argument())


def abstract(writer: Writer, name: str) -> None:
    """An abstract that is an argument."""
    _write_abstract(writer, writer.render(writer.program.argument()))


def abstract_environment(writer: Writer, name: str) -> None:
    """An abstract."""
    writer.program.option()
    _write_abstract(writer, writer.body(name))


def _write_abstract(writer: Writer, text: str) -> None:
    paragraphs = writer.paragraphs(text)
    if not paragraphs:
        return
    own = writer.state.fields.get("abstract")
    writer.state.fields.setdefault("abstract", "\n\n".join(paragraphs))
    writer.paragraph()
    writer.block("## 概要" if writer.state.japanese and own is None else "## Abstract")
    writer.put(text)
    writer.paragraph()


def document(writer: Writer, name: str) -> None:
    """The document itself."""
    if writer.depth == 0:  # what was written in the preamble is no text
        writer.out.clear()
        writer.begun = True
        writer.state.notes.clear()
        writer.state.unknown.clear()
        writer.run(name)


def document_class(writer: Writer, name: str) -> None:
    """The class: how sections and the rest are counted, and whether the document is Japanese."""
    options = written(writer.program.option() or ())
    kind = writer.program.word()
    state, program = writer.state, writer.program
    state.japanese = (
        state.japanese
        or bool(
            re.match(r"[juptl]{0,3}s?(?:js|lt?js|ujs)?(?:j|tj|uj|utj|ltj|uplatex)?(?:article|report|book)$", kind)
            and kind not in ("article", "report", "book", "larticle")
        )
        or kind
        in ("jlreq", "ipsj", "jnlp", "jarticle", "jsarticle", "bxjsarticle", "ltjsarticle", "ltjarticle", "tarticle")
    )
    state.chapters = bool(
        re.search(r"book|report|memoir|thesis", kind)
        or (("report" in options or "book" in options) and kind == "jlreq")
    )
    chapter = r"\thechapter." if state.chapters else ""
    formats = {"part": r"\Roman{part}", "chapter": r"\arabic{chapter}", "section": rf"{chapter}\arabic{{section}}"}
    if re.match(r"IEEEtran|revtex|IEEEconf", kind):
        formats["section"] = r"\Roman{section}"
        formats["subsection"] = r"\thesection-\Alph{subsection}"
    program.within.update(
        chapter=["section"],
        section=["subsection"],
        subsection=["subsubsection"],
        subsubsection=["paragraph"],
        paragraph=["subparagraph"],
    )
    outer = "section"
    for inner in ("subsection", "subsubsection", "paragraph", "subparagraph"):
        formats.setdefault(inner, rf"\the{outer}.\arabic{{{inner}}}")
        outer = inner
    for counter in ("equation", "figure", "table", "footnote", "algorithm", "lstlisting", "listing"):
        inside = chapter if counter in ("equation", "figure", "table") else ""
        formats[counter] = rf"{inside}\arabic{{{counter}}}"
        if state.chapters:
            program.within["chapter"].append(counter)
    for counter, tex in formats.items():
        program.define(f"the{counter}", Macro(tokens_of(tex)), everywhere=True)


def label(writer: Writer, name: str) -> None:
    """A label for what was numbered last."""
    writer.state.labels.mark(writer.program.word(), writer.label)


def reference(writer: Writer, name: str) -> None:
    """A reference to a label."""
    form = name.rstrip("*").removesuffix("range")
    names = writer.program.word().split(",") if form != "hyperref" else [written(writer.program.option() or ())]
    form = {"vref": "ref", "Vref": "ref", "Autoref": "Cref", "labelcref": "ref", "pageref": "page"}.get(form, form)
    if form in ("cref", "Cref") and len(names) > 1:  # the kind once
        first = writer.state.labels.reference(form, names[0])
        rest = [writer.state.labels.reference("ref", key) for key in names[1:]]
        writer.put(", ".join([first, *rest[:-1]]) + f" and {rest[-1]}")
    else:
        writer.put(", ".join(writer.state.labels.reference(form, key) for key in names))


def hyperref(writer: Writer, name: str) -> None:
    """A link within the document: its text."""
    if writer.program.option() is None:
        for _ in range(3):
            writer.program.argument()
    writer.put(writer.render(writer.program.argument()))


def footnote(writer: Writer, name: str) -> None:
    """A footnote: its mark, and itself behind the paragraph."""
    program = writer.program
    given = program.option()
    content = program.argument() if name != "footnotemark" else []
    if name != "footnotetext" and given is None:
        program.step("footnote")
    mark = written(given) if given is not None else writer.text(tokens_of(r"\thefootnote"))
    if name != "footnotetext":
        writer.put(f"[^{mark}]")
    if name != "footnotemark":
        note = writer.line(writer.render(content))
        if note:
            writer.state.notes.append(f"[^{mark}]: {note}")


def caption(writer: Writer, name: str) -> None:
    """A caption, with the number of its figure or table."""
    program, state = writer.program, writer.state
    kind = state.float or "figure"
    if name == "captionof" or name == "captionof*":
        kind = program.word()
    program.option()
    content = program.argument()
    number = ""
    if not name.endswith("*"):
        program.step(kind)
        number = (
            writer.text(tokens_of(f"\\the{kind}")) if f"the{kind}" in program.macros else str(program.counters[kind])
        )
    text = writer.render(content)
    writer.label = Label(number, kind, writer.line(text))
    names = {"figure": "図", "table": "表"} if state.japanese else {}
    title = names.get(kind, kind_name(kind, "Cref", False))
    writer.paragraph()
    writer.put((f"{title}{number} " if kind in names else f"{title} {number}: ") if number else "")
    writer.put(text)
    writer.paragraph()


def sub_caption(writer: Writer, name: str) -> None:
    """A caption of a part, with its letter."""
    writer.program.step("subfigure")
    letter = chr(96 + min(writer.program.counters["subfigure"], 26))
    writer.program.option()
    text = writer.render(writer.program.argument())
    parent = writer.program.counters[writer.state.float or "figure"]
    writer.label = Label(f"{parent + (name != 'done')}{letter}", writer.state.float or "figure")
    writer.paragraph()
    writer.put(f"({letter}) {text}")
    writer.paragraph()


def step_and_mark(writer: Writer, name: str) -> None:
    """A counter that goes up, and that a label may mark."""
    counter = writer.program.word()
    writer.program.step(counter)
    writer.label = Label(writer.text(tokens_of(f"\\the{counter}")), counter)
