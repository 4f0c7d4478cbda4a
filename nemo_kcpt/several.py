"""Run several `kcpt` commands in one process, so that Python and the big libraries start once.

Used by experiments: `python -m nemo_kcpt.several '[["corpus", "documents=…"], ["pack", "mode=concat"]]'`.
"""

from __future__ import annotations

import json
import sys

from nemo_kcpt.cli import main


def run(commands: list[list[str]]) -> int:
    """Run the commands in order; stops at the first that fails and returns its exit code."""
    for words in commands:
        print("$ kcpt", *words, flush=True)
        code = main(words)
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(run(json.loads(sys.argv[1])))
