"""The two ways in which a command ends badly; the command line turns them into exit codes and one message."""


class KcptError(Exception):
    """A failure that is not the input's fault (exit code 1). The message says what to do next."""

    exit_code = 1


class BadInput(KcptError):
    """The input cannot be used (exit code 2). The message names file, record, what was expected and the way out."""

    exit_code = 2


def quoted(value: object) -> str:
    """A value of a file or a reply for a message: as Python writes it, not longer than is read."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
