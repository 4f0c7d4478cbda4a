"""TeX: what stands on the page is what is read, number by number."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_kcpt.readers import Found
from nemo_kcpt.tex.units import angle, number, unit
from nemo_kcpt.text.chemistry import formula_of
from tests.readers.reading import found, problem, records


def read(tmp_path: Path, body: str, preamble: str = "", kind: str = "article") -> Found:
    """The document of a body, without flaws unless they are asked for."""
    text = f"\\documentclass{{{kind}}}\n{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}\nafter 999"
    (tmp_path / "a.tex").write_text(text, encoding="utf-8")
    (item,) = found(tmp_path / "a.tex")
    assert not item.problem
    return item


def lines(tmp_path: Path, body: str, preamble: str = "", kind: str = "article") -> list[str]:
    item = read(tmp_path, body, preamble, kind)
    assert [flaw.detail for flaw in item.flaws] == []
    return [line for line in item.record["text"].splitlines() if line]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        # numbers, as the page shows them
        (r"12\,400 cells, 1\,234\,567, 12,\!400", "12\u2009400 cells, 1\u2009234\u2009567, 12,400"),
        ("5--10 and 3---4, -5 to +5", "5–10 and 3—4, -5 to +5"),
        (r"$3\times10^{5}$, $-5\pm0.1$, $12{,}400$", r"$3\times10^{5}$, $-5\pm0.1$, $12{,}400$"),
        (r"3$\times$10$^{5}$, 3 $\pm$ 0.1, $<$5, $\sim$3, 10$^{-5}$", "3×10⁵, 3 ± 0.1, <5, ∼3, 10⁻⁵"),
        (r"H$_2$O, CO$_{2}$, SO$_4^{2-}$, $^{13}$C, $^{137}$Cs", r"H₂O, CO₂, SO$_4^{2-}$, ¹³C, ¹³⁷Cs"),
        (
            r"25\,$^\circ$C, 25$^{\circ}$C, 5$^{th}$, m\textsuperscript{2}, H\textsubscript{2}O",
            "25\u2009°C, 25°C, 5th, m², H₂O",
        ),
        (
            r"of 24\footnote{Or 25.} people, 24\textsuperscript{3)} and 2020$^7$",
            "of 24[^1] people, 24[^3] and 2020[^7]",
        ),
        (r"50\% of \$5 \& \#7 a\_b \{x\} 3~km", "50% of $5 & #7 a_b {x} 3 km"),
        (r"\SI{3.2e5}{\m\per\s} and \qty{5}{km} and \num{1e-3}", "3.2×10⁵ m s⁻¹ and 5 km and 1×10⁻³"),
        (r"\SIrange{5}{10}{\degreeCelsius}, \numlist{1;2;3}, \ang{12;30;}", "5 °C to 10 °C, 1, 2 and 3, 12°30′"),
        (r"\ce{2H2 + SO4^2- -> Na+}", "2H₂ + SO₄²⁻ → Na⁺"),
        (r"$v=\SI{3}{m/s}$ and $N=\num{12400}$", r"$v=\text{3 m/s}$ and $N=12400$"),
        (r"\vskip 2pt 5 men \kern-2pt 7 \parindent=0pt 8 \vspace{9mm} 4", "5 men 7 8 4"),
        (r"\$5 and $x$ and \$6", r"\$5 and $x$ and \$6"),
        (r"\$5 and \$6", "$5 and $6"),
        # letters, quotes, white space
        (r"caf\'e na\"ive \v{S}koda \c{c}a \~n \^{\i} \o re \ss{} \AA{} \'{E}", "café naïve Škoda ça ñ î øre ß Å É"),
        ("``quoted'' `it' don't", "“quoted” ‘it’ don’t"),
        (r"\alpha-helix \textmu m \textregistered{} \LaTeX{} \S 5", "α-helix µm ® LaTeX §5"),
        ("日本語の\n文で、English\nと 混ざる", "日本語の文で、English と 混ざる"),
        (r"\ruby{霞}{かすみ}の\textbf{太字}と{\bf 強調}、\underline{下線}", "霞の太字と強調、下線"),
        (
            r"\sout{12}13 and \url{http://a.b/c%20d#e_f} and \href{http://x/%20}{text}",
            "~~12~~13 and http://a.b/c%20d#e_f and text",
        ),
        (r"\verb|a_b%c\d| and \texttt{x\_1}", r"`a_b%c\d` and x_1"),
        ("a % comment 9\nb\\% c % 8", "a b% c"),
        (r"a\\[2mm] b\par c", "a"),
        # macros of one's own
        (r"\newcommand{\n}[1]{<#1>}\newcommand{\p}[2][x]{(#1,#2)}\n{5} \p{6} \p[7]{8}", "<5> (x,6) (7,8)"),
        (r"\def\h{\frac12}\def\at(#1,#2){[#1;#2]}$\h$ \at(3,4)", r"$\frac12$ [3;4]"),
        (
            r"\newcommand{\v}[1]{\mathbf{#1}}\newcommand{\kg}{\ensuremath{\mathrm{kg}}}$\v{x}$ 5\,\kg",
            "$\\mathbf{x}$ 5\u2009$\\mathrm{kg}$",
        ),
        (
            r"\NewDocumentCommand{\q}{s O{y} m}{\IfBooleanTF{#1}{star}{plain} #2 #3}\q{5} \q*[z]{6}",
            "plain y 5 star z 6",
        ),
        (r"\DeclareMathOperator{\am}{arg\,max}$\am_x 5$", r"$\operatorname{arg\,max}_x 5$"),
        (r"\def\a{1}{\def\a{2}\a} \a", "2 1"),
        (r"\newcommand{\m}{M\xspace}\m is, \m.", "M is, M."),
        (r"\let\oldsection\section \newcommand{\unit}[1]{[#1]}\unit{5}", "[5]"),
        (r"\newenvironment{box1}[1]{Box #1: }{ (end)}\begin{box1}{5}in\end{box1}", "Box 5: in (end)"),
        (r"$\mathchoice{1}{5}{3}{4}$", "$5$"),
        (
            r"\newtheorem{thm}{Thm}\newaliascnt{lem}{thm}\newtheorem{lem}[lem]{Lem}\aliascntresetthe{lem}"
            r"\begin{thm}A\end{thm}\begin{lem}B\end{lem}",
            "Thm 1. A",
        ),
        (r"\let\old\emph\renewcommand{\emph}[1]{<\old{#1}>}\emph{5} \old{6}", "<5> 6"),
        (
            r"\makeatletter\def\s{\@ifstar{star}{\@ifnextchar\bgroup{\@b}{none}}}\def\@b#1{<#1>}\makeatother "
            r"\s* \s{5} \s x",
            "star <5> nonex",
        ),
        # what is switched off
        (r"a\iffalse 777 \fi b \iftrue 1\else 2\fi", "ab 1"),
        (r"\newif\ifdraft\drafttrue\ifdraft 1\else 2\fi\draftfalse\ifdraft 3\else 4\fi", "14"),
        (r"\ifnum 3>2 big\else small\fi{} \ifx\undefined\foo 5\else 6\fi{} \ifthenelse{\equal{a}{b}}{7}{8}", "big 5 8"),
        ("a\\begin{comment}\n 55 \n\\end{comment} b\\excludecomment{off}\\begin{off}66\\end{off}", "a b"),
        (r"a\begin{tikzpicture}\draw (0,0) -- (9,9);\end{tikzpicture}\todo{fix 5} b\index{x}", "a b"),
    ],
)
def test_what_a_line_says(tmp_path: Path, body: str, text: str) -> None:
    assert lines(tmp_path, body)[0] == text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            r"\section{One}\label{a}\subsection{In}\section*{No}\section{Two} See \ref{a}, \nameref{a}, \ref{c}.",
            ["## 1 One", "### 1.1 In", "## No", "## 2 Two", "See 1, One, [c]."],
        ),
        (
            r"\section{One}\appendix\section{App}\label{x} \ref{x} \autoref{x} \cref{x}",
            ["## 1 One", "## A App", "A section A section A"],
        ),
        (
            r"\begin{equation}\label{e} E=mc^2 % c"
            "\n"
            r"\end{equation}\begin{equation} b \end{equation} \eqref{e} \ref{e}",
            [r"$$E=mc^2 \tag{1}$$", "$$b$$", "(1) 1"],
        ),
        (
            r"\begin{align} a &= b \label{p}\\ c &= d \nonumber\\ e &= f \label{q}\end{align}\eqref{p} and \eqref{q}",
            [r"\begin{align} a &= b \tag{1} \\ c &= d \\ e &= f \tag{2} \end{align}", "(1) and (2)"],
        ),
        (r"\[ x \] $$ y $$ \(z\)", ["$$x$$", "$$y$$", "$z$"]),
        (
            r"\begin{subequations}\label{s}\begin{equation}a\label{t}\end{equation}\end{subequations}\ref{s} \ref{t}",
            [r"$$a \tag{1a}$$", "1 1a"],
        ),
        (
            r"\begin{figure}\includegraphics[width=3cm]{f}\caption{Plot of 3.}\label{f}\end{figure}Figure~\ref{f}",
            ["Figure 1: Plot of 3.", "Figure 1"],
        ),
        (
            r"\begin{itemize}\item a\item[--] b\end{itemize}\begin{enumerate}\item x\begin{enumerate}\item "
            r"y\label{y}\end{enumerate}\item z\end{enumerate}\ref{y}",
            ["- a", "- – b", "1. x", "   - (a) y", "2. z", "(a)"],
        ),
        (
            r"\begin{enumerate}[label=(\roman*)]\item a\item b\end{enumerate}\begin{enumerate}[start=5]\item "
            r"c\end{enumerate}\begin{enumerate}[1)]\item d\end{enumerate}",
            ["- (i) a", "- (ii) b", "- 5. c", "- 1) d"],
        ),
        (r"\begin{description}\item[TP] True 5\end{description}", ["- TP: True 5"]),
        (
            r"\newtheorem{thm}{Theorem}[section]\newtheorem{lem}[thm]{Lemma}\section{S}\begin{thm}[Ito]\label{t}A "
            r"5.\end{thm}\begin{lem}B\end{lem}\begin{proof}C\end{proof}\ref{t}",
            ["## 1 S", "Theorem 1.1 (Ito). A 5.", "Lemma 1.2. B", "Proof. C", "1.1"],
        ),
        (
            "a 24\\footnote{Of $x$ and 7.} b\\footnotemark[5].\n\nnext\\footnotetext[5]{Five.}",
            ["a 24[^1] b[^5].", "[^1]: Of $x$ and 7.", "next", "[^5]: Five."],
        ),
        ("\\begin{verbatim}\n x  = 1 % kept\n\\end{verbatim}", ["```", " x  = 1 % kept", "```"]),
        (
            "\\begin{lstlisting}[language=C,caption={Code 5}]\nint a[2];\n\\end{lstlisting}",
            ["Code 5", "```", "int a[2];", "```"],
        ),
        (r"\begin{quote}Said 5.\end{quote}", ["> Said 5."]),
        (
            r"\begin{algorithm}\caption{A}\begin{algorithmic}\For{$i=1$ to 5}\State x\EndFor\end{algorithmic}\end{a"
            r"lgorithm}",
            ["Algorithm 1: A", "for $i=1$ to 5 do", "x", "end for"],
        ),
    ],
)
def test_what_blocks_say(tmp_path: Path, body: str, expected: list[str]) -> None:
    assert lines(tmp_path, body) == expected


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (r"{l|r}\hline A|B & 5\\\hline C & $|x|$\\[2pt]\hline", ["| A\\|B | 5 |", "| C | $\\vert x\\vert $ |"]),
        # what the description of the columns puts into the numbers
        (r"{r@{.}l r@{$\pm$}l}1&05&2.0&0.1\\12&5&3&1", ["| 1.05 | 2.0±0.1 |", "| 12.5 | 3±1 |"]),
        (r"{l>{$}c<{$}r<{\%}}a & x^2 & 5\\b & y & 6", ["| a | $x^2$ | 5% |", "| b | $y$ | 6% |"]),
        (
            r"{*{3}{c}}\multicolumn{2}{|c|}{Both 5} & z\\ \cmidrule(lr){1-2} 1 & \multirow{2}{*}{2} & 3\\ 4 & & 6",
            ["| Both 5 |  | z |", "| 1 | 2 | 3 |", "| 4 |  | 6 |"],
        ),
        (
            r"{lD{.}{.}{2}S[table-format=1.2]p{3cm}}a & 1.23 & {head} & 4.5(1)\\ & -2 & 1e5 &",
            ["| a | 1.23 | head | 4.5(1) |", "|  | -2 | 1e5 |  |"],
        ),
        (r"{ll}a & \makecell{x\\y 5}\\ b & \begin{tabular}{c}1\\2\end{tabular}", ["| a | x y 5 |", "| b | 1 2 |"]),
        (r"{ll}\newcommand{\row}{1 & 2\\}a & b\\\row c & d", ["| a | b |", "| 1 | 2 |", "| c | d |"]),
    ],
)
def test_tables_keep_their_numbers(tmp_path: Path, table: str, expected: list[str]) -> None:
    text = lines(tmp_path, rf"\begin{{table}}\caption{{T}}\begin{{tabular}}{table}\end{{tabular}}\end{{table}}")
    assert text[0] == "Table 1: T"
    assert [text[1], *text[3:]] == expected


def test_a_long_tables_head_is_there_once(tmp_path: Path) -> None:
    body = (
        r"\begin{longtable}{ll}\caption{L}\\ h & k\\ \endfirsthead h & k\\ \endhead cont. & \\ \endfoot 1 & 2\\ 3 & 4"
        r"\end{longtable}"
    )
    assert lines(tmp_path, body) == ["Table 1: L", "| h | k |", "| --- | --- |", "| 1 | 2 |", "| 3 | 4 |"]


BBL = r"""\begin{thebibliography}{9}
\bibitem[Abe(2019)]{abe} S.~Abe. \newblock On {H$_2$O}. \emph{Nature}, 12\penalty0 (3):\penalty0 1--4, 2019.
\bibitem[{Ito et~al.(2020)Ito, Ueno, and Ono}]{ito} K.~Ito. Title. 2020.
\end{thebibliography}"""


def test_citations_are_those_of_the_page(tmp_path: Path) -> None:
    body = (
        r"\cite{x}, \cite[p.~5]{y,x}, \cite{gone}\begin{thebibliography}{9}\bibitem{x} "
        r"A. 2020.\bibitem{y} B.\end{thebibliography}"
    )
    assert lines(tmp_path, body) == ["[1], [2, 1, p. 5], [gone]", "## References", "[1] A. 2020.", "[2] B."]
    by_author = lines(
        tmp_path, rf"\citep[see][p.~5]{{ito}}, \citet{{abe,ito}}, \citeyear{{abe}}, \citealp{{abe}} {BBL}"
    )
    assert by_author == [
        "(see Ito et al., 2020, p. 5), Abe (2019), Ito et al. (2020), 2019, Abe, 2019",
        "## References",
        "S. Abe. On H₂O. Nature, 12(3):1–4, 2019.",
        "K. Ito. Title. 2020.",
    ]
    numbers = lines(tmp_path, rf"\citep{{ito}} \citet{{abe}} {BBL}", r"\usepackage[numbers]{natbib}")
    assert numbers[0] == "[2] Abe [1]" and numbers[2].startswith("[1] S. Abe.")


def test_the_front_is_fields(tmp_path: Path) -> None:
    preamble = (
        r"\title{CO$_2$ at $10^{6}$\thanks{Funded.}}\author{Taro Yamada\thanks{x} \and Hanako Sat\^o\\ University}"
        r"\date{March 2021}\newcommand{\kasumi}{Kasumi 5}"
    )
    item = read(tmp_path, r"\maketitle\begin{abstract}Of \kasumi.\end{abstract}Text.", preamble)
    assert dict(item.record) == {
        "paper_id": "a.tex",
        "title": "CO₂ at $10^{6}$",
        "author": "Taro Yamada; Hanako Satô",
        "date": "March 2021",
        "abstract": "Of Kasumi 5.",
        "thanks": "Funded.; x",
        "text": "# CO₂ at $10^{6}$\n\n## Abstract\n\nOf Kasumi 5.\n\nText.",
    }


@pytest.mark.parametrize("kind", ["jsarticle", "ltjsarticle", "jarticle", "ujarticle", "bxjsarticle", "jlreq"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "euc_jp", "iso2022_jp"])
def test_japanese_classes_and_encodings(tmp_path: Path, kind: str, encoding: str) -> None:
    text = rf"""\documentclass[dvipdfmx]{{{kind}}}\title{{霞の研究}}\author{{山田 太郎\and 佐藤 花子}}\begin{{document}}
    \maketitle\begin{{abstract}}要旨である。\end{{abstract}}\section{{はじめに}}参加者は２４人で、
    図\ref{{f}}に示すとおりである。\begin{{figure}}\caption{{概要}}\label{{f}}\end{{figure}}
    \begin{{thebibliography}}{{9}}\bibitem{{a}} 山田. 題. 2020.\end{{thebibliography}}\end{{document}}"""
    (tmp_path / "a.tex").write_bytes(text.encode(encoding))
    (record,) = records(tmp_path)
    assert (record["title"], record["author"]) == ("霞の研究", "山田 太郎; 佐藤 花子")
    assert [line for line in record["text"].splitlines() if line] == [
        "# 霞の研究",
        "## 概要",
        "要旨である。",
        "## 1 はじめに",
        "参加者は２４人で、図1に示すとおりである。",
        "図1 概要",
        "## 参考文献",
        "[1] 山田. 題. 2020.",
    ]


def test_chapters_count_within(tmp_path: Path) -> None:
    body = r"\chapter{章}\section{節}\begin{equation}a\label{e}\end{equation}\ref{e}"
    assert lines(tmp_path, body, kind="jsbook") == ["## 第1章 章", "### 1.1 節", r"$$a \tag{1.1}$$", "1.1"]
    assert lines(tmp_path, body, kind="report")[:2] == ["## 1 章", "### 1.1 節"]


def test_what_has_no_meaning_is_named_and_stays_to_be_seen(tmp_path: Path) -> None:
    item = read(tmp_path, r"The \method has \wrap{9 cells} and \begin{odd}inner 5\end{odd} \method.")
    assert item.record["text"] == "The \\method has 9 cells and\n\ninner 5\n\n\\method ."
    assert [flaw.detail for flaw in item.flaws] == [r"\method (2), \wrap (1), \begin{odd} (1)"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\def\a{\a}\a", "expands more than 5,000 macros; does one of them call itself?"),
        (r"\def\a#1{\a{#1#1}}\a{xxxxxxxx}", "macros expand to more than 50,000 tokens"),
        (r"\input{a}", "its files include each other 25 deep"),
        (r"\begin{center}" * 100 + "x", "stand more than 60 deep"),
        (r"\footnote{" * 100 + "x", "stand more than 60 deep"),
        ("% nothing 5\n\\newcommand{\\a}{5}", "there is no text in the document"),
        ("", "the file is empty"),
    ],
)
def test_bad_tex_is_named(tmp_path: Path, text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nemo_kcpt.tex.macros.EXPANSIONS", 5_000)
    monkeypatch.setattr("nemo_kcpt.tex.tokens.TOKENS", 50_000)
    (tmp_path / "a.tex").write_text(rf"\documentclass{{article}}\begin{{document}}{text}" if text else "")
    assert expected in problem(tmp_path)


OPEN_ENDED = (
    r"\begin{equation} x",
    "a $x",
    "{{{ 5",
    "}} 5",
    r"\footnote{5",
    r"\begin{tabular}{ll} 5 & 6",
    r"\section{5",
    r"\newcommand",
    r"\def",
    r"\iffalse 5",
    r"\cite[",
    "5 \\",
    r"\begin{itemize}\item 5",
    r"\verb|5",
    r"\url{5",
    r"\input",
    r"\csname x",
)


@pytest.mark.parametrize("text", OPEN_ENDED)
def test_tex_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.tex").write_text(rf"\documentclass{{article}}\begin{{document}}Before 12. {text}")
    (record,) = records(tmp_path)
    assert record["text"].startswith("Before 12.")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("3.2e5", "3.2×10⁵"),
        ("-1.5", "−1.5"),
        ("1.23(4)", "1.23(4)"),
        ("1.2 +- 0.1", "1.2±0.1"),
        ("e5", "10⁵"),
        (r"1.2 \pm 0.1e3", "(1.2±0.1)×10³"),
        ("10 x 20", "10 × 20"),
        ("1,5", "1.5"),
        ("12 400", "12400"),
        (".5", "0.5"),
        ("1/2", "1/2"),
        ("<5", "<5"),
    ],
)
def test_numbers_of_siunitx(given: str, shown: str) -> None:
    assert number(given) == shown


@pytest.mark.parametrize(
    ("given", "shown", "divided"),
    [
        (r"\m\per\s", "m s⁻¹", "m/s"),
        (r"\kilo\gram\metre\per\second\squared", "kg m s⁻²", "kg m/s²"),
        ("m/s", "m/s", "m/s"),
        ("kg.m.s^{-2}", "kg m s⁻²", "kg m s⁻²"),
        (r"\degreeCelsius", "°C", "°C"),
        (r"\um", "µm", "µm"),
        (r"\per\cubic\centi\metre", "cm⁻³", "1/cm³"),
        (r"\percent", "%", "%"),
        (r"\joule\per\mole\per\kelvin", "J mol⁻¹ K⁻¹", "J/(mol K)"),
    ],
)
def test_units_of_siunitx(given: str, shown: str, divided: str) -> None:
    assert (unit(given), unit(given, "symbol")) == (shown, divided)


def test_angles_and_formulas_of_chemistry() -> None:
    assert [angle("12;30;5"), angle("45"), formula_of("^{227}_{90}Th+"), formula_of("(NH4)2S")] == [
        "12°30′5″",
        "45°",
        "²²⁷₉₀Th⁺",
        "(NH₄)₂S",
    ]
