"""`keep: PROMPTS` of a training: what holds an instruct model while it learns, from one key.

Adapters in place of the weights, the model's own distributions with the passage before each pair, and its answers to
general prompts as replay, with the settings that docs/keep.md was made with.
"""

from __future__ import annotations

from typing import Any

from nemo_kcpt.experiment.backends import DATA


def sections(prompts: str, system: str, backend: str, tuned: bool) -> dict[str, Any]:
    """What `keep` means in a training's other sections: distill, self_replay, lora and overrides.

    Args:
        prompts: whose answers are kept, as `kcpt replay` takes them.
        system: message before the documents' pairs, which these prompts get, too; may be empty.
        backend: that trains.
        tuned: whether an instruction tuning follows, which cannot start from adapters: the weights are trained then.
    """
    replay = {"prompts": prompts, "n": 700, "share": 0.5, "attempts": 64, "temperature": 0.3, "answer_tokens": 96}
    return {
        "distill": {"k": 64, "kl_weight": 0.5},
        "self_replay": {**replay, "system": system} if system else replay,
        "lora": {} if tuned else {"rank": 32, "alpha": 32},
        "overrides": [f"{DATA[backend]}.loss=content"],
    }
