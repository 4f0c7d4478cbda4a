"""Write a NeMo or Megatron-Bridge checkpoint as a Hugging Face folder: `kcpt convert export`, where people look for it.

.venv/bin/python tools/convert_to_hf.py runs/13b/pretrain --to runs/13b/hf
"""

from __future__ import annotations

import sys

from nemo_kcpt.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert", "export", *sys.argv[1:]]))
