"""What an OCR engine read on the pages of documents: a JSON file a document, by the hash of its bytes.

The corpus stage writes them (corpus/ocr.py) before it reads the documents, and readers take them for pages that hold no
text of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nemo_kcpt.documents.base import Place
from nemo_kcpt.files import atomic_write, sha256_file


@dataclass(frozen=True)
class OcrTexts:
    """The texts of a document's pages."""

    model: str = ""
    pages: Mapping[int, str] = field(default_factory=dict)
    """Page or slide, from 1 -> text."""


def texts_of(place: Place, path: Path) -> OcrTexts:
    """What was read on the pages of a file; nothing where no engine was asked."""
    known = _file(Path(place.ocr), sha256_file(path)) if place.ocr else None
    if known is None or not known.is_file():
        return OcrTexts()
    record = json.loads(known.read_text(encoding="utf-8"))
    return OcrTexts(record["model"], {int(page): text for page, text in record["pages"].items()})


def keep(folder: Path, sha256: str, texts: OcrTexts) -> None:
    """Write the texts of a document."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(_file(folder, sha256)) as out:
        json.dump({"model": texts.model, "pages": {str(page): text for page, text in texts.pages.items()}}, out)


def _file(folder: Path, sha256: str) -> Path:
    return folder / f"{sha256}.json"
