#!/usr/bin/env bash
# What: on a short page trafilatura glues the items of a list (10 and 20 become 1020), with every option that keeps
#   structure switched on.
# Versions: trafilatura 2.2.0, lxml 6.1.3, lxml_html_clean 0.4.6.
# Guess: output_format="markdown" with favor_recall keeps items apart, however long the page is, or finds nothing.
# Seen: below MIN_EXTRACTED_SIZE (250 characters) it falls back on a dump of the page's text without separators, so
#   "S1020S" comes out. With MIN_EXTRACTED_SIZE = 1 in its configuration the same page gives "- 10" and "- 20".
# Date: 2026-11-30
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet trafilatura==2.2.0 lxml_html_clean==0.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import trafilatura
from trafilatura.settings import use_config

SENTENCE = "<p>{} A sentence that is long enough to be taken for a text.</p>"
PAGE = (
    "<html><body><article><h1>Title</h1><ul><li>10</li><li>20</li></ul>"
    + "".join(map(SENTENCE.format, ("One.", "Two.", "Three.")))
    + "</article></body></html>"
)


def extract(**more):
    return trafilatura.extract(PAGE, output_format="markdown", include_tables=True, favor_recall=True, **more) or ""


config = use_config()
config.set("DEFAULT", "MIN_EXTRACTED_SIZE", "1")
plain, structured = extract(), extract(config=config)
print("as it is:", repr(plain))
print("without the fallback:", repr(structured))
sys.exit(0 if "1020" in plain and "- 10" in structured else "it behaves otherwise now")
PY
