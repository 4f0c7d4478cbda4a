"""Rows of texts as a LaTeX table (booktabs) or as CSV; what is in them is data."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "ρ": r"$\rho$",
    "τ": r"$\tau$",
    "<": "$<$",
    ">": "$>$",
}


def escape_latex(value: Any) -> str:
    """`value` as text that LaTeX shows as it is, in one line."""
    text = " ".join(str(value).split())
    return re.sub(r"[\\&%$#_{}~^−–±ρτ<>]", lambda match: _SPECIAL[match[0]], text)


def csv_text(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """CSV with a head; a text that a spreadsheet would run is quoted, None is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    # A spreadsheet would run a text that begins so.
    writer.writerows(
        [f"'{cell}" if str(cell)[:1] in "=+@" and isinstance(cell, str) else cell for cell in row] for row in rows
    )
    return stream.getvalue()


def with_interval(value: str, bounds: str) -> str:
    """A value with its interval in brackets, where there is one."""
    return f"{value} ({bounds})" if bounds else value


def latex_table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str, texts: int) -> str:
    """One table; the first `texts` columns are set left, the others right."""
    lines = [" & ".join(map(escape_latex, row)) + r" \\" for row in rows]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{'l' * texts}{'r' * (len(head) - texts)}}}",
            r"\toprule",
            " & ".join(map(escape_latex, head)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )
