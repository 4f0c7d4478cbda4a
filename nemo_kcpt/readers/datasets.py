"""Hugging Face data sets: a folder of `save_to_disk`, Arrow files, or a name on the hub; one document a row.

A data set on the hub is brought into the library's own cache first (with its progress display); what is then read, here
as from a folder, are Arrow files, in pieces of 1,000 rows. So the processes that read need neither the network nor the
library `datasets`. No code of a data set is ever run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nemo_kcpt.documents.base import Found, Piece, Place, one_file
from nemo_kcpt.documents.streams import Overflow, Packed
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.logs import LOG
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.readers.tables import documents_in

ROWS = 1_000
"""Rows of a piece."""
TIMEOUT = 10.0
"""Seconds to wait for the hub before it counts as out of reach."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


def pieces(place: Place) -> Iterator[Piece]:
    """Ranges of rows of the data set's Arrow files.

    Raises:
        BadInput: no such data set, subset, revision or split; the hub is out of reach and no copy is here.
        KcptError: the library that brings it is not installed.
    """
    import pyarrow as pa

    files = _local_files(place) if place.path.exists() else _hub_files(place)
    for file in files:
        rows = -1
        if not place.path.exists() or not place.outside(file):
            try:
                rows = sum(len(batch) for batch in _batches(file))
            except (OSError, pa.ArrowException):
                rows = -1  # the process that reads it says why it cannot be read
        if rows <= 0:
            yield Piece("datasets", (str(file),))
        for start in range(0, rows, ROWS):
            yield Piece("datasets", (str(file),), start, min(start + ROWS, rows), start + 1)


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The documents of a range of rows of an Arrow file."""
    import pyarrow as pa

    path = one_file(piece.paths)
    local = place.path.exists()
    source = place.relative(path) if local else place.name
    name = str(path) if local else place.name
    packed = Packed("the Arrow file", "If it is neither, save the data set anew")
    row = 0
    problem = ""
    try:
        for batch in _batches(path):
            batch.validate(full=True)  # a damaged file may point anywhere
            start = max(piece.start - row, 0)
            stop = len(batch) if piece.stop < 0 else min(piece.stop - row, len(batch))
            if start < stop:
                yield from documents_in(
                    batch.slice(start, stop - start),
                    first=row + start + 1,
                    path=name,
                    source=source,
                    place=place,
                    packed=packed,
                    read=path.stat().st_size,
                )
            row += len(batch)
            if 0 <= piece.stop <= row:
                break
    except (OSError, pa.ArrowException, Overflow) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        problem = str(error) if isinstance(error, Overflow) else f"the Arrow file is damaged ({reason}); save it anew"
    if not row and piece.stop < 0 and not problem:
        problem = "the data set has no rows"
    if problem:
        yield Found(f"{name}, row {row + 1}" if row else name, source, {}, problem)


def _batches(path: Path) -> Iterator[Any]:
    """The record batches of an Arrow file, as a stream (what `datasets` writes) or as a file; mapped, not loaded."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_stream(source)
        except pa.ArrowInvalid:
            source.seek(0)
            file = pa.ipc.open_file(source)
            yield from (file.get_batch(index) for index in range(file.num_record_batches))
        else:
            yield from reader


def _local_files(place: Place) -> list[Path]:
    """The Arrow files of a folder, in order: those its state names, or all that there are."""
    root = place.path
    if root.is_file():
        return [root]
    if (root / "dataset_dict.json").is_file():
        splits = _described(root / "dataset_dict.json", "splits")
        return [file for split in _chosen(place, splits) for file in _saved(root / split)]
    if (root / "state.json").is_file():
        return _saved(root)
    return READER.files(place)


def _saved(folder: Path) -> list[Path]:
    state = folder / "state.json"
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in _described(state, "_data_files")]
    if not all(isinstance(name, str) for name in names):
        raise BadInput(f'{state}: expected "_data_files": [{{"filename": …}}]; save the data set anew by save_to_disk')
    if json.loads(state.read_text(encoding="utf-8")).get("_indices_data_files"):
        raise BadInput(
            f"{state}: saved with an index by an old version of datasets; load it there, flatten_indices(), save"
        )
    return [folder / str(name) for name in names]


def _described(path: Path, key: str) -> list[Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: no description of a saved data set ({type(error).__name__}: {error})") from None
    if not isinstance(value, list):
        raise BadInput(f'{path}: "{key}" should be a list; save the data set anew by save_to_disk')
    return value


def _chosen(place: Place, splits: list[str]) -> list[str]:
    """The splits to read of those that there are."""
    there = ", ".join(splits)
    if place.split == "all" or (not place.split and len(splits) == 1):
        return splits
    if not place.split:
        raise BadInput(f"{place.name}: has the splits {there}; say which by hf_split=, or hf_split=all")
    if place.split not in splits:
        raise BadInput(f"{place.name}: no split '{place.split}'; there are {there} (hf_split=)")
    return [place.split]


def _hub_files(place: Place) -> list[Path]:
    """The Arrow files that a data set on the hub becomes in the library's cache."""
    commit = _commit(place)
    try:
        import datasets
    except ImportError as error:
        raise KcptError(
            f"reading a data set from the hub needs the package datasets ({error}); pip install datasets, or "
            f"{_by_hand(place)}"
        ) from None
    with _library(online=bool(commit)):
        try:
            loaded = datasets.load_dataset(place.name, place.subset or None, revision=commit or None)
        except Exception as error:  # a dozen kinds, from the network's to pyarrow's
            raise _not_loaded(place, error, offline=not commit) from None
    if not isinstance(loaded, datasets.DatasetDict):
        raise BadInput(f"{place.name}: is not a data set with splits; {_by_hand(place)}")
    files = [Path(entry["filename"]) for split in _chosen(place, list(loaded)) for entry in loaded[split].cache_files]
    actual = next((match[0] for match in map(_COMMIT.search, map(str, files)) if match), "")
    wanted = commit or (place.revision if _COMMIT.fullmatch(place.revision) else "")
    if wanted and actual and actual != wanted:
        raise BadInput(f"{place.name}: only commit {actual} could be had, not {wanted}; {_by_hand(place)}")
    if commit:
        LOG.info("corpus: %s is at commit %s; pin it by hf_revision=", place.name, commit)
    else:
        LOG.warning(
            "corpus: the hub is out of reach; %s is read from the cache, commit %s", place.name, actual or "unknown"
        )
    return files


def _commit(place: Place) -> str:
    """The commit that the revision means now; empty if the hub is out of reach (found out in `TIMEOUT` seconds).

    Raises:
        BadInput: the hub is there but not the data set, or not for this user.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return str(HfApi().dataset_info(place.name, revision=place.revision or None, timeout=TIMEOUT).sha)
    except GatedRepoError:
        page = f"https://huggingface.co/datasets/{place.name}"
        raise BadInput(f"{place.name}: needs consent: agree to its terms at {page}, then run hf auth login") from None
    except RevisionNotFoundError:
        raise BadInput(f"{place.name}: the hub has no revision '{place.revision}' of it (hf_revision=)") from None
    except (RepositoryNotFoundError, HFValidationError):
        raise BadInput(
            f"{place.name}: no such file or folder, and no data set of that name on the Hugging Face hub "
            "(for a private one run hf auth login)"
        ) from None
    except HfHubHTTPError as error:
        LOG.warning("corpus: the hub answers with an error: %s", str(error).splitlines()[0])
    except Exception as error:  # requests' and httpx' errors, OSError, OfflineModeIsEnabled
        LOG.warning("corpus: the hub is out of reach (%s)", type(error).__name__)
    return ""


@contextmanager
def _library(online: bool) -> Iterator[None]:
    """Keep `datasets` and `huggingface_hub` from asking a hub that is out of reach: six tries, 23 s with retries."""
    import datasets
    from huggingface_hub import constants

    before = (datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE)
    if not online:
        datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


def _not_loaded(place: Place, error: Exception, offline: bool) -> BadInput:
    reason = (str(error).strip().splitlines() or ["no message"])[0]
    if "onfig name is missing" in str(error):
        names = re.search(r"\[.*?\]", str(error))
        return BadInput(f"{place.name}: has several subsets {names[0] if names else ''}; say which by hf_subset=")
    if "BuilderConfig" in reason:
        return BadInput(f"{place.name}: no subset '{place.subset}' (hf_subset=): {reason}")
    if offline:
        return BadInput(f"{place.name}: the Hugging Face hub is out of reach, and no copy is here; {_by_hand(place)}")
    return BadInput(f"{place.name}: could not be loaded ({type(error).__name__}: {reason}); {_by_hand(place)}")


def _by_hand(place: Place) -> str:
    """How to bring a data set's files to this machine."""
    folder = place.name.split("/")[-1]
    command = f"hf download {place.name} --repo-type dataset --local-dir {folder}"
    if place.revision:
        command += f" --revision {place.revision}"
    return (
        f"on a machine with a network, run `{command}` (before huggingface_hub 0.34: huggingface-cli download), "
        f"copy the folder here and give input={folder}"
    )


def _is_data(path: Path) -> bool:
    return not path.name.startswith("cache-")  # what Dataset.map leaves behind


READER = Reader(name="datasets", suffixes=(".arrow",), read=read, pieces=pieces, recognises=_is_data)
