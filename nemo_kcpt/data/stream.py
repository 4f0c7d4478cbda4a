"""What a checkpoint knows of the samples it was trained on, compared with those that a training would continue with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.records.packs import PackInfo


def check_stream(where: str, stream: Mapping[str, Any], info: PackInfo, made_of: Mapping[str, Any]) -> None:
    """Refuse a checkpoint whose samples would not be continued.

    Args:
        where: the checkpoint, for the message.
        stream: `pack_fingerprint` and `made_of`, as the checkpoint has them.
        info: of the training's pack.
        made_of: what its stream of samples is made of, name by name.

    Raises:
        BadInput: the checkpoint was trained on another pack, in another order, or with another loss or attention.
    """
    theirs, fingerprint = dict(stream.get("made_of", {})), stream.get("pack_fingerprint")
    if fingerprint == info.fingerprint and theirs == made_of:
        return
    differing = [
        f"{name} was {theirs.get(name, 'absent')}, is {made_of.get(name, 'absent')}"
        for name in sorted({*theirs, *made_of})
        if theirs.get(name) != made_of.get(name)
    ]
    raise BadInput(
        f"{where}: was trained on a pack with fingerprint {fingerprint}, {info.folder} has {info.fingerprint}; what "
        f"differs: {'; '.join(differing) or 'the version of nemo_kcpt'}. Resume with the pack and the keys it was made "
        "with, or start a new run (another dir) from its weights (restore)"
    )
