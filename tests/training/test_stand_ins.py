"""What the stand-ins do, each by itself."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from nemo_kcpt import cpu_backend
from nemo_kcpt.cpu_backend import devices, optimizer, rng, router
from tests import forks
from tests.waiting import is_running, wait_for


class Tracker:
    """The part of Megatron's tracker that the stand-in builds on."""

    def __init__(self) -> None:
        self.states_, self.seeds_ = {}, set()


def make_tracker() -> Tracker:
    tracker = rng.rng_tracker(Tracker)()
    tracker.add("a", 1)
    tracker.add("b", 2)
    return tracker


def draw(tracker: Tracker, name: str) -> float:
    with tracker.fork(name):
        return torch.rand(()).item()


def test_named_random_states_go_on_by_themselves() -> None:
    expected = torch.rand(2, generator=torch.Generator().manual_seed(1)).tolist()
    tracker = make_tracker()
    first = draw(tracker, "a")
    torch.manual_seed(99)
    draw(tracker, "b")
    assert [first, draw(tracker, "a")] == expected


def test_the_state_outside_a_fork_is_left_alone_even_on_an_error() -> None:
    tracker = make_tracker()
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), tracker.fork("a"):
        torch.rand(3)
        raise RuntimeError
    assert torch.equal(torch.get_rng_state(), before)


def test_a_state_is_added_once_and_must_be_there() -> None:
    tracker = make_tracker()
    for name, seed in (("a", 3), ("c", 1)):
        with pytest.raises(ValueError, match="was added before"):
            tracker.add(name, seed)
    with pytest.raises(KeyError, match="model_parallel_cuda_manual_seed"), tracker.fork("c"):
        pass


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipping_equals_torchs(max_norm: float) -> None:
    parameters = [
        torch.nn.Parameter(torch.ones(3)),
        torch.nn.Parameter(torch.ones(2)),
        torch.nn.Parameter(torch.ones(1)),
    ]
    for parameter in parameters[:2]:
        parameter.grad = torch.arange(parameter.numel(), dtype=torch.float32) + 1
    norm = torch.cat([parameter.grad for parameter in parameters[:2]]).norm().item()
    expected = [parameter.grad * min(1.0, max_norm / (norm + 1e-6)) for parameter in parameters[:2]]
    optimizer.clip_grads(None)(parameters, max_norm, norm)
    for parameter, gradient in zip(parameters[:2], expected):
        torch.testing.assert_close(parameter.grad, gradient)
    with pytest.raises(ValueError, match="use_precision_aware_optimizer=False"):
        optimizer.clip_grads(None)(parameters, max_norm, norm, use_decoupled_grad=True)


def test_types_are_named_after_cuda_only_while_the_groups_are_built() -> None:
    class Optimizer:
        @classmethod
        def build(cls, tensor: torch.Tensor, fail: bool = False) -> tuple[type, str, torch.dtype]:
            if fail:
                raise RuntimeError
            return cls, tensor.type(), tensor.type(torch.float64).dtype

    Optimizer.build = optimizer.build_param_groups(Optimizer.__dict__["build"])
    assert Optimizer.build(torch.ones(1)) == (Optimizer, "torch.cuda.FloatTensor", torch.float64)
    with pytest.raises(RuntimeError):
        Optimizer.build(torch.ones(1), fail=True)
    assert torch.ones(1).type() == "torch.FloatTensor"


def test_the_router_s_product_is_a_linear_layer_s_in_its_own_type_and_upstream_s_needs_transformer_engine() -> None:
    from megatron.core.transformer.moe import moe_utils

    x, weight = (torch.randn(size, requires_grad=True) for size in ((3, 2, 8), (5, 8)))
    found = router.gating_linear(None)(x, weight, None, torch.float64)
    assert found.dtype == torch.float64 and found.shape == (3, 2, 5)
    torch.testing.assert_close(found, x.double() @ weight.double().T)
    found.sum().backward()
    torch.testing.assert_close(weight.grad, x.sum((0, 1)).expand(5, 8))
    if not moe_utils.HAVE_TE:
        with pytest.raises(NameError, match="te_general_gemm"):
            moe_utils.router_gating_linear(x, weight, None, torch.float32)


def test_tied_embeddings_stay_where_they_are_while_set_up() -> None:
    def setup(holder: list[torch.Tensor]) -> None:
        holder.append(holder[0].cuda())

    weight = torch.ones(1)
    holder = [weight]
    devices.tied_embeddings(setup)(holder)
    assert holder[1] is weight
    if not torch.cuda.is_available():
        with pytest.raises(AssertionError, match="CUDA"):
            weight.cuda()


def test_tensors_written_out_for_cuda_land_on_the_cpu() -> None:
    cpu_torch = devices.cpu_torch(torch)
    assert cpu_torch.zeros(2, device="cuda").device.type == "cpu"
    assert cpu_torch.zeros([], dtype=torch.int, device=torch.device("cuda", 0)).dtype == torch.int
    assert cpu_torch.tensor([1.0], device="cuda").tolist() == [1.0]
    assert cpu_torch.tensor(3, pin_memory=True).to("cuda", non_blocking=True).item() == 3
    assert cpu_torch.float32 is torch.float32


def test_each_name_of_torch_cuda_has_a_function_of_its_own() -> None:
    """One object under two names trips torch._dynamo: "Duplicate torch object"."""
    stand_ins = [devices.current_device(None), devices.synchronize(None), devices.stream(None)]
    assert len({id(stand_in) for stand_in in stand_ins}) == len(stand_ins)
    assert stand_ins[0]() == torch.device("cpu")
    with torch.cuda.stream(stand_ins[2]()):
        assert stand_ins[1]() is None


def hold_a_queue(told: Path) -> None:
    """In a fork: the queue of a checkpoint, whose server's process id is told."""
    from nemo_kcpt.cpu_backend.checkpoint import write_results_queue

    queue = write_results_queue(None)()
    queue.put("written")
    assert queue is write_results_queue(None)() and queue.get() == "written"
    tell(told, queue._manager._process.pid)
    time.sleep(60)


def write_for_ever(told: Path, part: Path, mortal: bool) -> None:
    """In a fork: a checkpoint's writer, which tells its process id and then never ends its fsync."""
    from megatron.core.dist_checkpointing.strategies import filesystem_async

    if mortal:
        cpu_backend.activate()

    def slow_fsync(descriptor: int) -> None:
        tell(told, os.getpid())
        time.sleep(60)

    filesystem_async.os.fsync = slow_fsync
    bucket = (str(part), "key", ([], []))
    filesystem_async.FileSystemWriterAsync.write_preloaded_data_multiproc([], False, 0, [bucket], None)


def tell(path: Path, pid: int) -> None:
    path.with_suffix(".new").write_text(str(pid))
    path.with_suffix(".new").rename(path)


def kill_the_training(running: forks.Running, told: Path) -> int:
    """SIGKILL to the process alone when its child has told its process id, which is returned."""
    wait_for(told.exists, 300)
    child = int(told.read_text())
    assert psutil.Process(child).ppid() == running.pid
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    return child


@pytest.mark.slow
def test_the_queue_of_a_checkpoint_dies_with_its_training(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    running = forks.start(hold_a_queue, told, log=tmp_path / "log")
    server = kill_the_training(running, told)
    wait_for(lambda: not is_running(server), 20)


@pytest.mark.slow
@pytest.mark.parametrize("mortal", [True, False], ids=["mortal", "megatrons"])
def test_the_writer_of_a_checkpoint_dies_with_its_training(tmp_path: Path, mortal: bool) -> None:
    told = tmp_path / "pid"
    running = forks.start(write_for_ever, told, tmp_path / "part", mortal, log=tmp_path / "log")
    writer = kill_the_training(running, told)
    if mortal:
        wait_for(lambda: not is_running(writer), 20)
    else:
        time.sleep(1)
        assert is_running(writer)
        os.kill(writer, signal.SIGKILL)


def test_the_gradient_under_adapters_is_one_product(tmp_path: Path) -> None:
    """And not one for each token, with the same result."""
    before, expected = forks.call(frozen_backward, False, log=tmp_path / "before")
    after, found = forks.call(frozen_backward, True, log=tmp_path / "after")
    assert (before, after) == (["aten::bmm"], ["aten::mm"])
    assert torch.allclose(torch.tensor(found), torch.tensor(expected), rtol=1e-5)


def frozen_backward(mended: bool) -> tuple[list[str], list[Any]]:
    """In a fork: torch's products for a gradient that comes by way of a transposed view, and the input's gradient."""
    from megatron.core.tensor_parallel.layers import LinearWithFrozenWeight

    if mended:
        cpu_backend.activate()
    torch.manual_seed(0)
    taken = torch.randn(16, 1, 4, requires_grad=True)
    output = LinearWithFrozenWeight.apply(taken, torch.randn(8, 4), None, False, None)
    with torch.profiler.profile() as seen:
        output.backward(torch.randn(1, 16, 8).transpose(0, 1))
    return sorted({event.name for event in seen.events()} & {"aten::mm", "aten::bmm"}), taken.grad.tolist()
