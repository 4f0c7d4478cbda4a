#!/usr/bin/env bash
# What: making a nemo_run.Experiment takes the program's own log handlers away and sets the level of the root logger;
#   leaving it takes the library's handler away, too, so that nothing of the program's log is written any more.
# Versions: nemo_run 0.11.1, leptonai 0.27.3, Python 3.11.
# Guess: an Experiment with log_level="ERROR" is quiet itself, and the program's log file goes on.
# Seen: "before" is in the log file, "during" and "after" are not; the root logger has level ERROR and no file handler.
#   nemo_run/core/frontend/console/api.py calls logging.basicConfig(force=True).
# Date: 2026-11-30
# Ours: nemo_kcpt/logs.py, kept(), around each Experiment; tests/slurm/test_launch.py,
#   test_what_is_logged_afterwards_is_heard_and_kept.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nemo_run==0.11.1 leptonai==0.27.3
cd "$folder"
cat > program.py <<'PY'
import logging
import sys

import nemo_run as run

logging.basicConfig(filename="mine.log", level=logging.INFO)
mine = logging.getLogger("mine")
mine.warning("before")
with run.Experiment("one", base_dir="jobs", log_level="ERROR", clean_mode=True) as experiment:
    experiment.add(run.Script(inline="true"), executor=run.LocalExecutor(), name="step")
    mine.warning("during")
    experiment.dryrun(log=False)
mine.warning("after")
root, lines = logging.getLogger(), open("mine.log").read()
print("the log file:", repr(lines))
print("level:", logging.getLevelName(root.level), "handlers:", root.handlers)
heard = [word for word in ("before", "during", "after") if word in lines]
sys.exit(0 if heard == ["before"] and root.level == logging.ERROR else "it behaves otherwise now")
PY
NEMORUN_HOME="$folder/home" "$folder/venv/bin/python" program.py
