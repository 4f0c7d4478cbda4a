"""PowerPoint: one document a file, its slides in their order, parted by form feeds as the pages of a PDF are."""

from __future__ import annotations

from collections.abc import Iterator

from nemo_kcpt.documents.base import Found, Piece, Place
from nemo_kcpt.office.package import documents
from nemo_kcpt.office.pptx.pictures import picture_slides, slide_image
from nemo_kcpt.office.pptx.slide import fill
from nemo_kcpt.readers.base import Pictures, Reader


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a file."""
    return documents(place, piece, ".pptx", fill)


READER = Reader(
    name="pptx",
    suffixes=(".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm", ".ppt", ".pps"),
    read=read,
    documents=True,
    pictures=Pictures(picture_slides, slide_image),
)
