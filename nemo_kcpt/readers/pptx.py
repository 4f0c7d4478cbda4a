"""PowerPoint: one document a file, its slides in their order, parted by form feeds as the pages of a PDF are."""

from __future__ import annotations

from collections.abc import Iterator

from nemo_kcpt.readers.base import Found, Piece, Place, Reader
from nemo_kcpt.readers.office import documents
from nemo_kcpt.readers.pptx_pictures import PICTURES
from nemo_kcpt.readers.pptx_slide import fill


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a file."""
    return documents(place, piece, ".pptx", fill)


READER = Reader(
    name="pptx",
    suffixes=(".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm", ".ppt", ".pps"),
    read=read,
    documents=True,
    pictures=PICTURES,
)
