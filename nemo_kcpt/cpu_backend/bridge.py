"""The one list of all that the CPU backend replaces in Megatron-Bridge 0.6.2, its Megatron-Core 0.19.2 and torch."""

from __future__ import annotations

from nemo_kcpt.cpu_backend import checkpoint, devices, initialize, rng
from nemo_kcpt.cpu_backend.override import Override
from nemo_kcpt.cpu_backend.shared import SHARED

TORCH_CUDA = (
    Override(
        name="stream",
        target="torch.cuda:Stream",
        upstream="megatron/training/models/dist_utils.py",
        says="ddp_stream = torch.cuda.Stream()",
        reason="Megatron's DDP is built inside a stream; the constructor raises without CUDA",
        replace=devices.stream,
    ),
    Override(
        name="current_stream",
        target="torch.cuda:current_stream",
        upstream="megatron/training/models/dist_utils.py",
        says="ddp_stream.wait_stream(torch.cuda.current_stream())",
        reason="that stream waits for the current one, which raises without CUDA",
        replace=devices.current_stream,
    ),
    Override(
        name="tensor_cuda",
        target="torch:Tensor.cuda",
        upstream="megatron/bridge/models/model_provider.py",
        says="model_module.cuda(torch.cuda.current_device())",
        reason="the built model, and a validation's losses, are moved to CUDA",
        replace=devices.stay,
    ),
    Override(
        name="saved_rng_state",
        target="torch.cuda:get_rng_state",
        upstream="megatron/bridge/training/checkpointing.py",
        says='"cuda_rng_state": torch.cuda.get_rng_state(),',
        reason="a checkpoint keeps the CUDA generator's state; asking for it raises",
        replace=rng.get_rng_state,
    ),
)

INITIALIZE = (
    Override(
        name="initialize_megatron",
        target="megatron.bridge.training.setup:initialize_megatron",
        upstream="megatron/bridge/training/initialize.py",
        says='assert torch.cuda.is_available(), "Megatron requires CUDA."',
        reason="it asks for CUDA unless allow_no_cuda is given, which its one caller does not do",
        replace=initialize.without_cuda,
    ),
    Override(
        name="set_jit_fusion_options",
        target="megatron.bridge.training.setup:set_jit_fusion_options",
        upstream="megatron/bridge/training/initialize.py",
        says="def _warmup_jit_function(model_config: TransformerConfig, micro_batch_size: int) -> None:",
        reason="fused functions are compiled and run on tensors with device='cuda'",
        replace=initialize.nothing,
    ),
    Override(
        name="set_random_seed",
        target="megatron.bridge.training.initialize:_set_random_seed",
        upstream="megatron/bridge/training/initialize.py",
        says="if torch.cuda.device_count() > 0:",
        reason="the tracker stays empty: 'cuda rng state model-parallel-rng is not added'",
        replace=initialize.set_random_seed,
    ),
)

_DEVICES = {
    "torch_in_setup": (
        "megatron.bridge.training.setup",
        'start_time_tensor = torch.tensor([state.start_time], dtype=torch.double, device="cuda")',
        "the time of the start goes through a tensor with device='cuda'",
    ),
    "torch_in_loaders": (
        "megatron.bridge.data.loaders",
        'flags = torch.tensor([int(do_train), int(do_valid), int(do_test)], dtype=torch.long, device="cuda")',
        "which data there is goes through a tensor with device='cuda'",
    ),
    "torch_in_train_utils": (
        "megatron.bridge.training.utils.train_utils",
        'total_loss_dict[key] = torch.tensor([0.0], dtype=torch.float, device="cuda")',
        "losses are summed up in a tensor with device='cuda'",
    ),
}

WRITTEN_OUT_DEVICES = tuple(
    Override(
        name=name,
        target=f"{module}:torch",
        upstream=f"{module.replace('.', '/')}.py",
        says=says,
        reason=reason,
        replace=devices.cpu_torch,
    )
    for name, (module, says, reason) in _DEVICES.items()
)

CHECKPOINT = (
    Override(
        name="write_results_queue",
        target="megatron.core.dist_checkpointing.strategies.filesystem_async:get_write_results_queue",
        upstream="megatron/core/dist_checkpointing/strategies/filesystem_async.py",
        says="def get_write_results_queue(mp_mode: str = 'spawn') -> mp.Queue:",
        reason="the first save starts a process that imports the main program again (25 s) and outlives a kill",
        replace=checkpoint.write_results_queue,
    ),
)

ADAPTERS = (
    Override(
        name="adapters_without_transformer_engine",
        target="megatron.bridge.peft.utils:HAVE_TE",
        upstream="megatron/bridge/peft/utils.py",
        says="HAVE_TE = all(",
        reason="it is true where Transformer Engine is missing, whose classes are then asked for: TypeError",
        replace=initialize.false,
    ),
)

OVERRIDES: tuple[Override, ...] = (*SHARED, *TORCH_CUDA, *INITIALIZE, *WRITTEN_OUT_DEVICES, *CHECKPOINT, *ADAPTERS)
