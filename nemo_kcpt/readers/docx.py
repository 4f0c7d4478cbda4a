"""Word: one document a file, its text as it is shown with all changes accepted, as Markdown.

Headings go by outline level, whatever their styles are called; the numbers that Word counts are written; notes stand
at the end, text boxes behind the paragraph they are anchored in, formulas as TeX, raised text as characters. Headers,
footers, comments, hidden and deleted text and tables of contents are no text of the document.
"""

from __future__ import annotations

from collections.abc import Iterator

from nemo_kcpt.documents.base import Found, Piece, Place
from nemo_kcpt.office.docx.body import fill
from nemo_kcpt.office.package import documents
from nemo_kcpt.readers.base import Reader


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a file."""
    return documents(place, piece, ".docx", fill)


READER = Reader(name="docx", suffixes=(".docx", ".docm", ".dotx", ".dotm", ".doc"), read=read, documents=True)
