"""The pack store: Megatron-Core's IndexedDataset for tokens and a Parquet table of what each window holds.

Stock Megatron reads `tokens.bin/.idx`; `windows.parquet` carries what it has no place for (papers, kinds, roles,
document borders). Importing Megatron costs seconds, so it happens inside the two functions that need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import publish
from nemo_kcpt.packing.windows import Window
from nemo_kcpt.runs import read_manifest

TOKENS, WINDOWS = "tokens", "windows.parquet"
ROWS_PER_GROUP = 1024


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


@dataclass(frozen=True, kw_only=True)
class PackInfo:
    """What a trainer must know of a pack before opening it."""

    folder: Path
    fingerprint: str
    mode: str
    seq_length: int
    windows: int
    tokens: int
    """In them, without padding."""
    replay_windows: int
    """How many of them, the last ones, hold replay text."""
    tokenizer_sha256: str
    vocab_size: int
    made_of: Mapping[str, Any]
    """Config and input hashes by which packs differ."""

    @property
    def step_tokens(self) -> int:
        """Tokens by which steps are counted.

        Packs of modes `concat` and `raw` are one stream cut into windows, as long at every window length, so its tokens
        give the same number of steps at all of them. In other packs a window may repeat text and leave room, and each
        counts whole.
        """
        return self.tokens if self.mode in ("concat", "raw") else self.windows * self.seq_length


def read_info(folder: Path) -> PackInfo:
    """The pack's manifest, checked.

    Raises:
        BadInput: not a finished pack or not of this version, or a file's size is not what the manifest says.
    """
    if not (folder / "manifest.json").is_file():
        raise BadInput(f"{folder}: not a finished pack (no manifest.json); make one with kcpt pack")
    manifest = read_manifest(folder)
    for name, entry in manifest["outputs"].items():
        size = (folder / name).stat().st_size if (folder / name).is_file() else 0
        if size != entry["bytes"]:
            raise BadInput(
                f"{folder / name}: {size} bytes, the manifest says {entry['bytes']}; "
                "make the pack again with kcpt pack --redo"
            )
    counts, config = manifest["counts"], manifest["config"]
    try:
        return PackInfo(
            folder=folder,
            fingerprint=manifest["fingerprint"],
            mode=config["mode"],
            seq_length=config["seq_length"],
            windows=counts["windows"],
            tokens=counts["tokens"],
            replay_windows=counts["replay_windows"],
            tokenizer_sha256=counts["tokenizer_sha256"],
            vocab_size=counts["vocab_size"],
            made_of={**config, **{f"input {name}": value for name, value in manifest["inputs"].items()}},
        )
    except KeyError as error:
        raise BadInput(
            f"{folder / 'manifest.json'}: has no {error}: this is no pack, or one of another version of nemo_kcpt; "
            "make it again with kcpt pack --redo"
        ) from None


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
