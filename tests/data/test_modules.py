"""The data modules: packs of the wrong mode are refused, and so is a checkpoint of another pack."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from nemo_kcpt.data import InstructionDataModule, PackedPretrainingDataModule
from nemo_kcpt.errors import BadInput


def test_the_wrong_mode_and_the_wrong_loss_are_named(pack: Path) -> None:
    with pytest.raises(BadInput, match="mode instruction, which belongs to `nemo llm finetune`"):
        PackedPretrainingDataModule(str(pack))
    with pytest.raises(BadInput, match=r"data\.loss: 'replies' is not one of all, outputs"):
        InstructionDataModule(str(pack), loss="replies")
    with pytest.raises(BadInput, match="not a finished pack"):
        PackedPretrainingDataModule(str(pack.parent))
    assert InstructionDataModule(str(pack)).seq_length == 32


def test_a_checkpoint_of_another_pack_is_refused(pack: Path) -> None:
    module = InstructionDataModule(str(pack))
    module.trainer = SimpleNamespace(global_step=0)  # type: ignore[assignment]
    state = module.state_dict()
    assert state["pack_fingerprint"] == module.info.fingerprint
    for name, other in (("pack_fingerprint", "another"), ("seed", 99)):
        with pytest.raises(BadInput, match=f"{name} {other}"):
            module.load_state_dict({**state, name: other})
