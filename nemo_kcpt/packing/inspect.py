"""`kcpt pack --inspect N`: a window as a person would read it, with a colour for each role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.packing.segments import INSTRUCTION, OUTPUT, TEXT
from nemo_kcpt.packing.store import read_window
from nemo_kcpt.records.packs import read_info

STYLES = {TEXT: "default", INSTRUCTION: "cyan", OUTPUT: "green"}


def print_window(folder: Path, number: int, tokenizer: PackTokenizer) -> None:
    """Print window `number` of the pack in `folder`.

    Raises:
        BadInput: no such window, or the pack was made with another tokenizer.
    """
    from rich.console import Console
    from rich.text import Text

    info = read_info(folder)
    if info.tokenizer_sha256 != tokenizer.sha256:
        raise BadInput(
            f"{folder}: was made with a tokenizer of hash {info.tokenizer_sha256[:12]}, {tokenizer.folder} has "
            f"{tokenizer.sha256[:12]}; give the tokenizer it was made with"
        )
    ids, row = read_window(folder, number)
    console = Console(highlight=False)
    legend = Text.assemble("text, ", ("instruction", STYLES[INSTRUCTION]), ", ", ("output", STYLES[OUTPUT]))
    filled = f"{row['length']} of {info.seq_length} tokens; "
    console.print(Text(f"{folder}, window {number} of {info.windows}: {filled}") + legend, soft_wrap=True)
    documents = set(row["cu_seqlens"][1:-1])
    ends = [*row["segment_starts"][1:], row["length"]]
    pair = None
    for index, (start, end) in enumerate(zip(row["segment_starts"], ends)):
        if start in documents:
            console.rule(style="dim", title=Text("another document", "dim"))
        if row["segment_pairs"][index] != pair or row["segment_roles"][index] == TEXT:
            console.print(Text(_heading(row, index, end - start), "dim"))
        pair = row["segment_pairs"][index]
        said = tokenizer.decode(ids[start:end].tolist())
        console.print(Text(said, STYLES[row["segment_roles"][index]]), soft_wrap=True)
    if row["length"] < info.seq_length:
        console.print(Text(f"[{info.seq_length - row['length']} tokens of padding]", "dim"))


def _heading(row: dict[str, Any], index: int, tokens: int) -> str:
    kind, paper, offset = row["segment_kinds"][index], row["paper_ids"][index], row["segment_offsets"][index]
    if row["segment_roles"][index] == TEXT:
        return f"── {paper}: {kind}, tokens {offset} to {offset + tokens}"
    support = row["support_starts"][index], row["support_ends"][index]
    about = f", about tokens {support[0]} to {support[1]}" if support[0] >= 0 else ""
    goes_on = f", from its token {offset} on" if offset else ""
    return f"── {paper or 'sample'}: {kind}, pair {row['segment_pairs'][index]}{goes_on}{about}"
