#!/usr/bin/env bash
# What: PDFium leaves a text object of one character out of a page's text, without a word, if its font is neither embedded
#   nor on the machine; the same character in a longer text object is there.
# Versions: pypdfium2 5.15.2 (PDFium 159.0.8149.0), Linux.
# Guess: text comes from the font's ToUnicode map, so what fonts a machine has changes the look of a page, never its text.
# Seen: of "値は10" and a lone "大" beside it, "値は10" is found and "大" is not. Its box has no width, since there is no
#   outline, and PDFium takes text without width for nothing. Cells of tables (○, 大) and vertical writing go that way.
# Date: 2026-11-30
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pypdfium2==5.15.2
"$folder/venv/bin/python" - <<'PY'
import sys

import pypdfium2

TEXTS = {50: "値は10", 150: "大"}
codes = {letter: code for code, letter in enumerate(sorted(set("".join(TEXTS.values()))), 1)}
pairs = "\n".join(f"<{code:04X}> <{ord(letter):04X}>" for letter, code in codes.items())
cmap = (
    "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
    f"1 begincodespacerange <0000> <FFFF> endcodespacerange\n{len(codes)} beginbfchar\n{pairs}\nendbfchar\nendcmap end end"
)
content = "\n".join(
    f"BT /F 10 Tf {x} 700 Td <{''.join(f'{codes[letter]:04X}' for letter in text)}> Tj ET" for x, text in TEXTS.items()
)
objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>",
    f"<< /Length {len(content)} >> stream\n{content}\nendstream",
    "<< /Type /Font /Subtype /Type0 /BaseFont /NotHere /Encoding /Identity-H /DescendantFonts [6 0 R] /ToUnicode 8 0 R >>",
    "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /NotHere /FontDescriptor 7 0 R /DW 1000 "
    "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
    "<< /Type /FontDescriptor /FontName /NotHere /Flags 4 /FontBBox [0 -200 1000 800] /ItalicAngle 0 /Ascent 800 "
    "/Descent -200 /CapHeight 700 /StemV 80 >>",
    f"<< /Length {len(cmap)} >> stream\n{cmap}\nendstream",
]
data, offsets = b"%PDF-1.7\n", []
for number, body in enumerate(objects, 1):
    offsets.append(len(data))
    data += f"{number} 0 obj\n{body}\nendobj\n".encode()
start, table = len(data), "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
data += f"xref\n0 9\n0000000000 65535 f \n{table}trailer << /Size 9 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
text = pypdfium2.PdfDocument(data)[0].get_textpage().get_text_range()
print("on the page:", " ".join(TEXTS.values()))
print("PDFium says:", text)
sys.exit("all of it is there now" if "大" in text else 0 if "値は10" in text else "nothing is there: another cause")
PY
