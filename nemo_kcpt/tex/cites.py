"""Citations as the page shows them, where the list of references is there: [3], [3, p. 5], (Ito et al., 2020).

The list is a `thebibliography` in the document or in its .bbl, or biblatex's .bbl. Without one nobody knows the
numbers: then the keys are in the brackets.
"""

from __future__ import annotations

from nemo_kcpt.tex.labels import Label
from nemo_kcpt.tex.lexer import tokens_of
from nemo_kcpt.tex.works import Work
from nemo_kcpt.tex.write import Handler, Writer

_NUMBER, _LABEL = "\x0e", "\x0f"
"""Marks of an entry and of the end of its label."""


def _cite(writer: Writer, name: str) -> None:
    program, works = writer.program, writer.works
    form = name.rstrip("*").lower()
    first, second = program.option(), program.option()
    before, after = (first, second) if second is not None else (None, first)
    keys = [" ".join(key.split()) for key in program.word().split(",") if key.strip()]
    notes = tuple(writer.text(note) if note else "" for note in (before, after))
    if form in ("nocite",):
        return
    known = [works.known.get(key) for key in keys]
    if form in ("citeauthor", "citeauthors"):
        writer.put(", ".join(_short(writer, work, key) for work, key in zip(known, keys)))
    elif form in ("citeyear", "citeyearpar"):
        text = ", ".join(work.year if work and work.year else f"[{key}]" for work, key in zip(known, keys))
        writer.put(f"({text})" if form == "citeyearpar" else text)
    elif works.by_author:
        writer.put(_by_author(writer, form, keys, known, notes))
    else:
        numbers = ", ".join(_number(work, key) for work, key in zip(known, keys))
        inner = ", ".join(filter(None, (" ".join(filter(None, (notes[0], numbers))), notes[1])))
        names = ", ".join(_short(writer, work, key) for work, key in zip(known, keys)) if form in _TEXTUAL else ""
        with_names = names if names and all(work and work.short for work in known) else ""
        writer.put(f"{f'{with_names} ' if with_names else ''}[{inner}]")


_TEXTUAL = ("citet", "textcite", "citealt", "newcite", "shortcite")


def _number(work: Work | None, key: str) -> str:
    return key if work is None else work.label if work.label and "\\" not in work.label else str(work.number)


def _short(writer: Writer, work: Work | None, key: str) -> str:
    return writer.text(tokens_of(work.short)) if work is not None and work.short else f"[{key}]"


def _by_author(writer: Writer, form: str, keys: list[str], known: list[Work | None], notes: tuple[str, ...]) -> str:
    textual = form in ("citet", "textcite", "newcite", "cite")
    bare = form in ("citealp", "citealt")
    parts = []
    for number, (work, key) in enumerate(zip(known, keys)):
        last = number == len(keys) - 1
        more = f", {notes[1]}" if notes[1] and last else ""
        if work is None or not work.short:
            parts.append(f"[{key}]" + more)
        elif textual:
            parts.append(f"{_short(writer, work, key)} ({f'{notes[0]} ' if notes[0] else ''}{work.year}{more})")
        else:
            parts.append(f"{_short(writer, work, key)}{' ' if form == 'citealt' else ', '}{work.year}{more}")
    if textual:
        return ", ".join(parts)
    text = f"{f'{notes[0]} ' if notes[0] else ''}{'; '.join(parts)}"
    return text if bare else f"({text})"


def _bibliography_environment(writer: Writer, name: str) -> None:
    writer.program.argument()
    text = writer.body(name)
    _heading(writer)
    for entry in text.split(_NUMBER)[1:]:
        label, _, content = entry.partition(_LABEL)
        lines = writer.line(content)
        writer.block(f"{label} {lines}".strip() if lines else "")
    writer.paragraph()


def _heading(writer: Writer) -> None:
    writer.paragraph()
    writer.block("## 参考文献" if writer.state.japanese else "## References")


def _item(writer: Writer, name: str) -> None:
    writer.program.option()
    key = writer.program.word()
    work = writer.works.known.get(key)
    label = "" if work is None or writer.works.by_author else f"[{_number(work, key)}]"
    writer.label = Label(_number(work, key), "")
    writer.put(f"{_NUMBER}{label}{_LABEL}")


def _bibliography(writer: Writer, name: str) -> None:
    """\\bibliography and \\printbibliography: the .bbl beside the document."""
    writer.program.option()
    if name == "bibliography":
        writer.program.argument()
    works = writer.works
    if works.entries:
        _heading(writer)
        for key, text in works.entries:
            label = "" if works.by_author else f"[{_number(works.known[key], key)}] "
            writer.block(f"{label}{writer.text(tokens_of(text))}")
        writer.paragraph()
    elif (lexer := writer.program.opener("bbl", [])) is not None:
        writer.program.include(lexer)


_FORMS = [
    "cite",
    "citet",
    "citep",
    "citealt",
    "citealp",
    "citeauthor",
    "citeyear",
    "citeyearpar",
    "Citet",
    "Citep",
    "Citealt",
    "Citealp",
    "Citeauthor",
    "parencite",
    "textcite",
    "autocite",
    "Parencite",
    "Textcite",
    "Autocite",
    "footcite",
    "supercite",
    "smartcite",
    "fullcite",
    "newcite",
    "shortcite",
    "nocite",
    "citenum",
    "onlinecite",
    "citeyearNP",
    "citealp",
    "citeauthors",
    "fullciteauthor",
]
COMMANDS: dict[str, Handler] = {
    **{f"{form}{star}": _cite for form in _FORMS for star in ("", "*")},
    "bibitem": _item,
    "bibliography": _bibliography,
    "printbibliography": _bibliography,
}
ENVIRONMENTS: dict[str, Handler] = {"thebibliography": _bibliography_environment}
