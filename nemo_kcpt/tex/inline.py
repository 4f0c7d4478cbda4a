"""What LaTeX's commands within a line mean: fonts, boxes, raised text, addresses, formulas in parentheses."""

from __future__ import annotations

from nemo_kcpt.cleaning.marks import write_lowered, write_raised
from nemo_kcpt.tex.formulas import expanded_math, inline_formula, math
from nemo_kcpt.tex.lexer import tokens_of, written
from nemo_kcpt.tex.write import LINE, Writer
from nemo_kcpt.text.chemistry import formula_of


def content(writer: Writer, name: str) -> None:
    """A command that only changes how its argument looks."""
    writer.put(writer.render(writer.program.argument()))


def second(writer: Writer, name: str) -> None:
    """A command of which the last of two arguments is text."""
    writer.program.option()
    writer.program.argument()
    writer.put(writer.render(writer.program.argument()))


def first(writer: Writer, name: str) -> None:
    """A command of which the first of two arguments is text."""
    tokens = writer.program.argument()
    writer.program.argument()
    writer.put(writer.render(tokens))


def box(writer: Writer, name: str) -> None:
    """A box: its content."""
    while writer.program.option() is not None or writer.program.option("(", ")") is not None:
        pass
    if name in ("parbox", "minipage", "raisebox", "adjustbox", "resizebox", "resizebox*", "scalebox", "rotatebox"):
        writer.program.argument()
        while writer.program.option() is not None:
            pass
    if name.startswith("resizebox"):
        writer.program.argument()
    writer.put(writer.render(writer.program.argument()))


def script(writer: Writer, name: str) -> None:
    """Raised or lowered text."""
    text = writer.text(writer.program.argument())
    writer.put(write_lowered(text) if name == "textsubscript" else write_raised(text, writer.before()))


def struck(writer: Writer, name: str) -> None:
    """Text that is struck through."""
    text = writer.text(writer.program.argument())
    writer.put(f"~~{text}~~" if text else "")


def ruby(writer: Writer, name: str) -> None:
    """Kanji with their reading, which goes as in HTML."""
    writer.program.option()
    text = writer.text(writer.program.argument())
    writer.program.argument()
    writer.put(text.replace("|", ""))


def line_end(writer: Writer, name: str) -> None:
    """The end of a line."""
    writer.program.star()
    writer.program.option()
    writer.put(LINE)


def paragraph(writer: Writer, name: str) -> None:
    """The end of a paragraph."""
    writer.paragraph()


def ensure_math(writer: Writer, name: str) -> None:
    """A formula, whatever stands around it."""
    inline_formula(writer, written(expanded_math(writer, writer.program.argument())))


def parenthesis(writer: Writer, name: str) -> None:
    """A formula between \\( and \\)."""
    inline_formula(writer, math(writer, ")"))


def url(writer: Writer, name: str) -> None:
    """An address, as it is written."""
    writer.put(_taken(writer))


def _taken(writer: Writer) -> str:
    tokens = writer.program.argument()
    return (
        "".join(token.text for token in tokens)
        .replace(r"\%", "%")
        .replace(r"\#", "#")
        .replace(r"\_", "_")
        .replace("\\&", "&")
    )


def href(writer: Writer, name: str) -> None:
    """A link: its text."""
    writer.program.option()
    writer.program.argument()
    writer.put(writer.render(writer.program.argument()))


def theorem(writer: Writer, name: str) -> None:
    """A kind of theorem that the document declares."""
    program = writer.program
    environment = program.word()
    shared = program.option()
    title = writer.text(program.argument())
    within = program.option()
    counter = written(shared).strip() if shared is not None else environment
    if name.endswith("*"):
        counter = ""
    elif shared is None:
        numbered = rf"\numberwithin{{{environment}}}{{{written(within)}}}" if within else ""
        program.push(tokens_of(rf"\newcounter{{{environment}}}{numbered}"))
    writer.state.theorems[environment] = (title, counter)


def column_type(writer: Writer, name: str) -> None:
    """A type of columns that the document declares."""
    letter = writer.program.word()
    number = written(writer.program.option() or ()).strip()
    writer.program.argument()
    writer.state.columns[letter] = int(number) if number.isdigit() else 0


def graphics(writer: Writer, name: str) -> None:
    """A picture, which is no text."""
    writer.program.star()
    writer.program.option()
    writer.program.argument()
    writer.state.pictures += 1


def today(writer: Writer, name: str) -> None:
    """The day of typesetting, which nobody knows here."""


def frame_title(writer: Writer, name: str) -> None:
    """The title of a slide."""
    text = writer.text(writer.program.argument())
    writer.paragraph()
    writer.block(f"### {text}" if text else "")


def space(writer: Writer, name: str) -> None:
    """White space within a line."""
    writer.program.argument()
    writer.put(" ")


def acknowledgements(writer: Writer, name: str) -> None:
    """The heading of acknowledgements."""
    writer.paragraph()
    writer.block("## Acknowledgements")


def chemistry(writer: Writer, name: str) -> None:
    """A formula of mhchem."""
    writer.put(formula_of(written(writer.program.argument())))


def subject(writer: Writer, name: str) -> None:
    """A name that LaTeX gives a part of a document."""
    writer.put({"abstractname": "Abstract", "refname": "References", "bibname": "Bibliography"}.get(name, ""))
