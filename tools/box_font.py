"""Write the font that stands in for one that a PDF does not embed: `nemo_kcpt/pdf/box_font.py`.

Every character but the spaces has a box as large as a Japanese or a Latin letter, so that none of them is without width
and PDFium drops none. No outline of anybody's font is in it. Run it as `.venv/bin/python tools/box_font.py`.
"""

from __future__ import annotations

import base64
import io
import textwrap
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "nemo_kcpt" / "pdf" / "box_font.py"
SPACES = (0x20, 0xA0, 0x3000, *range(0x2000, 0x200C))
JAPANESE_CHINESE_KOREAN = 0x003E0001
"""OS/2 ulCodePageRange1: Latin 1 and the five code pages of East Asia."""


def font() -> bytes:
    """The font as a TrueType file, the same bytes whenever it is made."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from fontTools.ttLib.tables._c_m_a_p import CmapSubtable

    def box(right: int, bottom: int, top: int) -> Any:
        pen = TTGlyphPen(None)
        pen.moveTo((50, bottom))
        for point in ((50, top), (right, top), (right, bottom)):
            pen.lineTo(point)
        pen.closePath()
        return pen.glyph()

    wide, half, empty = box(950, -80, 830), box(450, 0, 700), TTGlyphPen(None).glyph()
    names = [".notdef", "space", "half", "wide"]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({0x20: "space", 0x21: "half"})
    builder.setupGlyf({".notdef": wide, "space": empty, "half": half, "wide": wide})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    builder.setupNameTable({"familyName": "Box", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=880, sTypoDescender=-120, ulCodePageRange1=JAPANESE_CHINESE_KOREAN)
    builder.setupPost(keepGlyphNames=False)
    many = CmapSubtable.newSubtable(13)
    many.platformID, many.platEncID, many.language, many.format, many.reserved = 3, 10, 0, 13, 0
    many.cmap = {code: "wide" for code in range(0x21, 0xFFFE) if not 0xD800 <= code < 0xE000}
    many.cmap |= dict.fromkeys(range(131072, 204800), "wide")
    many.cmap |= dict.fromkeys((*range(0x21, 0x370), *range(0xFF61, 0xFFA0)), "half") | dict.fromkeys(SPACES, "space")
    builder.font["cmap"].tables.append(many)
    builder.font["head"].created = builder.font["head"].modified = 0
    builder.font.recalcTimestamp = False
    stream = io.BytesIO()
    builder.save(stream)
    return stream.getvalue()


def module() -> str:
    """The module that holds the font."""
    lines = "\n".join(f'    "{line}"' for line in textwrap.wrap(base64.b64encode(font()).decode(), 112))
    return (
        '"""The font that stands in for one that a PDF does not embed; written by tools/box_font.py."""\n\n'
        "from __future__ import annotations\n\nimport base64\n\n"
        f"FONT = base64.b64decode(\n{lines}\n)\n"
    )


if __name__ == "__main__":
    TARGET.write_text(module(), encoding="utf-8")
