"""What kind of line one is, as far as a step must know to leave it alone: list items, tables, quotes, formulas.

All of it is judged from one line alone and costs a few regular expressions, each linear in the line's length.
"""

from __future__ import annotations

import re

from nemo_kcpt.cleaning.scripts import CLOSING, JAPANESE, SENTENCE_END

_MARKDOWN_LIST = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
_BULLET = re.compile(
    r"[ \t\u3000]*(?:[・•‣◦●○◎■□◆◇▪▫▲△▶►▼▽★☆✓✔➢➤⁃∙※◼◻⚫⚪]"
    r"|[\u2460-\u24ff\u2776-\u2793\u3220-\u3243\u3280-\u32b0\u32d0-\u32fe]"
    r"|[(（［\[]?(?:\d{1,3}|[A-Za-zＡ-Ｚａ-ｚア-オイロハあ-お一二三四五六七八九十]|[ivx]{1,4})[)）］\]]"
    r"(?![、。，．,.をがはにでとのもや])"
    r"|[-–—‐−][ \t\u3000]|\d{1,2}[．、.][ \u3000]?(?=[^\d\s]))"
)
_CAPTION = re.compile(
    r"[ \t\u3000]*(?:図|表|Fig(?:ure|\.)|Figure|Table|Algorithm|アルゴリズム)[ \u3000]?[0-9０-９]{1,3}[ \u3000:：.．]"
)
_QUOTE = re.compile(r"[ \t]*[>＞]")
_RULE = re.compile(r"[ \t]*(?:[-=_*~─━＝―]{3,}|(?:[-*_] ){2,}[-*_])[ \t]*$")
_MARKUP = re.compile(r"[ \t]*(?:</?[a-zA-Z!]|\[[^\]\s]{1,80}\]:|!\[|\{%|:::)")
_GAP = re.compile(r"(?<=[^ \t\u3000])(?: {3,}|[ ]*\t|\u3000{2,})")
_WIDE_GAP = re.compile(r"(?<=[^ \t\u3000])[ \t\u3000]{2,}(?=[^ \t\u3000])")
_PAGE_AT_END = re.compile(r"[ .．・…‥·]{3}[ ]?\d{1,4}$")
_LEADERS = re.compile(r"[.．・…‥·]")
_MAIL = re.compile(r"[\w}]@[\w-]+\.")
_NUMERIC = re.compile(r"[-+±−]?[\d０-９](?:[\d.,０-９．，]*[\d０-９])?%?[*†‡]?$|[-–—−]$")
_JAPANESE = re.compile(f"[{JAPANESE}]")
_OPERATOR = re.compile(r"[=≤≥≦≧∑∫∏√∂≈≅∈∉⊂→←⇒∀∃∝×÷±^]")
_WORD = re.compile(r"[A-Za-z]{3,}")
_CLOSING_CHARACTERS = CLOSING.replace("\\", "")
_ENDS = SENTENCE_END + ":：;；"


def is_markdown_item(line: str) -> bool:
    """Whether the line begins an item of a Markdown list."""
    return bool(_MARKDOWN_LIST.match(line))


def is_item(line: str) -> bool:
    """Whether the line begins an item of any list, or a caption: "・…", "(1) …", "① …", "図 3: …"."""
    return bool(_MARKDOWN_LIST.match(line) or _BULLET.match(line) or _CAPTION.match(line))


def has_columns(line: str) -> bool:
    """Whether the line is divided by bars, wide gaps or the leaders of a table of contents."""
    if "|" in line and (line.count("|") > 1 or line.lstrip().startswith("|")):
        return True
    if _PAGE_AT_END.search(line[-12:]) and _LEADERS.search(line[-12:]):
        return True
    return bool(_GAP.search(line)) or len(_WIDE_GAP.findall(line)) > 1


def is_table_row(line: str) -> bool:
    """Whether the line has columns, or is mostly numbers."""
    if has_columns(line):
        return True
    if len(line) > 200 or not any(map(str.isdigit, line)):
        return False
    parts = line.split()
    numbers = sum(_NUMERIC.match(part) is not None for part in parts)
    return numbers >= 2 and numbers >= 0.6 * len(parts)


def cells(line: str) -> int:
    """Parts of the line that wide gaps separate."""
    return len(_WIDE_GAP.findall(line.strip())) + 1


def is_formula(line: str) -> bool:
    """Whether the line is a formula set on its own, taken from a page: an operator, no Japanese, hardly a word."""
    if len(line) > 200 or not _OPERATOR.search(line) or _JAPANESE.search(line):
        return False
    return sum(map(len, _WORD.findall(line))) < 0.4 * len(line.replace(" ", ""))


def is_fixed(line: str) -> bool:
    """Whether the line is one by its nature: a table row, a block quote, a rule, markup, an address, a formula."""
    return bool(
        _QUOTE.match(line)
        or _RULE.match(line)
        or _MARKUP.match(line)
        or is_table_row(line)
        or is_formula(line)
        or ("@" in line and _MAIL.search(line))
    )


def ends_sentence(line: str) -> bool:
    """Whether the line's last sentence ends with it: an end mark, brackets and quotation marks after it aside."""
    bare = line[-12:].rstrip().rstrip(_CLOSING_CHARACTERS)
    return not bare or bare[-1] in _ENDS
