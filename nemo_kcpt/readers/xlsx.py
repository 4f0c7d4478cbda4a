"""Excel: one document a file, its sheets as Markdown tables, each cell as it is shown and not as it is stored.

Numbers and dates go by their formats, formulas by the values that Excel has stored. What is hidden is left out and
named. Sheets are streamed, so that memory is that of the text.
"""

from __future__ import annotations

from collections.abc import Iterator

from nemo_kcpt.documents.base import Found, Piece, Place
from nemo_kcpt.office.package import documents
from nemo_kcpt.office.xlsx.workbook import fill
from nemo_kcpt.readers.base import Reader


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a file."""
    return documents(place, piece, ".xlsx", fill)


READER = Reader(name="xlsx", suffixes=(".xlsx", ".xlsm", ".xltx", ".xltm", ".xlsb", ".xls"), read=read, documents=True)
