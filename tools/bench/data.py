"""Real Japanese documents for benchmarks, from a folder of yours: `--data FOLDER`.

    FOLDER/jaquad/*.json             JaQuAD (So et al. 2022), dataset SkelterLabsInc/JaQuAD on the Hugging Face hub
    FOLDER/llm-jp-tokenizer/hf/      the tokenizer of llm-jp/llm-jp-3-1.8b, as on the hub

A benchmark without them leaves out what needs them, or takes made-up text, and says so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER: Path | None = None
"""What --data named."""


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A benchmark's options, with --data."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, help="folder with jaquad/ and llm-jp-tokenizer/ (tools/bench/data.py)")
    return options


def parsed(options: argparse.ArgumentParser) -> argparse.Namespace:
    """The options given; --data is remembered."""
    global FOLDER
    given = options.parse_args()
    FOLDER = given.data
    return given


def jaquad() -> Iterator[dict[str, Any]]:
    """JaQuAD's articles, as its files have them; none where there is no folder."""
    for path in sorted((FOLDER / "jaquad").glob("*.json")) if FOLDER else ():
        yield from json.loads(path.read_text(encoding="utf-8"))["data"]


def has_jaquad() -> bool:
    """Whether there are articles; says so if not."""
    present = FOLDER is not None and any((FOLDER / "jaquad").glob("*.json"))
    if not present:
        print("JaQuAD is left out: give --data FOLDER (tools/bench/data.py says where to get it)")
    return present


def llm_jp() -> Path:
    """Folder of llm-jp-3's tokenizer."""
    assert FOLDER is not None
    return FOLDER / "llm-jp-tokenizer/hf"
