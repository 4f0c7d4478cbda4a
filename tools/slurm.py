"""The former name of `kcpt slurm`; it goes with the next release."""

from __future__ import annotations

import sys

from nemo_kcpt.experiment.slurm.command import main

if __name__ == "__main__":
    print("tools/slurm.py is now `kcpt slurm`; this name goes with the next release", file=sys.stderr)
    sys.exit(main(sys.argv[1:]))
