"""Small PDFs, written by hand: text in any script through a ToUnicode map, pictures, two columns, a lock."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import NamedTuple


class Show(NamedTuple):
    """A line of text at a place on the page (points from the lower left corner), turned counterclockwise by `angle`."""

    x: float
    y: float
    text: str
    size: float = 10
    angle: int = 0


_FORM = b'<< /Length 53 >> stream\n<xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/"></xdp:xdp>\nendstream'
IMAGE = b"q %d 0 0 %d 40 40 cm /I Do Q\n"


def make_pdf(
    pages: Sequence[Sequence[Show]],
    *,
    title: str | None = None,
    pictures: Sequence[int] = (),
    small_pictures: Sequence[int] = (),
    locked: bool = False,
    drawing: bytes = b"",
    rotate: int = 0,
    flags: int = 4,
    attachments: Sequence[str] = (),
    dynamic: bool = False,
) -> bytes:
    """A PDF with one A4 page for each item of `pages`; those numbered (from 1) in `pictures` show a full-page one.

    Every character is as wide as `size`, as Japanese ones are. `rotate` turns the pages clockwise for display; `flags`
    are the font's (4: symbols, 32: Latin), which is not embedded. A `dynamic` one is a form whose pages are made by the
    program that opens it.
    """
    objects: list[bytes] = []

    def add(body: bytes) -> int:
        objects.append(body)
        return len(objects)

    catalog, tree = add(b""), add(b"")
    codes = {character: code for code, character in enumerate(sorted({c for p in pages for s in p for c in s.text}), 1)}
    font = _font(add, codes, flags)
    image = add(
        b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 "
        b"/Length 1 >> stream\n\x00\nendstream"
    )
    kids = []
    for number, page in enumerate(pages, 1):
        content = b"".join(
            b"BT /F %g Tf %.4f %.4f %.4f %.4f %g %g Tm <%s> Tj ET\n"
            % (show.size, *_turned(show), show.x, show.y, "".join(f"{codes[c]:04X}" for c in show.text).encode())
            for show in page
        )
        content += IMAGE % (520, 760) * (number in pictures) + IMAGE % (60, 60) * (number in small_pictures) + drawing
        packed = zlib.compress(content)
        stream = add(b"<< /Length %d /Filter /FlateDecode >> stream\n%s\nendstream" % (len(packed), packed))
        kids.append(
            add(
                b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 595 842] /Rotate %d /Contents %d 0 R "
                b"/Resources << /Font << /F %d 0 R >> /XObject << /I %d 0 R >> >> >>"
                % (tree, rotate, stream, font, image)
            )
        )
    more = b" /AcroForm << /Fields [] /XFA %d 0 R >> /NeedsRendering true" % add(_FORM) if dynamic else b""
    if attachments:
        carried = add(b"<< /Type /EmbeddedFile /Length 2 >> stream\nhi\nendstream")
        named = [
            (
                name.encode(),
                add(
                    b"<< /Type /Filespec /F (%s) /UF (%s) /EF << /F %d 0 R >> >>"
                    % (name.encode(), name.encode(), carried)
                ),
            )
            for name in attachments
        ]
        more += b" /Names << /EmbeddedFiles << /Names [%s] >> >>" % b" ".join(b"(%s) %d 0 R" % pair for pair in named)
    objects[catalog - 1] = b"<< /Type /Catalog /Pages %d 0 R%s >>" % (tree, more)
    objects[tree - 1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(b"%d 0 R" % k for k in kids), len(kids))
    extra = b""
    if title is not None:
        extra += b" /Info %d 0 R" % add(b"<< /Title <%s> >>" % f"\ufeff{title}".encode("utf-16-be").hex().encode())
    if locked:
        lock = b"<< /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <%s> /U <%s> >>" % (b"61" * 32, b"62" * 32)
        extra += b" /Encrypt %d 0 R /ID [<%s> <%s>]" % (add(lock), b"63" * 16, b"63" * 16)
    return written(objects, catalog, extra)


def _turned(show: Show) -> tuple[float, float, float, float]:
    turn = math.radians(show.angle)
    return math.cos(turn), math.sin(turn), -math.sin(turn), math.cos(turn)


def _font(add: object, codes: dict[str, int], flags: int) -> int:
    assert callable(add)
    lines = [
        b"%d beginbfchar" % 1 + b" <%04X> <%s> endbfchar" % (n, c.encode("utf-16-be").hex().encode())
        for c, n in codes.items()
    ]
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def "
        b"1 begincodespacerange <0000> <FFFF> endcodespacerange\n" + b"\n".join(lines) + b"\nendcmap end end"
    )
    unicode = add(b"<< /Length %d >> stream\n%s\nendstream" % (len(cmap), cmap))
    about = add(
        b"<< /Type /FontDescriptor /FontName /Made /Flags %d /FontBBox [0 -200 1000 800] /ItalicAngle 0 /Ascent 800 "
        b"/Descent -200 /CapHeight 700 /StemV 80 >>" % flags
    )
    glyphs = add(
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Made /FontDescriptor %d 0 R /DW 1000 "
        b"/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>" % about
    )
    return int(
        add(
            b"<< /Type /Font /Subtype /Type0 /BaseFont /Made /Encoding /Identity-H /DescendantFonts [%d 0 R] "
            b"/ToUnicode %d 0 R >>" % (glyphs, unicode)
        )
    )


def written(objects: Sequence[bytes], catalog: int, extra: bytes) -> bytes:
    """The file of objects numbered from 1, one of which is the catalog; `extra` goes into the trailer."""
    out, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root %d 0 R%s >>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, catalog, extra, len(out))
    )
