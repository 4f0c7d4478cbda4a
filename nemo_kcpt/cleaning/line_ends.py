"""Line ends and blank space around text; what nobody could object to.

A vertical tab is a line end too: it is the soft return of slides and word processors. Trailing white space is any that
Unicode knows, the ideographic space included; white space at the beginning of a line stays, since it marks a paragraph
in Japanese and has a meaning in code. Markdown's hard line break (two blanks at the end) is lost; the line end is not.
"""

from __future__ import annotations

import re

from nemo_kcpt.cleaning.changed import Changed

_FOREIGN = re.compile("\r\n?|[\v\x85\u2028\u2029]")
_MANY_BLANK = re.compile(r"\n{4,}")


def line_ends(text: str) -> Changed:
    """All line ends to LF, no byte order mark, no trailing white space, no blank lines at the ends, few in a row."""
    unified, count = _FOREIGN.subn("\n", text)
    pages = []
    for page in unified.split("\f"):  # str.rstrip would take the page mark for white space
        lines = page.split("\n")
        bare = [line.rstrip() for line in lines]
        count += sum(left is not right and left != right for left, right in zip(lines, bare))
        pages.append("\n".join(bare))
    tidy, heaps = _MANY_BLANK.subn("\n\n", "\f".join(pages))
    stripped = tidy.lstrip("\ufeff\n").rstrip("\n")
    return Changed(stripped, count + heaps + (stripped != tidy))
