r"""Backslashes in a model's JSON: which of them are escapes, and which are TeX's or a Windows path's.

A model that writes `"\frac{1}{2}\beta"` or `"C:\new"` means the backslash, and JSON reads form feed, backspace and line
feed. What tells them apart is the word after the backslash: `\nabla` would be a line break before "abla", which is no
word, and TeX has that command; `\nNext` is none of TeX's. Where both readings make sense (`\nu` may be a line break
before a variable u) the rest of the reply decides: formulas, and how the writer treats other backslashes. What stays
open is named, so that the reply can be asked for again; nothing is guessed.

Quotation marks are never touched, so strings begin and end where JSON says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TEX = _words(
    """
    Bbb Bumpeq Finv backepsilon backprime backsim backsimeq backslash bar barwedge bb bbox because begin beta beth
    between bf bfseries bgroup bibitem bibliography bibliographystyle big bigcap bigcirc bigcup bigg biggl biggm
    biggr bigl bigm bigodot bigoplus bigotimes bigr bigskip bigsqcup bigstar bigtriangledown bigtriangleup
    biguplus bigvee bigwedge binom blacklozenge blacksquare blacktriangle blacktriangleleft blacktriangleright bm
    bmod boldmath boldsymbol bot bottomrule bowtie box boxdot boxed boxminus boxplus boxtimes bra brace brack
    braket breve bullet bumpeq fallingdotseq fbox fboxsep fcolorbox figurename fint flat flushleft flushright
    fontfamily fontsize footnote footnotemark footnotesize footnotetext forall foreach frac fracwithdelims frak
    framebox frontmatter frown nabla natural ncong ne nearrow neg negmedspace negthickspace negthinspace neq
    nequiv newcommand newenvironment newlength newline newpage newtheorem nexists ngeq ngeqq ngeqslant ngtr ni
    nicefrac nLeftarrow nleftarrow nLeftrightarrow nleftrightarrow nleq nleqq nleqslant nless nmid nobreak nocite
    noexpand noindent nolimits nolinebreak nonumber nopagebreak norm normalfont normalsize not notag notin
    nparallel nprec npreceq nRightarrow nrightarrow nshortmid nshortparallel nsim nsubset nsubseteq nsubseteqq
    nsucc nsucceq nsupset nsupseteq nsupseteqq ntriangleleft ntrianglelefteq ntriangleright ntrianglerighteq nu
    num numberwithin nVDash nVdash nvDash nvdash nwarrow raggedleft raggedright raise raisebox rangle rank rbrace
    rbrack rceil real ref refname relax renewcommand restriction rfloor rgroup rhd rho right rightangle rightarrow
    rightarrowtail rightharpoondown rightharpoonup rightleftarrows rightleftharpoons rightrightarrows
    rightsquigarrow rightthreetimes risingdotseq rlap rm rmfamily rmoustache root rotatebox rowcolor rtimes rule
    rVert rvert tabcolsep tableofcontents tabularnewline tag tan tanh tau tbinom tensor text textasciitilde
    textbackslash textbf textbullet textcircled textcolor textdegree textgreater textheight textit textless textmd
    textmu textnormal textregistered textrm textsc textsf textsl textstyle textsubscript textsuperscript
    texttrademark texttt textunderscore textup textwidth tfrac tg thanks theorem therefore theta thetasym
    thickapprox thicksim thickspace thinspace thispagestyle tilde times tiny title to today top toprule tr trace
    triangle triangledown triangleleft trianglelefteq triangleq triangleright trianglerighteq tt ttfamily
    twoheadleftarrow twoheadrightarrow
    """
)
"""Commands of TeX, LaTeX and AMS that begin with a letter which JSON reads as an escape. A few are left out: what
follows their first letter is a word far more often ("able", "he")."""
WORDS = _words(
    """
    ne neg nexists ni nless nmid nparallel nprec nsim nsubset nsucc nu num tan tg to top tr trace tt
    """
)
"""Those of them that may as well be a line break or tab before a word or a variable: "e", "u", "less", "an"."""
FOLDERS = _words(
    """
    names net network new news node nodes notebooks notes nvidia raw readme release repo reports repos res
    resources results root run runs tables target tasks temp templates test tests tex text texts themes tmp tokens
    tools train training tutorial
    """
)
"""Names of folders and files that stand alone after a drive."""
COMMON = _words(
    """
    a an and are as at but by for from he i if in is it next no of on one or she so that the then there they this
    to we what when where which who why with you
    """
)
"""English words before which a line may break, even after a path."""

_RUN = re.compile(r"(\\+)(u[0-9a-fA-F]{4}|u\{[^{}\"\\]{0,20}\}|[\s\S]?)")
_LETTERS = re.compile(r"[A-Za-z]+")
_INVALID = re.compile(r"(?<!\\)(?:\\\\)*\\(?:[^\"\\/bfnrtu'\s]|u(?![0-9a-fA-F]{4}|\{))")
"""A backslash that is no escape of JSON, so that whoever wrote it does not escape backslashes."""
_DOUBLED = re.compile(r"(?<!\\)\\\\[A-Za-z]")
"""One that was escaped as JSON wants it."""
_INLINE = re.compile(r"(?<![\\$])\$(?![\s$])[^$\"]*?(?<![\s\\])\$(?![\d$])|\\{1,2}\([^\"]*?\\{1,2}\)")
_DISPLAY = re.compile(r"(?<![\\$])\$\$[^$\"]+\$\$|\\{1,2}\[[^\"]*?\\{1,2}\]")
_SEGMENT = r"[^\\/:*?\"<>|\s,;、。，；「」（）()]+"
_PARTS = rf"(?:\\(?!\\)(?:{_SEGMENT}(?: {_SEGMENT}){{0,3}}(?=\\)|{_SEGMENT})?)+"
_PATH = re.compile(
    rf"(?:(?<![A-Za-z0-9])(?P<drive>[A-Za-z]:|%\w+%|~)|(?<![^\s\"「（(])(?P<dots>\.{{1,2}})"
    r"|(?<=[\s\"「（(])(?P<host>\\\\(?:server|nas|localhost|fileserver|[\w-]*[\d.A-Z-][\w.-]*)(?=\\(?!u[0-9a-fA-F]{4})[^\\\"/])))"
    rf"(?P<parts>{_PARTS})"
)
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,5}$")


@dataclass(frozen=True)
class Backslashes:
    """JSON text whose backslashes are what was meant."""

    text: str
    repaired: int = 0
    """Backslashes that were no escapes."""
    doubtful: tuple[str, ...] = ()
    """Escapes that can be read in two ways, as they are written; they are left."""


def meant(text: str) -> Backslashes:
    """The text with each backslash that was meant as one written twice, as JSON wants it."""
    if "\\" not in text:
        return Backslashes(text)
    reader = _Reader(text)
    return Backslashes("".join(reader.pieces()), reader.repaired, tuple(dict.fromkeys(reader.doubtful)))


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.repaired = 0
        self.doubtful: list[str] = []
        self._inline = [match.span() for match in _INLINE.finditer(text)]
        self._display = [match.span() for match in _DISPLAY.finditer(text)]
        self._paths = {index: sure for match in _PATH.finditer(text) for index, sure in _separators(match)}
        self._hosts = {match.start() for match in _PATH.finditer(text) if match["host"]}
        self._raw = bool(_INVALID.search(text)) or any(self._is_sure(match) for match in _RUN.finditer(text))
        self._formal = bool(self._raw or self._inline or self._display or _DOUBLED.search(text))
        self._doubled = bool(_DOUBLED.search(text)) and not self._raw

    def pieces(self) -> Iterator[str]:
        """The text in pieces, repaired."""
        done = 0
        for match in _RUN.finditer(self.text):
            yield self.text[done : match.start()]
            yield self._run(match)
            done = match.end()
        yield self.text[done:]

    def _run(self, match: re.Match[str]) -> str:
        """A run of backslashes and what follows it."""
        run, after = match[1], match[2]
        index = match.end(1) - 1
        if len(run) % 2 == 0:
            if match.start() in self._hosts or (self._raw and len(run) == 2 and (not after or after in " \t\n[&$")):
                self.repaired += 1  # TeX's end of a row, or a server's name
                return run * 2 + after
            return run + after
        head = run[:-1]
        if after == "'" and self.text[match.end() : match.end() + 1] != "{":
            return head + after  # JavaScript's escape
        if after[:2] == "u{" and (sign := _code_point(after[2:-1])):
            self.repaired += 1
            return head + sign
        if not self._is_literal(index, after):
            return run + after
        self.repaired += 1
        if self._raw and len(head) == 2:
            head *= 2  # the end of a row before a command
        return head + "\\\\" + after

    def _is_literal(self, index: int, after: str) -> bool:
        """Whether the backslash at `index` was meant as one."""
        sign = after[:1]
        if sign not in set("bfnrtu"):
            return sign not in ('"', "/") and bool(sign)
        if sign == "u":
            if after[1:2] != "{" and len(after) == 5:
                return False
            if after[1:2] == "{" and len(after) > 4:  # é of JavaScript, or TeX's breve over two letters
                self.doubtful.append("\\" + after)
            return True
        if index in self._paths:
            return self._in_path(index, self._paths[index])
        word = _word(self.text, index)
        if sign in "bf" or (sign == "r" and self.text[index + 1 : index + 4] != "r\\n"):
            return word in TEX or self._raw or (len(word) > 1 and self._in(self._inline, index))
        if sign == "r":
            return False
        if word in TEX and word not in WORDS:
            return True
        return self._may_be(word, index) and self._decided(word, index)

    def _may_be(self, word: str, index: int) -> bool:
        return word in WORDS or (len(word) > 1 and self._in(self._inline, index))

    def _decided(self, word: str, index: int) -> bool:
        """Whether a word that may be a command is one; what cannot be told is noted and left as JSON reads it."""
        before = self.text[index - 1 : index]
        if word in WORDS:
            if self._in(self._inline, index) or (self._in(self._display, index) and before not in "$[\\"):
                return True
            if self._raw and before and before in " ({":  # an operator between its operands
                return True
            alone = len(word) == 2 and self.text[index + 3 : index + 4] not in (".", ")")  # a line of "u"? or TeX's nu
            if self._doubled or not (self._formal or before == " " or alone):
                return False
        self.doubtful.append("\\" + word)
        return False

    def _in_path(self, index: int, sure: bool) -> bool:
        word = _word(self.text, index)
        if self.text[index + 1] in "bf":
            return True
        if not word[1:2].islower():  # a line break before a capital, a letter of another script, a mark
            return len(word) == 1 and self.text[index + 2 : index + 3].isdigit() and sure
        if not sure or word[1:] in COMMON:
            self.doubtful.append("\\" + word)
            return False
        return True

    def _is_sure(self, match: re.Match[str]) -> bool:
        """Whether what is there can only be a command."""
        if len(match[1]) % 2 == 0 or match[2][:1] not in set("bfnrt"):
            return False
        word = _word(self.text, match.end(1) - 1)
        return word in TEX and word not in WORDS

    @staticmethod
    def _in(spans: list[tuple[int, int]], index: int) -> bool:
        return any(start < index < end for start, end in spans)


def _word(text: str, index: int) -> str:
    """The letters after the backslash at `index`."""
    match = _LETTERS.match(text, index + 1)
    return match[0] if match else ""


def _separators(match: re.Match[str]) -> Iterator[tuple[int, bool]]:
    """The backslashes of what looks like a path, and whether it is one for sure: with several parts, or a file's name.

    "B:\\nuse it" has the form of one, too.
    """
    parts = match["parts"].split("\\")[1:]
    drive = (match["drive"] or "")[:1].upper()
    sure = match["host"] is not None or bool(_EXTENSION.search(parts[-1]))
    sure = sure or any(part[:1] not in ("n", "r", "t") for part in parts if part) or parts[0] in FOLDERS
    sure = sure or (len(parts) > 1 and drive not in ("A", "B", "Q", "") and parts[0][1:2].islower())
    index = match.start("parts")
    for part in parts:
        yield index, sure
        index += 1 + len(part)


def _code_point(digits: str) -> str:
    r"""The character of JavaScript's `\u{1F600}`; "" for fewer than four digits, which TeX may mean as well."""
    if not re.fullmatch(r"[0-9a-fA-F]{4,6}", digits):
        return ""
    value = int(digits, 16)
    return chr(value) if 0xA0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF else ""
