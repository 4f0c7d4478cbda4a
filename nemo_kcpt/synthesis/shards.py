"""Uniting shards: their journals become one, and what is asked twice or not at all is named."""

from __future__ import annotations

import re
from pathlib import Path

from nemo_kcpt.errors import BadInput
from nemo_kcpt.llm.journal import DONE, NAME, Journal, Row
from nemo_kcpt.logs import LOG
from nemo_kcpt.runs import exclusive

GROUP = 500
"""Rows of one transaction."""
_FOLDER = re.compile(r"(\d{4,})-of-(\d{4,})$")


def unite(shards: Path, target: Path) -> dict[str, int]:
    """Copy the rows of every shard's journal into `target`; returns counts of rows, shards and duplicates.

    A request that two shards made (the same paper given to both) is kept once, an answered one before a failed one.

    Raises:
        BadInput: there are no shards, shards are missing, or one is running; names them.
    """
    folders = {folder: match for folder in sorted(shards.glob("*-of-*")) if (match := _FOLDER.match(folder.name))}
    if not folders:
        raise BadInput(f"{shards}: no shards; run kcpt synthesize --shard i/n on each machine first")
    numbers = {int(match[2]) for match in folders.values()}
    if len(numbers) > 1:
        raise BadInput(f"{shards}: shards of {' and of '.join(map(str, sorted(numbers)))}; move those of one run away")
    (of,) = numbers
    there = {int(match[1]) for folder, match in folders.items() if (folder / NAME).is_file()}
    if missing := sorted(set(range(of)) - there):
        raise BadInput(
            f"{shards}: shards {', '.join(f'{index}/{of}' for index in missing)} are missing; run them first"
        )
    counts = {"shards": of, "rows": 0, "duplicates": 0}
    with Journal(target) as united:
        for folder in folders:
            with exclusive(folder), Journal(folder / NAME) as journal:
                group: list[Row] = []
                for row in journal.rows():
                    there_already = united.get(row.key)
                    counts["duplicates"] += there_already is not None and there_already != row
                    if there_already is None or (there_already.status != DONE and row.status == DONE):
                        group.append(row)
                    if len(group) == GROUP:
                        united.add(group)
                        group = []
                    counts["rows"] += 1
                if group:
                    united.add(group)
                for name, value in journal.notes("structured").items():
                    united.note(name, value)
    LOG.info("synthesize: %d requests of %d shards united", counts["rows"], of)
    if counts["duplicates"]:
        LOG.warning("synthesize: %d requests were made by two shards; one reply of each is used", counts["duplicates"])
    return counts
