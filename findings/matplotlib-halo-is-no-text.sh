#!/usr/bin/env bash
# What: a text with a halo (path_effects=[withStroke(...)]) is written to SVG as curves, although svg.fonttype is none;
#   no <text> is left, so that it cannot be searched or read aloud, and glyphs that matplotlib's font lacks are boxes.
# Versions: matplotlib 3.11.2, Python 3.11.
# Guess: svg.fonttype none keeps every text as text; the halo is a stroke of the same <text>.
# Seen: without the halo the SVG has <text ...>東京</text>, with it none.
# Date: 2026-11-30
# Ours: nemo_kcpt/report/frontier_plot.py gives labels a white box instead; tests/report/test_retention.py,
#   test_the_frontier_has_who_is_beaten_by_nobody, reads every label in the plot's text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet matplotlib==3.11.2
cd "$folder"
cat > program.py <<'PY'
import io
import sys
import warnings

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

warnings.filterwarnings("ignore", "Glyph")  # the font lacks it; a browser's does not
matplotlib.rcParams["svg.fonttype"] = "none"
found = []
for effects in ([], [withStroke(linewidth=2, foreground="white")]):
    figure, stream = Figure(), io.StringIO()
    figure.text(0.5, 0.5, "東京", path_effects=effects)
    figure.savefig(stream, format="svg")
    found.append(stream.getvalue().count("<text"))
print("texts without and with a halo:", found)
sys.exit(0 if found == [1, 0] else "it behaves otherwise now")
PY
"$folder/venv/bin/python" program.py
