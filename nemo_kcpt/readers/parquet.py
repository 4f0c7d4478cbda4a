"""Parquet: one document a row, all columns but those of raw bytes; a piece is one row group or several small ones.

Text columns are read as dictionaries, so that a text which the file holds once and names in every row is in memory
once; rows become Python values one at a time, under the same guard as gzip files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nemo_kcpt.documents.base import PIECE, Found, Piece, Place, one_file
from nemo_kcpt.documents.streams import BLOCK, RATIO, UNPACKED, Overflow, Packed
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.readers.tables import ROWS, documents_in

WAY_OUT = "If it is neither, write the file anew without what repeats in every row"


def _open(path: Path, text_columns: list[str] | None = None) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(
        path, read_dictionary=text_columns, buffer_size=BLOCK, page_checksum_verification=True
    )


def divide(place: Place, path: Path) -> Iterator[tuple[int, int, int]]:
    """Ranges of row groups, each with the number of its first row; the whole file if its footer cannot be read."""
    import pyarrow as pa

    try:
        with _open(path) as file:
            metadata = file.metadata
            groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    except (OSError, pa.ArrowException):
        yield 0, -1, 1
        return
    start, number = 0, 1
    size = rows = 0
    for index, group in enumerate(groups):
        size += group.total_byte_size
        rows += group.num_rows
        if size >= PIECE:
            yield start, index + 1, number
            start, number, size, rows = index + 1, number + rows, 0, 0
    if start < len(groups) or not groups:
        yield start, len(groups), number


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The documents of some row groups; one that is damaged is a problem, and the next is read."""
    import pyarrow as pa

    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        with _open(path) as file:
            metadata = file.metadata
            leaves = [file.schema.column(index) for index in range(len(file.schema))]
    except (OSError, pa.ArrowException) as error:
        yield Found(str(path), source, {}, _unreadable("the file", error))
        return
    if not metadata.num_rows:
        yield Found(str(path), source, {}, "the file has no rows")
        return
    columns = [leaf.path for leaf in leaves if not _is_raw(leaf)]
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    number = piece.number
    stop = piece.stop if piece.stop >= 0 else metadata.num_row_groups
    on_disk = path.stat().st_size
    packed = Packed("the Parquet file", WAY_OUT)
    with _open(path, texts) as file:
        for index in range(piece.start, stop):
            group = metadata.row_group(index)
            at = number
            try:
                _refuse_dense(group, index, on_disk)
                for batch in file.iter_batches(ROWS, row_groups=[index], columns=columns, use_threads=False):
                    yield from documents_in(
                        batch, first=at, path=str(path), source=source, place=place, packed=packed, read=on_disk
                    )
                    at += len(batch)
            except Overflow as error:
                yield Found(f"{path}, row {at}", source, {}, f"{error}. The rest of row group {index} is not read")
            except (OSError, pa.ArrowException) as error:  # beside damage: what Arrow cannot do, too little memory
                yield Found(f"{path}, row {at}", source, {}, _unreadable(f"row group {index}", error))
            number += group.num_rows


def _is_raw(leaf: Any) -> bool:
    """True for raw bytes, which are neither text nor a number."""
    return leaf.physical_type in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY") and leaf.logical_type.type == "NONE"


def _refuse_dense(group: Any, index: int, on_disk: int) -> None:
    # The group's own total: to ask a column for its sizes ends the process if the column is encrypted.
    if group.total_byte_size > UNPACKED and group.total_byte_size > RATIO * on_disk:
        raise Overflow(
            f"row group {index} unpacks to {group.total_byte_size:,} bytes, more than {RATIO} times the file's size: a "
            f"mistake or a bomb. {WAY_OUT}"
        )


def _unreadable(what: str, error: Exception) -> str:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    if "decrypt" in reason.lower() or "encrypted" in reason.lower():
        return f"{what} is encrypted ({reason}); decrypt the file, or write it anew without encryption"
    if isinstance(error, (NotImplementedError, MemoryError)):
        return f"{what} cannot be read ({reason}); write the file anew, with smaller row groups and plain columns"
    return f"{what} is damaged, or no Parquet ({reason}); fetch or write the file anew"


READER = Reader(name="parquet", suffixes=(".parquet",), read=read, divide=divide)
