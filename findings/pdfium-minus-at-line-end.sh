#!/usr/bin/env bash
# What: PDFium takes a minus sign at the end of a line for a hyphen that joins two halves of a word, also where a number
#   follows: of "設計値-" and "13.9である" on the next line it makes 設計値, U+FFFE, 13.9である, without the line's end.
# Versions: pypdfium2 5.15.2 (PDFium 159.0.8149.0), Linux.
# Guess: what is marked as a line's hyphen stands between two letters of a word that hyphenates; a sign before a digit, after
#   Japanese, stays the character that the page shows.
# Seen: whoever drops the mark, as one does with non-characters, reads 13.9 for -13.9. After a space ("at -" and "13.9") the
#   sign stays.
# Ours: the sign goes to its number (nemo_kcpt/pdf/page.py; test_a_sign_at_a_line_end_stays_with_its_number in
#   tests/pdf/test_unseen.py).
# Date: 2026-11-30
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pypdfium2==5.15.2
"$folder/venv/bin/python" - <<'PY'
import sys

import pypdfium2

LINES = ["設計値-", "13.9である"]
codes = {letter: code for code, letter in enumerate(sorted(set("".join(LINES))), 1)}
pairs = "\n".join(f"<{code:04X}> <{ord(letter):04X}>" for letter, code in codes.items())
cmap = (
    "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
    f"1 begincodespacerange <0000> <FFFF> endcodespacerange\n{len(codes)} beginbfchar\n{pairs}\nendbfchar\nendcmap end end"
)
content = "\n".join(
    f"BT /F 10 Tf 50 {700 - 12 * number} Td <{''.join(f'{codes[letter]:04X}' for letter in line)}> Tj ET"
    for number, line in enumerate(LINES)
)
objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>",
    f"<< /Length {len(content)} >> stream\n{content}\nendstream",
    "<< /Type /Font /Subtype /Type0 /BaseFont /Made /Encoding /Identity-H /DescendantFonts [6 0 R] /ToUnicode 8 0 R >>",
    "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Made /FontDescriptor 7 0 R /DW 1000 "
    "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
    "<< /Type /FontDescriptor /FontName /Made /Flags 4 /FontBBox [0 -200 1000 800] /ItalicAngle 0 /Ascent 800 "
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
print("on the page:", " / ".join(LINES))
print("PDFium says:", ascii(text))
sys.exit(0 if "\ufffe13.9" in text else "the sign is there now" if "-" in text else "nothing is there: another cause")
PY
