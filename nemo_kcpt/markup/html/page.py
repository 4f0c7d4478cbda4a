"""The main text of a web page as Markdown, by trafilatura, and what the page says of itself."""

from __future__ import annotations

import logging
import re
from copy import deepcopy
from typing import Any

from nemo_kcpt.markup.html.formulas import write_formulas
from nemo_kcpt.markup.html.loose import wrap_loose_text
from nemo_kcpt.markup.html.raised import INLINE, write_raised_text
from nemo_kcpt.markup.html.shown import flatten_tables, unlink, without_controls, write_what_is_shown
from nemo_kcpt.text.raised import fractions

_XML = re.compile(r"\s*<\?xml[^>]*\?>")
_CREATIVE_COMMONS = re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)")
_EMPHASIS = tuple(sorted(INLINE - {"a", "code", "del", "s", "strike"}))
"""Elements within a line that go, since trafilatura loses the text of some, or ends the line at them."""
_BLOCKS = "p|div|h1|h2|h3|h4|h5|h6|ul|ol|table|pre|blockquote"
_MARK = re.compile(r"\[\^[^\[\]]{1,40}\]")
SHORT_PAGE = 3000
"""Characters of a page that trafilatura may find too short to keep its structure."""
SHORT_CELL = 100
"""Characters in a cell of a table without headings in whose cells paragraphs stand."""
PARAGRAPHS = 3
"""In such a cell at most."""
_GRID_BREAKERS = "|".join(
    f".//{name}" for name in re.findall(r"\w+", "h1 h2 h3 h4 h5 h6 ul ol table pre blockquote form")
)
LONG_CELL = 300
"""Characters in a cell that belong to a layout, not to a table of data."""


def main_text(page: str) -> tuple[str, dict[str, str], int]:
    """The main text of a page as Markdown (empty if there is none), what it says of itself (title, date, …), and how
    many pieces of raised and lowered text the page has.
    """
    import lxml.etree
    import lxml.html
    import trafilatura

    for name in ("trafilatura", "htmldate"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what they say of a page is said by the problem
    try:
        tree = lxml.html.document_fromstring(_XML.sub("", without_controls(page), count=1))
    except (lxml.etree.ParserError, ValueError):  # nothing but comments; characters that XML cannot hold
        return "", {}, 0
    write_what_is_shown(tree)
    count = write_formulas(tree) + write_raised_text(tree)
    metadata = trafilatura.extract_metadata(_without_marks(tree), extensive=False)
    fields = {
        name: str(value)
        for name in ("title", "author", "date", "license", "sitename")
        if (value := getattr(metadata, name, None))
    }
    fields.setdefault("license", _license(tree))
    fields.setdefault("title", "")
    _simplify(tree)
    text = _extracted(tree, page_characters=len(tree.text_content()))
    text = fractions(text).strip() if count else text.strip()
    return text, {name: value for name, value in fields.items() if value or name == "title"}, count


def _without_marks(tree: Any) -> Any:
    """A copy of a page without notes' marks, which are no part of a title or of an author's name."""
    copied = deepcopy(tree)
    for node in copied.iter() if "[^" in copied.text_content() else ():
        node.text, node.tail = (text and _MARK.sub("", text) for text in (node.text, node.tail))
    return copied


def _extracted(tree: Any, page_characters: int) -> str:
    """The main text by trafilatura, which glues the cells and paragraphs of a page that it finds short.

    Below `MIN_EXTRACTED_SIZE` characters it falls back on a dump of the page without its structure ("年人1020"), so a
    short page is read without that fallback too, and what holds more of the page is taken.
    """
    import trafilatura
    from trafilatura.settings import use_config

    def extract(**more: Any) -> str:
        extracted = trafilatura.extract(
            deepcopy(tree),
            output_format="markdown",
            include_comments=False,
            include_tables=True,
            include_links=False,
            favor_recall=True,
            **more,
        )
        return extracted or ""

    text = extract()
    if page_characters > SHORT_PAGE:
        return text
    config = use_config()
    config.set("DEFAULT", "MIN_EXTRACTED_SIZE", "1")
    structured = extract(config=config)
    return structured if _letters(structured) >= _letters(text) else text


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _license(tree: Any) -> str:
    """What a page in HTML's own way calls its licence (trafilatura knows links in the text only)."""
    for address in tree.xpath("//link[@rel='license']/@href"):
        named = _CREATIVE_COMMONS.search(address)
        return f"CC {named[1].upper()} {named[2]}" if named else str(address)
    return ""


def _simplify(tree: Any) -> None:
    """Change a page in place to what trafilatura keeps all of."""
    import lxml.etree

    for node in tree.xpath("//rt | //rp"):
        node.drop_tree()
    unlink(tree)
    flatten_tables(tree)
    lxml.etree.strip_tags(tree, *_EMPHASIS)
    for node in tree.xpath("//form"):
        if 2 * _letters(node.text_content()) > _letters(tree.text_content()):
            node.tag = "div"  # the page itself, as ASP.NET has it
    for node in tree.xpath("//figure"):
        node.tag = "div"  # else it goes with its caption
    for node in tree.xpath("//figcaption"):
        node.tag = "p"
    for table in reversed(tree.xpath("//table")):  # the innermost first
        if _is_layout(table):
            for node in [table, *table.xpath(".//tbody | .//thead | .//tr | .//td | .//th")]:
                node.tag = "div"
        else:
            for block in table.xpath(".//td//p | .//td//div | .//th//p | .//th//div"):
                block.tag, block.tail = "span", f" {block.tail or ''}"
    wrap_loose_text(tree)
    _name_main_part(tree)


def _name_main_part(tree: Any) -> None:
    """Call the body an article where nothing tells the page's main part: else trafilatura gathers pieces of it, and
    loses lists or headings."""
    from trafilatura.xpaths import BODY_XPATH

    for body in tree.xpath("//body"):
        if not any(find(tree) for find in BODY_XPATH):
            article = body.makeelement("article")
            article.extend(list(body))
            body.append(article)


def _is_layout(table: Any) -> bool:
    """True for a table that places blocks of text beside each other, as pages did before style sheets."""
    cells = table.xpath(".//td")
    if not cells or table.xpath(".//th") or _is_grid(table):
        return False
    return any(
        cell.xpath("|".join(f".//{block}" for block in _BLOCKS.split("|")))
        or len(cell.xpath(".//br")) > 3
        or len("".join(cell.itertext())) > LONG_CELL
        for cell in cells
    )


def _is_grid(table: Any) -> bool:
    """Whether a table is rows of short cells, in which paragraphs may stand: so Word and LibreOffice write theirs."""
    rows = [row.xpath("./td") for row in table.xpath("./tr | ./tbody/tr | ./thead/tr | ./tfoot/tr")]
    return sum(len(row) > 1 for row in rows) > 1 and all(
        len(cell.text_content()) <= SHORT_CELL
        and len(cell.xpath(".//p | .//div")) <= PARAGRAPHS
        and not cell.xpath(_GRID_BREAKERS)
        for row in rows
        for cell in row
    )
