"""A pack's manifest: what a trainer, the planner and pages must know of it before its tokens are opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.runs import read_manifest


@dataclass(frozen=True, kw_only=True)
class PackInfo:
    """What a trainer must know of a pack before opening it."""

    folder: Path
    fingerprint: str
    mode: str
    seq_length: int
    windows: int
    tokens: int
    """In them, without padding."""
    replay_windows: int
    """How many of them, the last ones, hold replay text."""
    replay_tokens: int
    """In those, without padding."""
    replay_passes: int
    """Passes over the other windows in which these are read once."""
    tokenizer_sha256: str
    vocab_size: int
    made_of: Mapping[str, Any]
    """Config and input hashes by which packs differ."""

    @property
    def step_tokens(self) -> int:
        """Tokens of an epoch, by which steps are counted.

        Packs of modes `concat` and `raw` are one stream cut into windows, as long at every window length, so its tokens
        give the same number of steps at all of them. In other packs a window may repeat text and leave room, and each
        counts whole.
        """
        if self.mode not in ("concat", "raw"):
            return self.epoch_windows * self.seq_length
        return self.tokens - self.replay_tokens + self.replay_tokens // self.replay_passes

    @property
    def epoch_windows(self) -> int:
        """Windows of an epoch: all that hold no replay, and a pass's part of those that do."""
        return self.windows - self.replay_windows + self.replay_windows // self.replay_passes


def read_info(folder: Path) -> PackInfo:
    """The pack's manifest, checked.

    Raises:
        BadInput: not a finished pack or not of this version, or a file's size is not what the manifest says.
    """
    if not (folder / "manifest.json").is_file():
        raise BadInput(f"{folder}: not a finished pack (no manifest.json); make one with kcpt pack")
    manifest = read_manifest(folder)
    for name, entry in manifest["outputs"].items():
        size = (folder / name).stat().st_size if (folder / name).is_file() else 0
        if size != entry["bytes"]:
            raise BadInput(
                f"{folder / name}: {size} bytes, the manifest says {entry['bytes']}; "
                "make the pack again with kcpt pack --redo"
            )
    counts, config = manifest["counts"], manifest["config"]
    try:
        return PackInfo(
            folder=folder,
            fingerprint=manifest["fingerprint"],
            mode=config["mode"],
            seq_length=config["seq_length"],
            windows=counts["windows"],
            tokens=counts["tokens"],
            replay_windows=counts["replay_windows"],
            replay_tokens=counts.get("replay_tokens", 0),
            replay_passes=config.get("replay_passes", 1),
            tokenizer_sha256=counts["tokenizer_sha256"],
            vocab_size=counts["vocab_size"],
            made_of={**config, **{f"input {name}": value for name, value in manifest["inputs"].items()}},
        )
    except KeyError as error:
        raise BadInput(
            f"{folder / 'manifest.json'}: has no {error}: this is no pack, or one of another version of nemo_kcpt; "
            "make it again with kcpt pack --redo"
        ) from None
