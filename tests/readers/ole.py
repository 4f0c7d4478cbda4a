"""A small OLE file (MS-CFB) of streams, for tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping

SECTOR, SMALL, CUTOFF = 512, 64, 4096
FREE, END = 0xFFFFFFFF, 0xFFFFFFFE


def ole_file(streams: Mapping[str, bytes]) -> bytes:
    """The bytes of an OLE file; names are paths of one or two parts."""
    folders = sorted({name.split("/")[0] for name in streams if "/" in name})
    entries: list[tuple[str, int, bytes]] = [("Root Entry", 5, b"")]
    entries += [(name, 1, b"") for name in folders]
    entries += [(name, 2, data) for name, data in streams.items()]
    children: dict[int, list[int]] = {0: []}
    for number, (name, _, _) in enumerate(entries[1:], 1):
        parent = 1 + folders.index(name.split("/")[0]) if "/" in name else 0
        children.setdefault(parent, []).append(number)
    siblings = {one: following for many in children.values() for one, following in zip(many, [*many[1:], FREE])}
    small = b""
    small_chain: list[int] = []
    small_starts: list[int] = []
    for _, kind, data in entries:
        count = -(-len(data) // SMALL) if kind == 2 and len(data) < CUTOFF else 0
        small_starts.append(len(small_chain))
        small += data.ljust(count * SMALL, b"\0") if count else b""
        small_chain += [len(small_chain) + number + 1 for number in range(count - 1)] + [END] * bool(count)
    sectors: list[bytes] = []
    chain: list[int] = []

    def add(data: bytes) -> int:
        if not data:
            return END
        first = len(sectors)
        pieces = [data[place : place + SECTOR].ljust(SECTOR, b"\0") for place in range(0, len(data), SECTOR)]
        sectors.extend(pieces)
        chain.extend([first + number + 1 for number in range(len(pieces) - 1)] + [END])
        return first

    entries[0] = ("Root Entry", 5, small)
    large = [kind != 2 or len(data) >= CUTOFF for _, kind, data in entries]
    starts = [add(data) if alone else first for (_, _, data), alone, first in zip(entries, large, small_starts)]
    directory = b""
    for number, ((name, kind, data), start) in enumerate(zip(entries, starts)):
        links = siblings.get(number, FREE), (children.get(number) or [FREE])[0]
        directory += _entry(name.split("/")[-1], kind, *links, start, len(data))
    small_table = struct.pack(f"<{len(small_chain)}I", *small_chain)
    first_small = add(small_table.ljust(-(-len(small_table) // SECTOR) * SECTOR, b"\xff"))
    first_directory = add(directory)
    count = -(-(len(chain) + 8) * 4 // SECTOR)
    first_table = len(sectors)
    table = chain + [0xFFFFFFFD] * count
    table += [FREE] * (count * SECTOR // 4 - len(table))
    sectors.extend(struct.pack("<128I", *table[place : place + 128]) for place in range(0, len(table), 128))
    places = [first_table + number for number in range(count)] + [FREE] * (109 - count)
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + b"\0" * 6
    head += struct.pack("<IIIIIIIII", 0, count, first_directory, 0, CUTOFF, first_small, 1, END, 0)
    return (head + struct.pack("<109I", *places)).ljust(SECTOR, b"\0") + b"".join(sectors)


def _entry(name: str, kind: int, sibling: int, child: int, start: int, size: int) -> bytes:
    wide = name.encode("utf-16-le") + b"\0\0"
    return (
        wide.ljust(64, b"\0")
        + struct.pack("<HBBIII", len(wide), kind, 1, FREE, sibling, child)
        + b"\0" * 36
        + struct.pack("<IQ", start, size)
    )
