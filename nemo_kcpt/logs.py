"""Logging, set up once by the command line: short lines for the user, everything for the run's log file."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = logging.getLogger("kcpt")


class _Terminal(logging.Handler):
    """Through rich's console, which knows of progress displays; long lines are left whole, so paths can be copied."""

    def emit(self, record: logging.LogRecord) -> None:
        from rich import get_console

        get_console().print(self.format(record), soft_wrap=True, markup=False, highlight=False)


def set_up(log_file: Path | None = None, quiet: bool = False) -> None:
    """Send `kcpt` messages to the terminal through rich, and all messages and warnings to `log_file` if given.

    Other libraries' chatter reaches the terminal only from level ERROR on.
    """
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    warnings.simplefilter("default")
    warnings.simplefilter("ignore", ResourceWarning)  # libraries' own, printed past logging when Python ends
    logging.captureWarnings(True)
    console = _Terminal()
    console.addFilter(lambda record: record.name == "kcpt" or record.levelno >= logging.ERROR)
    console.setLevel(logging.WARNING if quiet else logging.INFO)
    root.handlers = [console]
    if log_file is not None:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(log_file, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)


@contextmanager
def kept() -> Iterator[None]:
    """Handlers and level of the root logger are afterwards what they were, whatever a library does in between.

    nemo-run 0.11.1's `Experiment` calls `logging.basicConfig(force=True)`: it closes the terminal's and the log file's
    handler and sets the level that it was given itself, so that nothing below it is heard any more.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)


@contextmanager
def output_into(path: Path) -> Iterator[None]:
    """Send whatever this process writes to its two outputs into `path`, libraries' C code and child processes included.

    For code that greets its user with a wall of warnings; an exception still reaches the terminal.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    with path.open("ab") as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, copy in zip((1, 2), kept):
                os.dup2(copy, descriptor)
                os.close(copy)
