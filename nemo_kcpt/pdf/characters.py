"""The characters of a PDF's page with their places, direction by direction, each as if the page stood upright for it.

PDFium puts characters into lines on the assumption that a page has one direction, and glues or turns round the lines of
any other. So where text stands sideways, each direction is read by itself: the page's other text is left out and what
remains is turned upright first.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from nemo_kcpt.pdf.unmapped import mapped

DEEPEST = 5
"""Forms inside forms that are looked into."""
QUARTER = 90
_JAPANESE = re.compile("[ぁ-ゖァ-ヺー一-鿿々、。]")
SMALL_DIGIT = 0.52
"""Share of the size that a font's own raised and lowered digits are high at most; old-style ones are higher."""


class Word(NamedTuple):
    """Characters of one size without white space, in points, in a page turned so that its text stands upright."""

    text: str
    left: float
    right: float
    base: float
    """Height of the baseline."""
    foot: float
    """Height of the last character's baseline, which is far below in vertical writing."""
    size: float
    space: str
    """White space before it: the page's own, and what PDFium takes for a space or a line's end."""
    number: int
    """Number of its first character in PDFium's text page."""


class Reading(NamedTuple):
    """The words of one direction."""

    turned: int
    """Degrees by which they are turned counterclockwise on the page, before the page itself is: 0, 90, 180, 270."""
    words: list[Word]


def readings(page: Any, objects: Sequence[Text]) -> Iterator[Reading]:
    """The text of a page, the direction with the most of it first; the page is left turned.

    Args:
        page: of pypdfium2.
        objects: its `text_objects`.
    """
    objects = _with_vertical_writing(objects)
    page.set_rotation(0)  # PDFium puts lines in order as the page is shown
    if all(each.angle == 0 for each in objects):
        textpage = page.get_textpage()
        yield Reading(0, _words(textpage, _scale(objects), page.get_bbox()))
        textpage.close()
        return
    inside = page.get_bbox()
    sizes: Counter[int] = Counter()
    for each in objects:
        sizes[each.angle] += round((each.right - each.left) * (each.top - each.bottom)) + 1
    turned = 0
    for angle, _ in sizes.most_common():
        own = [each for each in objects if each.angle == angle]
        for each in objects:
            _activate(each.item, each.angle == angle)
        _turn(page, turned - angle, inside)
        turned = angle
        textpage = page.get_textpage()
        yield Reading(angle, _words(textpage, _scale(own), None))
        textpage.close()


def _with_vertical_writing(objects: Sequence[Text]) -> Sequence[Text]:
    """The objects; a number that is turned clockwise in a column of upright letters is vertical, and so upright."""
    if {each.angle for each in objects} != {0, 270}:
        return objects
    adjusted = list(objects)
    for order in (range(len(adjusted)), range(len(adjusted) - 1, -1, -1)):
        before: Text | None = None
        for number in order:
            each = adjusted[number]
            if each.angle == 270 and before is not None and before.angle == 0 and _in_one_column(before, each):
                adjusted[number] = each._replace(angle=0)
            before = adjusted[number]
    return adjusted


def _in_one_column(neighbour: Text, turned: Text) -> bool:
    """Whether an upright letter or another number of a column stands right above or below a turned number."""
    wide = max(turned.right - turned.left, 1.0)
    gap = max(neighbour.bottom - turned.top, turned.bottom - neighbour.top)
    alone = neighbour.right - neighbour.left < 1.4 * wide  # a single letter, or numbers turned like these
    return (
        alone and gap < 1.2 * wide and max(neighbour.right, turned.right) - min(neighbour.left, turned.left) < 2 * wide
    )


def _scale(objects: Sequence[Text]) -> float:
    """What a font's size is multiplied by, where it is the same for all text; else 0."""
    scales = {round(each.scale, 2) for each in objects}
    return scales.pop() if len(scales) == 1 else 0.0


def _words(textpage: Any, scale: float, inside: tuple[float, float, float, float] | None) -> list[Word]:
    """The words of a text page that are not off the page, `inside` being its edges."""
    import pypdfium2.raw as pdfium

    x, y = ctypes.c_double(), ctypes.c_double()
    left_, right_, bottom_, top_ = (ctypes.c_double() for _ in range(4))
    matrix, box = pdfium.FS_MATRIX(), pdfium.FS_RECTF()
    units = mapped(textpage, _units(textpage))
    words: list[Word] = []
    space = text = ""
    first, size = 0, 0.0

    def close(end: int) -> None:
        nonlocal space, text, first
        pdfium.FPDFText_GetCharOrigin(textpage, first, x, y)
        pdfium.FPDFText_GetLooseCharBox(textpage, first, box)
        left, right, bottom, top = box.left, box.right, box.bottom, box.top
        base = foot = y.value
        if end > first:
            pdfium.FPDFText_GetLooseCharBox(textpage, end, box)
            left, right = min(left, box.left), max(right, box.right)
            pdfium.FPDFText_GetCharOrigin(textpage, end, x, y)
            foot = y.value
        times = scale
        if not times:
            pdfium.FPDFText_GetMatrix(textpage, first, matrix)
            times = math.hypot(matrix.c, matrix.d)
        own = size * times
        if base - foot > 0.9 * own and "\x02" not in text and not _JAPANESE.search(text):
            cuts = _cuts(textpage, first, end, 0.9 * own)
            if cuts and len(text) == end - first + 1:  # letters below each other, which PDFium takes for one word
                whole, start = text, first
                for at, stop in pairwise([start, *cuts, end + 1]):
                    first, text = at, whole[at - start : stop - start]
                    close(stop - 1)
                    space = "\n"
                space = ""
                return
        if text.isdigit():  # a font may have raised digits of its own, on the line's baseline
            pdfium.FPDFText_GetCharBox(textpage, first, left_, right_, bottom_, top_)
            low, high = (bottom_.value - base) / (own or 1), (top_.value - base) / (own or 1)
            if 0.1 < high - low < SMALL_DIGIT and (low > 0.2 or low < -0.05):
                base, own = base + (0.35 if low > 0 else -0.15) * own, 0.6 * own
        if inside is None or not (
            right < inside[0] or left > inside[2] or top < inside[1] or bottom > inside[3]
        ):  # what is off the page is what is cut off of a drawing
            words.append(Word(text, left, right, base, foot, own, space, first))
            space = ""
        text = ""

    last, digits, lowest = 0, False, 0.0
    high = ""
    for number, unit in enumerate(units):
        if "\ud800" <= unit < "\udc00":
            high = unit
            continue
        if high:
            unit, high = (high + unit).encode("utf-16", "surrogatepass").decode("utf-16", "replace"), ""
        if unit.isspace() or unit == "\x00":
            if text:
                close(last)
            space += unit.strip("\x00\r")
            continue
        own = pdfium.FPDFText_GetFontSize(textpage, number)
        if unit.isdigit():
            pdfium.FPDFText_GetCharBox(textpage, number, left_, right_, bottom_, top_)
            low = bottom_.value
            if text and digits and abs(low - lowest) > 0.15 * (top_.value - low):
                close(last)
            lowest = low if not text or not digits else lowest
        if text and (own != size or unit.isdigit() != digits):
            close(last)
        if not text:
            first, size, digits = number, own, unit.isdigit()
        text += unit if unit != "\ufffe" else "\x02"  # both are PDFium's hyphen at a line's end
        last = number
        if text[-1] == "\x02":  # the word's other half is on the next line
            close(last)
    if text:
        close(last)
    return [_on_its_line(word, before) for word, before in zip(words, [None, *words])]


def _cuts(textpage: Any, first: int, end: int, down: float) -> list[int]:
    """The characters of a word, by number, that stand so far below the one before."""
    import pypdfium2.raw as pdfium

    x, y = ctypes.c_double(), ctypes.c_double()
    heights = []
    for number in range(first, end + 1):
        pdfium.FPDFText_GetCharOrigin(textpage, number, x, y)
        heights.append(y.value)
    return [first + n for n, (above, below) in enumerate(pairwise(heights), 1) if above - below > down]


def _on_its_line(word: Word, before: Word | None) -> Word:
    """A word without the line's end before it that PDFium sees where a comma or a minus is drawn by itself: a number in
    pieces stands on one baseline, each piece right behind the other."""
    if before is None or "\n" not in word.space or not word.size:
        return word
    gap = (word.left - before.right) / word.size
    if abs(word.base - before.foot) > 0.02 * word.size or not -0.3 < gap < 0.25 or word.size != before.size:
        return word
    return word._replace(space=" " if gap > 0.12 else "")


def _units(textpage: Any) -> list[str]:
    """The UTF-16 units of a text page, one for each of PDFium's characters."""
    import pypdfium2.raw as pdfium

    count = textpage.count_chars()
    buffer = (ctypes.c_ushort * (count + 1))()
    if count and pdfium.FPDFText_GetText(textpage, 0, count, buffer) == count + 1:
        return [chr(unit) for unit in buffer[:count]]
    return [chr(pdfium.FPDFText_GetUnicode(textpage, number)) for number in range(count)]


class Text(NamedTuple):
    """A text object: PDFium's handle, the angle at which it stands, the factor of its font's size, its edges."""

    item: Any
    angle: int
    scale: float
    left: float
    bottom: float
    right: float
    top: float


def text_objects(page: Any) -> Iterator[Text]:
    """Every text object of a page, those in forms too."""
    import pypdfium2.raw as pdfium

    matrix = pdfium.FS_MATRIX()
    edges = [ctypes.c_float() for _ in range(4)]

    def within(count: int, get: Callable[[int], Any], turned: float, scale: float, depth: int) -> Iterator[Text]:
        for number in range(count):
            item = get(number)
            kind = pdfium.FPDFPageObj_GetType(item)
            if kind not in (pdfium.FPDF_PAGEOBJ_TEXT, pdfium.FPDF_PAGEOBJ_FORM):
                continue
            pdfium.FPDFPageObj_GetMatrix(item, matrix)
            angle = turned + math.degrees(math.atan2(matrix.b, matrix.a))
            own = scale * math.hypot(matrix.c, matrix.d)
            if kind == pdfium.FPDF_PAGEOBJ_TEXT:
                pdfium.FPDFPageObj_GetBounds(item, *edges)
                left, bottom, right, top = (edge.value for edge in edges)
                yield Text(item, round(angle / QUARTER) * QUARTER % 360, own, left, bottom, right, top)
            elif depth < DEEPEST:
                form = partial(pdfium.FPDFFormObj_GetObject, item)
                yield from within(pdfium.FPDFFormObj_CountObjects(item), form, angle, own, depth + 1)

    whole = partial(pdfium.FPDFPage_GetObject, page)
    yield from within(pdfium.FPDFPage_CountObjects(page), whole, 0.0, 1.0, 0)


def _activate(item: Any, active: bool) -> None:
    import pypdfium2.raw as pdfium

    pdfium.FPDFPageObj_SetIsActive(item, active)


def _turn(page: Any, degrees: int, inside: tuple[float, float, float, float]) -> None:
    """Turn all that is on a page counterclockwise about its middle."""
    import pypdfium2.raw as pdfium

    if not degrees % 360:
        return
    cosine, sine = round(math.cos(math.radians(degrees))), round(math.sin(math.radians(degrees)))
    x, y = (inside[0] + inside[2]) / 2, (inside[1] + inside[3]) / 2
    moved = (x - cosine * x + sine * y, y - sine * x - cosine * y)
    for number in range(pdfium.FPDFPage_CountObjects(page)):
        item = pdfium.FPDFPage_GetObject(page, number)
        pdfium.FPDFPageObj_Transform(item, cosine, sine, -sine, cosine, *moved)
