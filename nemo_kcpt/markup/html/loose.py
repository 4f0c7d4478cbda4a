"""Text of an HTML page that stands beside blocks without one of its own, in <p>: trafilatura moves, drops or joins it.

`<li>Range 3<div>4 bar</div></li>` would become "Range 34 bar", and of `<div>A<ul>…</ul>B<p>C</p></div>` B would come
before the list, or not at all. Of `<div>A<br>B</div>` B would be there twice.
"""

from __future__ import annotations

import re
from typing import Any

from nemo_kcpt.markup.html.raised import INLINE

_HOLDERS = "//body|//div|//section|//article|//main|//details|//center|//blockquote|//li|//dt|//dd|//p"
"""Elements that may hold blocks and text beside each other."""
_OUTER = ("div", "section", "article", "main", "details", "center")
"""Those of which trafilatura reads a line twice, or not at all, where <br> alone parts lines."""
_ITEMS = ("li", "dt", "dd")
_LISTS = ("ul", "ol")
_BLOCKS = frozenset(
    re.findall(
        r"\S+",
        "address article blockquote center details div dl figure h1 h2 h3 h4 h5 h6 hr main ol p pre section summary "
        "table ul",
    )
)
_WITHIN = INLINE | {"br", "img"}
"""What may be in a paragraph."""


def wrap_loose_text(tree: Any) -> None:
    """Put text beside blocks into paragraphs, in place; its characters and its order stay."""
    for holder in tree.xpath(_HOLDERS):
        blocks = any(child.tag in _BLOCKS for child in holder)
        if blocks or (holder.tag in _OUTER and any(child.tag == "br" for child in holder)):
            holder.tag = "div" if holder.tag == "p" else holder.tag
            if holder.tag in _ITEMS:  # whose line ends trafilatura drops before the next block
                for line_end in list(holder.iter("br")):
                    line_end.tail = f" {line_end.tail or ''}"
                    line_end.drop_tag()
            _wrap(holder)
        elif holder.tag == "body" and (holder.text or "").strip():
            first, holder.text = _paragraph(holder.text), None
            holder.insert(0, first)
        elif holder.tag == "div" and (outer := holder.getparent()) is not None and outer.tag in _ITEMS:
            holder.tag = "p"


def _wrap(holder: Any) -> None:
    """Wrap the text before, among and behind the blocks of `holder`."""
    current, start = _paragraph(holder.text), holder.tag == "li" and len(holder) and holder[0].tag in _LISTS
    if start:
        current = _paragraph(None)  # an item's text before the list in it is read as it is
    else:
        holder.text = None
    for child in list(holder):
        if child.tag in _WITHIN:
            current.append(child)  # and what follows it
            continue
        if _says(current):
            child.addprevious(current)
        current, child.tail = _paragraph(child.tail), None
    if _says(current):
        holder.append(current)


def _paragraph(text: str | None) -> Any:
    import lxml.html

    made = lxml.html.Element("p")
    made.text = text
    return made


def _says(paragraph: Any) -> bool:
    return bool(paragraph.text_content().strip())
