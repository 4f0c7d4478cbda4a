"""Folders that appear under their name when they are complete; an interrupted run resumes where it stopped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, sync, write_json
from nemo_kcpt.runs import MANIFEST, Stage, read_manifest, stage

BEGUN = ".begun.json"
"""In a folder under way: the fingerprint of what it is to become."""


def partial_folder(out: Path) -> Path:
    """Where `out` is made."""
    return out.with_name(f".{out.name}.partial")


def check_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to start what will not fit; `needed` in bytes, `folder` on the file system in question.

    Raises:
        BadInput: it says what is needed and what is free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BadInput(
            f"{folder.parent}: {what} needs {needed / 1e9:,.2f} GB, {free / 1e9:,.2f} GB are free; make room, "
            "give --to on another file system, or dtype=bfloat16"
        )


@contextmanager
def appearing(
    name: str, out: Path, *, config: Mapping[str, Any], inputs: Mapping[str, Path | str], redo: bool = False
) -> Iterator[Stage]:
    """A stage (:func:`nemo_kcpt.runs.stage`) in a folder beside `out`, which becomes `out` when the body is through.

    What an interrupted run of the same fingerprint left in that folder is there again; what another one left is not.
    The body looks at `.done` first: `out` may be finished.

    Raises:
        BadInput: `out` is there and was not made by this stage; or it was, from something else or damaged, and `redo`
            is not given.
    """
    if out.exists() and not ((out / MANIFEST).is_file() and read_manifest(out)["stage"] == name):
        raise BadInput(f"{out}: is there, and no finished {name}; delete it or give another --to")
    given: dict[str, Any] = {"config": config, "inputs": inputs}
    if out.exists() and not redo:
        with stage(name, out, **given) as finished:
            if not finished.done:
                raise BadInput(f"{out}: files of it are missing or cut; give --redo to {name} again")
            yield finished
        return
    partial = partial_folder(out)
    with stage(name, partial, redo=redo, **given) as current:
        if not current.done:
            begun = partial / BEGUN
            if not (begun.is_file() and read_json(begun) == current.fingerprint and not redo):
                for left in partial.iterdir():
                    if left.is_dir() and not left.is_symlink():
                        shutil.rmtree(left)
                    elif left.name != ".lock":
                        left.unlink()
                write_json(begun, current.fingerprint)
        yield current
    (partial / BEGUN).unlink(missing_ok=True)  # not before the manifest is there: without either all is made again
    if out.exists():
        shutil.rmtree(out)
    partial.rename(out)
    sync(out.parent)
