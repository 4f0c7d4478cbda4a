"""Cleaning of text from PDFs and scans, and the structure it must respect: titles, headings, sections.

Each step is a function in a file of its own, with a count of what it changed, to be switched off by name.
The order is that in which a page was made unreadable, backwards, and each step finds what it needs: characters that
mean nothing go first, since they hide from every pattern; then line ends, raised text, page furniture (which stands
between the halves of a sentence), and the spaces inside words, which still show line by line; forms of characters are
unified once the odd spaces have had their say; the list of references leaves while its indentation is still there; and
only what is left is joined into paragraphs. A step can uncover work for an earlier one, so the chain runs until nothing
changes: twice for most documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nemo_kcpt.cleaning.changed import Changed, Step
from nemo_kcpt.cleaning.control_characters import control_characters, page_marks
from nemo_kcpt.cleaning.garbled import looks_garbled, unusable
from nemo_kcpt.cleaning.line_breaks import line_breaks
from nemo_kcpt.cleaning.line_ends import line_ends
from nemo_kcpt.cleaning.nfkc import nfkc
from nemo_kcpt.cleaning.ocr_spaces import ocr_spaces
from nemo_kcpt.cleaning.page_furniture import page_furniture
from nemo_kcpt.cleaning.raised import raised
from nemo_kcpt.cleaning.references import references
from nemo_kcpt.errors import BadInput

__all__ = ["STEPS", "Changed", "Cleaned", "Step", "clean", "looks_garbled", "trace", "unusable"]

STEPS: dict[str, Step] = {
    "control_characters": control_characters,
    "line_ends": line_ends,
    "raised": raised,
    "page_furniture": page_furniture,
    "ocr_spaces": ocr_spaces,
    "nfkc": nfkc,
    "references": references,
    "line_breaks": line_breaks,
}
"""The steps by name, in the order in which they run."""
ROUNDS = 12
"""Times the chain runs at most; documents made for the purpose could keep it busy."""


@dataclass(frozen=True)
class Cleaned:
    """A text after cleaning."""

    text: str
    references: tuple[str, ...] = ()
    """The entries of its lists of references, if the step `references` took them out."""
    changes: dict[str, int] = field(default_factory=dict)
    """Step -> number of changes, only where there were any."""


def clean(text: str, steps: Sequence[str] = tuple(STEPS)) -> Cleaned:
    """The text after these steps; cleaning it again changes nothing.

    Raises:
        BadInput: there is no step of such a name.
    """
    entries: tuple[str, ...] = ()
    changes: dict[str, int] = {}
    for name, changed in trace(text, steps):
        text, entries = changed.text, entries + changed.references
        if changed.count:
            changes[name] = changes.get(name, 0) + changed.count
    return Cleaned(text, entries, changes)


def trace(text: str, steps: Sequence[str] = tuple(STEPS)) -> Iterator[tuple[str, Changed]]:
    """What each step does, one after another: every step of the first round, then those that change something still.

    Steps run in the order of `STEPS`, whatever the order of `steps`.

    Raises:
        BadInput: there is no step of such a name.
    """
    if unknown := [name for name in steps if name not in STEPS]:
        raise BadInput(f"no cleaning step '{unknown[0]}'; the steps are {', '.join(STEPS)}")
    for number in range(ROUNDS):
        before = text
        for name, step in STEPS.items():
            if name in steps:
                changed = step(text)
                if changed.count or not number:
                    yield name, changed
                text = changed.text
        if "\f" in text and "control_characters" in steps:
            changed = page_marks(text)
            yield "control_characters", changed
            text = changed.text
        if text == before:
            break
