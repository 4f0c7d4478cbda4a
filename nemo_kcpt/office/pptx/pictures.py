"""Slides that are only pictures, for an OCR engine: which they are, and each drawn from the pictures in the file.

Nothing draws a slide without an office suite, but of a slide without text all that matters are its pictures: they are
put where they are on it, cropped and turned by quarters as it shows them. Drawings (EMF, WMF, SVG) cannot be drawn.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nemo_kcpt.documents.base import Place
from nemo_kcpt.documents.zipped import BadContainer, Container
from nemo_kcpt.office.package import UNEXPECTED, Contents, Package, attribute, child, local
from nemo_kcpt.office.pptx.order import Box
from nemo_kcpt.office.pptx.slide import Slide, fill, shapes_of, slides_of

EMU = 914_400
"""Units of PowerPoint in an inch."""
LONGEST = 4_096
"""Pixels of a drawn slide's longer side at most."""
SLIDE = (9_144_000, 6_858_000)
"""Width and height of a slide where the file does not say them."""


class Shown(NamedTuple):
    """A picture on a slide."""

    part: str
    """Where the file has it."""
    box: Box | None
    """None: the whole slide."""
    crop: tuple[float, float, float, float]
    """Shares cut off from the left, the top, the right and the bottom."""
    quarters: int
    """By which it is turned clockwise."""


def picture_slides(place: Place, path: Path) -> list[int]:
    """The slides, from 1, that are only pictures; none of a file that cannot be read."""
    contents = Contents()
    try:
        with Container(path, place, ".pptx") as container:
            fill(Package(container), contents, replace(place, ocr=""))
    except (BadContainer, RecursionError, *UNEXPECTED):
        return []
    return list(contents.fields.get("image_slides", ()))


def slide_image(path: Path, number: int, dpi: int) -> bytes:
    """A slide, from 1, as a PNG in shades of grey: its pictures on white; at most `LONGEST` pixels a side.

    Raises:
        ValueError: none of its pictures can be drawn.
        BadContainer: the file, or one of them, cannot be read.
    """
    import PIL.Image

    with Container(path, Place(name=str(path)), ".pptx") as container:
        package = Package(container)
        main, parts = slides_of(package)
        size = child(package.xml(main), "sldSz")
        wide, high = (int(attribute(size, name) or 0) or usual for name, usual in zip(("cx", "cy"), SLIDE))
        scale = min(dpi / EMU, LONGEST / max(wide, high))
        drawn = PIL.Image.new("L", (max(1, round(wide * scale)), max(1, round(high * scale))), 255)
        name = parts[number - 1]
        count = 0
        for picture in _pictures(Slide(package, Contents(), name, package.xml(name))):
            try:
                _paste(drawn, container.read(picture.part), picture, scale)
                count += 1
            except (OSError, ValueError, PIL.Image.DecompressionBombError):
                continue  # a drawing, or damaged: what else is there may be read
        if not count:
            raise ValueError("its pictures are in no format that can be drawn here; save it as a PDF")
    out = io.BytesIO()
    drawn.save(out, "PNG")
    return out.getvalue()


def _paste(drawn: Any, data: bytes, picture: Shown, scale: float) -> None:
    """Put a picture onto a slide."""
    import PIL.Image

    box = picture.box or Box(0, 0, drawn.width / scale, drawn.height / scale)
    left, top, right, bottom = (round(edge * scale) for edge in box)
    with PIL.Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGBA")
    cuts = picture.crop
    edges = (cuts[0] * image.width, cuts[1] * image.height, (1 - cuts[2]) * image.width, (1 - cuts[3]) * image.height)
    image = image.crop(tuple(round(edge) for edge in edges))
    image = image.resize((max(1, min(right - left, LONGEST)), max(1, min(bottom - top, LONGEST))))
    if picture.quarters:
        image = image.rotate(-90 * picture.quarters, expand=True)  # about its middle, as PowerPoint does
        left += (right - left - image.width) // 2
        top += (bottom - top - image.height) // 2
    drawn.paste(image.convert("L"), (left, top), image.getchannel("A"))


def _pictures(slide: Slide) -> Iterator[Shown]:
    """The pictures of a slide, those below first."""
    background = child(slide.root, "cSld", "bg", "bgPr", "blipFill")
    yield from _picture_of(slide, background, None, None)
    yield from _below(slide, child(slide.root, "cSld", "spTree"), (1.0, 1.0, 0.0, 0.0))


def _below(slide: Slide, tree: Any, at: tuple[float, float, float, float]) -> Iterator[Shown]:
    """Those of a tree or a group, whose places become `x * at[0] + at[2]`, `y * at[1] + at[3]`."""
    for shape in shapes_of(tree):
        if local(shape) == "grpSp":
            yield from _below(slide, shape, _inside(child(shape, "grpSpPr", "xfrm"), at))
            continue
        box = slide.box(shape)
        if box is not None:
            box = Box(
                box.left * at[0] + at[2], box.top * at[1] + at[3], box.right * at[0] + at[2], box.bottom * at[1] + at[3]
            )
        fill_of = child(shape, "blipFill") if local(shape) == "pic" else child(shape, "spPr", "blipFill")
        yield from _picture_of(slide, fill_of, box, child(shape, "spPr", "xfrm"))


def _inside(frame: Any, at: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """The places within a group, whose shapes are in units of its own (ECMA-376, 20.1.7.5)."""
    left, top, own_left, own_top = (
        float(attribute(child(frame, name), axis) or 0) for name in ("off", "chOff") for axis in "xy"
    )
    wide, high, own_wide, own_high = (
        float(attribute(child(frame, name), axis) or 0) for name in ("ext", "chExt") for axis in ("cx", "cy")
    )
    across, down = (wide / own_wide if own_wide else 1.0), (high / own_high if own_high else 1.0)
    return (
        at[0] * across,
        at[1] * down,
        (left - own_left * across) * at[0] + at[2],
        (top - own_top * down) * at[1] + at[3],
    )


def _picture_of(slide: Slide, fill_of: Any, box: Box | None, frame: Any) -> Iterator[Shown]:
    part = slide.package.target(slide.part, attribute(child(fill_of, "blip"), "embed"))
    if part:
        cut = child(fill_of, "srcRect")
        crop = [min(max(float(attribute(cut, side) or 0) / 100_000, 0.0), 0.49) for side in "ltrb"]
        turned = round(float(attribute(frame, "rot") or 0) / 5_400_000) % 4
        yield Shown(part, box, (crop[0], crop[1], crop[2], crop[3]), turned)
