"""Rows of Arrow tables as documents, made one at a time: a batch may hold one text and refer to it a million times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nemo_kcpt.documents.base import Found, Place, Unreadable, too_large
from nemo_kcpt.documents.streams import Packed

ROWS = 256
"""Rows read at a time."""
LEAST = 64
"""Bytes that a row counts as having at least, so that rows of nothing are not without end."""


def documents_in(
    batch: Any, *, first: int, path: str, source: str, place: Place, packed: Packed, read: int
) -> Iterator[Found]:
    """The rows of a pyarrow RecordBatch; one that is too large is a problem, a value that Python cannot hold is named.

    Args:
        batch: the rows.
        first: number of the batch's first row in the file, counted from 1.
        path: the file, for messages.
        source: the file's place in the corpus.
        place: where the corpus is.
        packed: the guard of this file.
        read: bytes the file has on disk.

    Raises:
        Overflow: the file unpacks to far more than it should.
    """
    import pyarrow as pa

    raw = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    kept = [index for index, field in enumerate(batch.schema) if not any(test(field.type) for test in raw)]
    names = [batch.schema.names[index] for index in kept]
    columns = [batch.column(index) for index in kept]
    for row in range(len(batch)):
        where = f"{path}, row {first + row}"
        record: dict[str, Any] = {}
        problem = ""
        try:
            size = sum(_size(column[row]) for column in columns)
            packed.add(max(size, LEAST), read)
            if size > place.max_bytes:
                problem = too_large(size, place)
            else:
                for name, column in zip(names, columns):
                    record[name] = _value(name, column[row])
        except (IndexError, OverflowError) as error:  # damage
            problem = f"the row cannot be read ({error})"
        if not problem and len(record) < len(names):
            problem = f"two columns have the same name ({', '.join(names)}); rename one"
        yield Found(where, source, {}, problem) if problem else Found(where, source, record)


def _value(name: str, scalar: Any) -> Any:
    """The value of a field, without raw bytes."""
    import numpy as np
    import pyarrow as pa

    try:
        value = scalar.as_py()
        if value is not None and isinstance(scalar, pa.FloatScalar):
            return float(str(np.float32(value)))  # 0.1 as the file has it, not 0.10000000149011612
        return without_bytes(value)
    except UnicodeDecodeError as error:
        return Unreadable(
            f"column {name} is no text ({error.reason} at byte {error.start}); write the file anew as UTF-8"
        )
    except (IndexError, OverflowError, ValueError) as error:  # damage; a date beyond the year 9999
        return Unreadable(f"column {name} cannot be read ({error})")


def _size(scalar: Any) -> int:
    """Bytes of a text, without making it; 0 for what else a column may hold, which is small or is measured later."""
    import pyarrow as pa

    value = scalar.value if isinstance(scalar, pa.DictionaryScalar) else scalar
    if isinstance(value, (pa.StringScalar, pa.LargeStringScalar, pa.BinaryScalar)) and value.is_valid:
        return int(value.as_buffer().size)
    if isinstance(value, (pa.ListScalar, pa.StructScalar)) and value.is_valid:
        return sum(_size(item) for item in (value.values or () if isinstance(value, pa.ListScalar) else value.values()))
    return 0


def without_bytes(value: Any) -> Any:
    """`value` without raw bytes (pictures, sound), which are no text and no metadata."""
    if isinstance(value, dict):
        return {key: without_bytes(item) for key, item in value.items() if not isinstance(item, bytes)}
    if isinstance(value, list):
        return [without_bytes(item) for item in value if not isinstance(item, bytes)]
    return None if isinstance(value, bytes) else value
