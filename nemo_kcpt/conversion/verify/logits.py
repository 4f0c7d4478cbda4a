"""The float32 logits of two models on the same prompts, and where on the way to them they first depart.

Of a checkpoint it is Megatron's model, loaded by Megatron's own loader, and of a Hugging Face folder transformers'.
The two are never in memory together: what A computes waits on disk for B.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nemo_kcpt.conversion.verify.prompts import PromptIds
from nemo_kcpt.conversion.verify.result import Part, not_checked, number, verdict
from nemo_kcpt.conversion.verify.sides import Side, obstacle
from nemo_kcpt.conversion.verify.states import OUTPUT, Model, States, hf_states
from nemo_kcpt.conversion.verify.weights import common_type
from nemo_kcpt.logs import output_into
from nemo_kcpt.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

NAME = "logits"
NEEDED_EQUAL = ("num_layers", "hidden_size", "vocab_rows")
"""Sizes without which states cannot be compared one by one."""
SMALLEST = 1e-30
"""What a state's size is taken for where it is zero."""


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """What passes.

    Args:
        logits: largest absolute difference of a logit.
        states: largest difference of a hidden state, as a share of the largest value at its position; where it is more
            the models are said to depart.
    """

    logits: float
    states: float


class Worst:
    """The largest differences seen so far; NaN wins over every number."""

    def __init__(self) -> None:
        import torch

        self._nothing = torch.zeros(())
        self.absolute: dict[str, Tensor] = {}
        self.relative: dict[str, Tensor] = {}
        self.equal = self.positions = 0

    def add(self, mine: States, theirs: States) -> None:
        """Compare the states of one prompt."""
        import torch

        for name, state in mine.items():
            gap = (state - theirs[name]).abs().amax(-1)
            size = state.abs().amax(-1).clamp(min=SMALLEST)
            for kept, value in ((self.absolute, gap), (self.relative, gap / size)):
                kept[name] = torch.maximum(kept.get(name, self._nothing), value.max())
        self.equal += int((mine[OUTPUT].argmax(-1) == theirs[OUTPUT].argmax(-1)).sum())
        self.positions += len(mine[OUTPUT])

    def departs(self, tolerance: float) -> str | None:
        """The first state in the order of the model that differs by more than `tolerance` of its size."""
        return next((name for name, value in self.relative.items() if not float(value) <= tolerance), None)


@contextmanager
def _model(side: Side, rounded_to: Any, log: Path) -> Iterator[Model]:
    with ExitStack() as stack:
        if side.is_checkpoint:
            with output_into(log):
                from nemo_kcpt.conversion.verify.parity import megatron_states

                model: Model = stack.enter_context(megatron_states(side.path, rounded_to))
        else:
            model = stack.enter_context(hf_states(side.path, rounded_to))
        yield model


def _run_both(a: Side, b: Side, prompts: Sequence[Sequence[int]], rounded_to: Any) -> Worst:
    from safetensors.torch import load_file, save_file

    worst = Worst()
    with TemporaryDirectory() as temporary, progress() as bar:
        folder = Path(temporary)
        for side in (a, b):
            task = bar.add_task(f"verify: logits of {side.name}", total=len(prompts))
            with _model(side, rounded_to, folder / "log") as model:
                for index, ids in enumerate(prompts):
                    states, file = model(ids), folder / f"{index}.safetensors"
                    if side is a:
                        save_file({name: state.contiguous() for name, state in states.items()}, file)
                    else:
                        kept = load_file(file)
                        worst.add({name: kept[name] for name in states}, states)
                    bar.advance(task)
    return worst


def compare_logits(a: Side, b: Side, prompts: PromptIds, tolerances: Tolerances) -> Part:
    """Run both models on `prompts`; passes if no logit differs by more than `tolerances.logits`.

    Where the types of the weights differ, both models compute with those rounded to the narrower.
    """
    import torch

    sizes = [(name, getattr(a.shape, name), getattr(b.shape, name)) for name in NEEDED_EQUAL]
    if different := [f"{name} {mine} against {theirs}" for name, mine, theirs in sizes if mine != theirs]:
        return not_checked(NAME, f"the models are of different sizes: {', '.join(different)}")
    if not prompts.ids:
        positions = min(a.shape.positions, b.shape.positions)
        return not_checked(NAME, f"none of {prompts.left_out} prompts fits into {positions} positions")
    if reason := obstacle((a, b)):
        return not_checked(NAME, reason)
    kind = common_type(a.dtypes | b.dtypes)
    rounded = a.dtypes != b.dtypes and kind != "float32"
    worst = _run_both(a, b, prompts.ids, getattr(torch, kind) if rounded else None)
    largest = float(worst.absolute[OUTPUT])
    departs = worst.departs(tolerances.states)
    passed = largest <= tolerances.logits
    note = f", weights rounded to {kind}" if rounded else ""
    left_out = f", {prompts.left_out} too long" if prompts.left_out else ""
    lines = [prompts.origin]
    if not passed and departs is None:
        lines.append(f"no hidden state differs by more than {tolerances.states:.0e} of its size")
    elif departs is not None:
        lines.append(f"first departs at: {departs}, by {float(worst.relative[departs]):.1e} of its size")
    return Part(
        name=NAME,
        state=verdict(passed),
        summary=f"differ by at most {largest:.1e} (tolerance {tolerances.logits:.0e}), argmax equal at "
        f"{worst.equal} of {worst.positions} positions; {len(prompts.ids)} prompts{left_out}, float32{note}",
        details=lines,
        numbers={
            "max_abs_diff": number(largest),
            "tolerance": tolerances.logits,
            "argmax_equal": worst.equal,
            "positions": worst.positions,
            "prompts": len(prompts.ids),
            "prompts_left_out": prompts.left_out,
            "prompt_ids": prompts.origin,
            "weights_rounded_to": kind if rounded else None,
            "first_departs_at": departs,
            "layer_tolerance": tolerances.states,
            "states": {
                name: {"max_abs_diff": number(float(value)), "relative": number(float(worst.relative[name]))}
                for name, value in worst.absolute.items()
            },
        },
    )
