"""Which papers are held out: a pure function of the ids and a seed.

Papers are ranked by the SHA-256 of seed and id and the first n are held out, so the split depends neither on the order
of the papers nor on a random generator's version, and a paper that is added later moves at most one other paper.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, sha256_text


def draw_heldout(paper_ids: Iterable[str], count: int, seed: int) -> set[str]:
    """`count` of the ids, drawn by `seed`."""
    return set(sorted(paper_ids, key=lambda paper_id: (sha256_text(f"{seed}\n{paper_id}"), paper_id))[:count])


def heldout_count(papers: int, *, fraction: float | None = None, count: int | None = None) -> int:
    """How many of `papers` are held out: `count`, or the rounded `fraction`, at least one unless it is 0.

    Raises:
        BadInput: that would leave no paper to train on.
    """
    if count is None:
        share = fraction or 0.0
        count = max(1, round(share * papers)) if share > 0 else 0
        asked = f"heldout_fraction={share:g}, which is {count}"
    else:
        asked = f"heldout_count={count}"
    if count >= papers:
        raise BadInput(f"{asked} of {papers} papers: none would be left to train on; hold fewer out or add papers")
    return count


def read_heldout_list(path: Path, paper_ids: Collection[str]) -> set[str]:
    """The ids in a list file: one a line, or `heldout` of an earlier split.json.

    Raises:
        BadInput: the file cannot be read, names ids that are not in the corpus, or names all of them.
    """
    if path.suffix == ".json":
        content = read_json(path)
        names = content.get("heldout") if isinstance(content, dict) else None
        if not isinstance(names, list):
            raise BadInput(f'{path}: expected a split.json with a list "heldout", or a text file with one id a line')
        asked = [str(name) for name in names]
    else:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError:
            raise BadInput(f"{path}: no such file (heldout_list)") from None
        except UnicodeDecodeError as error:
            raise BadInput(f"{path}: not UTF-8 at byte {error.start}; convert the file to UTF-8") from None
        asked = [line.strip() for line in lines if line.strip()]
    unknown = [name for name in asked if name not in paper_ids]
    if unknown:
        raise BadInput(
            f"{path}: {len(unknown)} of {len(asked)} ids are not in the corpus: {', '.join(unknown[:5])}"
            f"{' …' if len(unknown) > 5 else ''}. Ids are the paper_id fields of papers.jsonl"
        )
    if len(set(asked)) >= len(paper_ids):
        raise BadInput(f"{path}: names all {len(paper_ids)} papers, so none would be left to train on")
    return set(asked)
