"""Which of LaTeX's commands and environments mean what; one that is in no table is counted and named."""

from __future__ import annotations

import re

from nemo_kcpt.tex import cites, displays, inline, lists, tables, units
from nemo_kcpt.tex import commands as text
from nemo_kcpt.tex import environments as surroundings
from nemo_kcpt.tex.formulas import formula
from nemo_kcpt.tex.lexer import Token
from nemo_kcpt.tex.write import Handler, Table, Writer


def _drop(specification: str) -> Handler:
    """A command that leaves no trace, with its arguments: s a star, o one in brackets, m one in braces, = a length."""

    def drop(writer: Writer, name: str) -> None:
        for form in specification:
            if form == "s":
                writer.program.star()
            elif form == "o":
                while writer.program.option() is not None:
                    pass
            elif form == "=":
                _drop_length(writer)
            else:
                writer.program.argument()

    return drop


_LENGTH = re.compile(r"=?\s*([-+]?[\d.,]*)\s*(pt|mm|cm|em|ex|in|zw|zh|sp|bp|Q|H|mu|fil+)?")
_LENGTHS = re.compile(r"(?:skip|width|height|sep|indent|size|depth|margin|fill?|ex)$")


def _drop_length(writer: Writer) -> None:
    """A length after a primitive, as in \\vskip 2pt plus 1pt; nothing that could be text."""
    program = writer.program
    program.skip_space()
    token = program.raw()
    if token is None:
        return
    if token.kind == "cmd" and _LENGTHS.search(token.text):
        return
    match = _LENGTH.match(token.text) if token.kind == "text" else None
    if match is None or not (match[1].strip("+-") or match[0] == token.text or match[0].startswith("=")):
        program.push([token])
        return
    if rest := token.text[match.end() :]:
        program.push([Token("text", rest)])
    if not match[2]:  # the unit comes apart, as in 2\\baselineskip or 2 pt
        program.skip_space()
        following = program.raw()
        if following is not None and following.kind == "cmd" and _LENGTHS.search(following.text):
            pass
        elif (
            following is not None
            and following.kind == "text"
            and (unit := re.match("pt|mm|cm|em|ex|in", following.text))
        ):
            if rest := following.text[unit.end() :]:
                program.push([Token("text", rest)])
        elif following is not None:
            program.push([following])
    program.skip_space()
    following = program.raw()
    if following is not None and following.kind == "text" and (word := re.match("plus|minus", following.text)):
        if rest := following.text[word.end() :]:
            program.push([Token("text", rest)])
        _drop_length(writer)
    elif following is not None:
        program.push([following])


def _each(names: str, handler: Handler) -> dict[str, Handler]:
    return dict.fromkeys(names.split(), handler)


COMMANDS: dict[str, Handler] = {
    **{f"{kind}{star}": text.section for kind in text.LEVELS for star in ("", "*")},
    **cites.COMMANDS, **displays.COMMANDS, **lists.COMMANDS, **units.COMMANDS,
    **_each("title subtitle", text.title), "author": text.author, "date": text.date, "keywords": text.keywords,
    "keyword": text.keywords,
    **_each("abstract", text.abstract), "documentclass": text.document_class, "documentstyle": text.document_class,
    "appendix": text.appendix, "appendices": text.appendix, "label": text.label,
    **_each(
        "ref ref* eqref autoref autoref* cref Cref cref* Cref* vref Vref pageref pageref* nameref "
        "nameref* labelcref subref subref* Autoref", text.reference),
    "hyperref": text.hyperref,
    **_each("footnote footnotemark footnotetext", text.footnote),
    **_each("caption caption* captionof captionof*", text.caption), **_each("subcaption", text.sub_caption),
    **_each(
        "textbf textit emph texttt textsf textrm textsc textsl textup textmd textnormal underline uline "
        "uwave text mbox hbox textgt textmc textlatin textcal mathrm mathbf mathit hl textbfit textquote "
        "foreignquote textlf mathsf mathtt bm boldsymbol alert structure uppercase lowercase "
        "MakeUppercase MakeLowercase capitalisewords smash vcenter centerline leftline rightline llap "
        "rlap", inline.content),
    **_each("textcolor colorbox foreignlanguage textlang hyperlink hypertarget "
            " textcolor* ", inline.second),
    "texorpdfstring": inline.first,
    **_each("fbox framebox makebox parbox raisebox adjustbox resizebox resizebox* scalebox rotatebox ", inline.box),
    **_each("textsuperscript textsubscript textsu", inline.script), **_each("sout st xout", inline.struck),
    **_each("ruby kana jruby truby aruby ", inline.ruby),
    **_each("\\ newline tabularnewline cr", inline.line_end), **_each("par bigskip medskip smallskip newpage clearpage "
            "cleardoublepage maketitle endgraf", inline.paragraph),
    "ensuremath": inline.ensure_math,
    "(": inline.parenthesis,
    **_each("url path nolinkurl", inline.url),
    "href": inline.href,
    **_each("newtheorem newtheorem*", inline.theorem), "newcolumntype": inline.column_type,
    **_each("includegraphics includesvg includepdf epsfig psfig", inline.graphics), "today": inline.today,
    **_each("frametitle framesubtitle", inline.frame_title), "ce": inline.chemistry,
    **_each(

        "centering raggedright raggedleft noindent indent sloppy small footnotesize scriptsize tiny "
        "normalsize large Large LARGE huge Huge bf it rm sf tt sl sc em bfseries itshape rmfamily "
        "sffamily ttfamily mdseries scshape upshape slshape normalfont gtfamily mcfamily hline "
        "tableofcontents listoffigures listoftables printindex allowbreak nobreak displaystyle protect "
        "null strut hfill vfill hfil hss vss flushbottom raggedbottom onecolumn mainmatter backmatter "
        "boldmath unboldmath nonumber notag qed qedhere bmod pause onehalfspacing doublespacing "
        "singlespacing makeindex hrulefill dotfill balance FloatBarrier justifying columnbreak bottomrule "
        "toprule midrule @ fussy ttdefault peerreviewmaketitle IEEEpeerreviewmaketitle newblock and "
        "frenchspacing nonfrenchspacing appendixpage arraybackslash phantomsection selectfont "
        "cleartooddpage smallbreak medbreak bigbreak goodbreak filbreak break endfirsthead endhead "
        "endfoot endlastfoot singlespace normalem ttfamily", _drop("")),
    **_each("vspace vspace* hspace* pagestyle thispagestyle pagenumbering bibliographystyle color pagecolor "
            "fontfamily fontseries fontshape usetheme usecolortheme usetikzlibrary graphicspath hyphenation "
            "index glossary markright nocite phantom hphantom vphantom "
            " geometry hypersetup lstset tikzset pgfplotsset "
            "cline setstretch linespread orcid corref "
            " includeonly newlength newsavebox arraycolor DeclareGraphicsExtensions "
            " bibliographyfont urlstyle theoremstyle newwrite enlargethispage "
            "setcitestyle captionsetup* tagpdfsetup  "
            " ", _drop("m")),
    "hspace": inline.space,
    **_each(
        "setlength addtolength settowidth markboth PassOptionsToPackage fontsize "
        "addtocontents hyperdef pdfbookmark DeclareUnicodeCharacter setbeamertemplate", _drop("omm")),
    **_each("addcontentsline definecolor titlespacing DeclarePairedDelimiter", _drop("mmm")),
    **_each(
        "todo marginpar setmainfont setsansfont setmonofont setmainjfont setCJKmainfont captionsetup "
        "setlist pagebreak columncolor rowcolor cellcolor addbibresource ExecuteBibliographyOptions", _drop("om")),
    **_each("linebreak nopagebreak allowdisplaybreaks twocolumn", _drop("o")),
    **_each(
        "vskip hskip kern baselineskip parindent parskip textwidth textheight oddsidemargin "
        "evensidemargin topmargin columnsep itemsep parsep topsep tabcolsep arraycolsep abovecaptionskip "
        "belowcaptionskip hsize vsize headheight headsep footskip leftmargin rightmargin lineskip jot "
        "fboxsep fboxrule hoffset voffset arrayrulewidth abovedisplayskip belowdisplayskip textfloatsep "
        "floatsep intextsep dbltextfloatsep parfillskip hangindent penalty hangafter tolerance "
        "emergencystretch hyphenpenalty widowpenalty clubpenalty", _drop("=")),
    **_each("AtBeginDocument AtEndDocument", inline.content), "refstepcounter": text.step_and_mark,
    "rule": _drop("omm"), "thanks": text.thanks, "titleformat": _drop("smommmmo"),
    "DeclarePairedDelimiter": _drop("mmm"), "bibpunct": _drop("ommmmmm"), "crefname": _drop("mmm"),
    "Crefname": _drop("mmm"), "colorlet": _drop("mm"), "line": _drop(""),
    "affiliation": _drop("om"), "affil": _drop("om"), "address": _drop("om"), "email": _drop("om"),
    "institute": _drop("om"),
    "IEEEauthorblockN": inline.content, "IEEEauthorblockA": _drop("m"), "orcidID": _drop("m"), "inst": _drop("m"),
    "authorrunning": _drop("m"), "titlerunning": _drop("m"), "cortext": _drop("om"), "fntext": _drop("om"),
    "icmlkeywords": text.keywords, "altaffiliation": _drop("om"), "affiliationmark": _drop("m"), "eauthor": _drop("m"),
    "acknowledgments": inline.acknowledgements,
    "acknowledgements": inline.acknowledgements,
    **tables.COMMANDS,
}  # fmt: skip
"""Command -> what it means."""

ENVIRONMENTS: dict[str, Handler] = {
    **surroundings.ENVIRONMENTS,
    **cites.ENVIRONMENTS,
    **displays.ENVIRONMENTS,
    **lists.ENVIRONMENTS,
    **tables.ENVIRONMENTS,
    "abstract": text.abstract_environment,
    "document": text.document,
}
"""Environment -> what it means."""
TABLE = Table(COMMANDS, ENVIRONMENTS, formula)
KEPT = frozenset(
    [
        *(f"{kind}{star}" for kind in text.LEVELS for star in ("", "*")),
        *(
            "begin",
            "end",
            "documentclass",
            "title",
            "author",
            "maketitle",
            "appendix",
            "label",
            "ref",
            "eqref",
            "autoref",
        ),
        *(
            "cref",
            "Cref",
            "footnote",
            "footnotemark",
            "footnotetext",
            "caption",
            "item",
            "par",
            "\\",
            "[",
            "(",
            "]",
            ")",
        ),
        *("multicolumn", "multirow", "ensuremath", "includegraphics", "hline"),
        *cites.COMMANDS,
        *(f"begin{name}" for name in ENVIRONMENTS if name not in ("theorem", "proof", "summary", "letter")),
    ]
)
"""What a document cannot redefine, since the program knows what it is for; of all else a document's own meaning
counts."""
