"""The pack store: Megatron-Core's IndexedDataset for tokens and a Parquet table of what each window holds.

Stock Megatron reads `tokens.bin/.idx`; `windows.parquet` carries what it has no place for (papers, kinds, roles,
document borders). Importing Megatron costs seconds, so it happens inside the two functions that need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import publish
from nemo_kcpt.packing.windows import Window
from nemo_kcpt.records.packs import read_info

TOKENS, WINDOWS = "tokens", "windows.parquet"
ROWS_PER_GROUP = 1024
SUPPORT_COLUMNS = ("support_starts", "support_ends")
"""Which tokens of its paper's text a pair is about."""


def _schema() -> Any:
    import pyarrow as pa

    texts, numbers = pa.list_(pa.string()), pa.list_(pa.int32())
    return pa.schema(
        {
            "length": pa.int32(),
            "paper_ids": texts,
            "segment_kinds": texts,
            "segment_roles": texts,
            "segment_starts": numbers,
            "segment_pairs": numbers,
            "segment_offsets": numbers,
            "support_starts": numbers,
            "support_ends": numbers,
            "cu_seqlens": numbers,
        }
    )


def write_windows(folder: Path, windows: Iterable[Window], vocab_size: int) -> list[Path]:
    """Write windows one by one, memory staying at one row group; returns the files written."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from megatron.core.datasets.indexed_dataset import DType, IndexedDatasetBuilder

    temporary = {name: folder / f".{name}.tmp" for name in ("tokens.bin", "tokens.idx", WINDOWS)}
    schema = _schema()
    builder = IndexedDatasetBuilder(str(temporary["tokens.bin"]), dtype=DType.optimal_dtype(vocab_size))
    rows: list[dict[str, Any]] = []
    with pq.ParquetWriter(temporary[WINDOWS], schema) as writer:
        for window in windows:
            builder.add_document(torch.from_numpy(window.ids), [len(window.ids)])
            rows.append(window.row())
            if len(rows) == ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                rows.clear()
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    builder.finalize(str(temporary["tokens.idx"]))
    return [publish(path, folder / name) for name, path in temporary.items()]


def open_tokens(folder: Path) -> Any:
    """The pack's tokens as a memory-mapped IndexedDataset: item i is an integer array of `seq_length` ids."""
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    return IndexedDataset(str(folder / TOKENS), mmap=True)


def iterate_table(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of `windows.parquet` in order, one row group in memory at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / WINDOWS) as table:
        for batch in table.iter_batches(batch_size=ROWS_PER_GROUP):
            yield from batch.to_pylist()


def columns(folder: Path) -> set[str]:
    """Names of the columns of `windows.parquet`."""
    import pyarrow.parquet as pq

    return set(pq.read_schema(folder / WINDOWS).names)


def read_window(folder: Path, number: int) -> tuple[Any, dict[str, Any]]:
    """One window: its ids, [seq_length], and its row.

    Raises:
        BadInput: the pack has no such window.
    """
    info = read_info(folder)
    if not 0 <= number < info.windows:
        raise BadInput(f"{folder}: has no window {number}; its {info.windows} windows are counted from 0")
    tokens = open_tokens(folder)
    # A copy: what an IndexedDataset hands out points into a file that it unmaps when it is deleted.
    return tokens[number].copy(), next(islice(iterate_table(folder), number, None))
