"""What Megatron-Core needs on a CPU in both of its versions here, 0.15.3 (NeMo) and 0.19.2 (Megatron-Bridge).

The lines that these answer say the same in both.
"""

from __future__ import annotations

from nemo_kcpt.cpu_backend import devices, optimizer, rng
from nemo_kcpt.cpu_backend.override import Override

_DISTRIBUTED = "megatron.core.optimizer.distrib_optimizer:DistributedOptimizer"

SHARED: tuple[Override, ...] = (
    Override(
        name="current_device",
        target="torch.cuda:current_device",
        upstream="megatron/core/distributed/param_and_grad_buffer.py",
        says="device=torch.cuda.current_device(),",
        reason="gradient buffers, pipeline messages and gathered tensors are allocated on it; it raises without CUDA",
        replace=devices.current_device,
    ),
    Override(
        name="synchronize",
        target="torch.cuda:synchronize",
        upstream="megatron/core/pipeline_parallel/p2p_communication.py",
        says="torch.cuda.synchronize()",
        reason="called after every pipeline message and while a checkpoint is written; it raises without CUDA",
        replace=devices.synchronize,
    ),
    Override(
        name="get_rng_state",
        target="megatron.core.tensor_parallel.random:_get_cuda_rng_state",
        upstream="megatron/core/tensor_parallel/random.py",
        says="return torch.cuda.random.get_rng_state(device=device)",
        reason="activation recomputation saves the CUDA generator's state",
        replace=rng.get_rng_state,
    ),
    Override(
        name="set_rng_state",
        target="megatron.core.tensor_parallel.random:_set_cuda_rng_state",
        upstream="megatron/core/tensor_parallel/random.py",
        says="default_generator = torch.cuda.default_generators[idx]",
        reason="activation recomputation restores the CUDA generator's state; without CUDA the call waits for ever",
        replace=rng.set_rng_state,
    ),
    Override(
        name="torch_in_optimizer",
        target="megatron.core.optimizer.optimizer:torch",
        upstream="megatron/core/optimizer/optimizer.py",
        says="self._scale = torch.tensor([1.0], dtype=torch.float, device='cuda')",
        reason="the loss scale is allocated on device='cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="torch_in_clip_grads",
        target="megatron.core.optimizer.clip_grads:torch",
        upstream="megatron/core/optimizer/clip_grads.py",
        says="dummy_overflow_buf = torch.zeros(1, dtype=torch.int, device='cuda')",
        reason="the gradient norm allocates on device='cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="torch_in_utils",
        target="megatron.core.utils:torch",
        upstream="megatron/core/utils.py",
        says='l2_cuda = torch.tensor([float(l2_reduced)], dtype=torch.float, device="cuda")',
        reason="the gradient norm's result is allocated on device='cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="torch_in_schedules",
        target="megatron.core.pipeline_parallel.schedules:torch",
        upstream="megatron/core/pipeline_parallel/schedules.py",
        says='total_num_tokens = torch.zeros([], dtype=torch.int, device="cuda")',
        reason="every schedule counts tokens in a tensor on device='cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="clip_grads",
        target="megatron.core.optimizer.optimizer:clip_grad_by_total_norm_fp32",
        upstream="megatron/core/optimizer/clip_grads.py",
        says="assert param.grad.type() == 'torch.cuda.FloatTensor'",
        reason="gradients of CPU parameters fail the assertion",
        replace=optimizer.clip_grads,
    ),
    Override(
        name="distributed_param_groups",
        target=f"{_DISTRIBUTED}._build_model_and_main_param_groups",
        upstream="megatron/core/optimizer/distrib_optimizer.py",
        says="elif model_param.type() == 'torch.cuda.FloatTensor':",
        reason="CPU parameters are refused: 'Wrapped parameters must be one of torch.cuda.FloatTensor'",
        replace=optimizer.build_param_groups,
    ),
    Override(
        name="distributed_sharded_state",
        target=f"{_DISTRIBUTED}.sharded_state_dict",
        upstream="megatron/core/optimizer/distrib_optimizer.py",
        says="assert len(steps) == 1",
        reason="before the first step torch's AdamW has no state, so loading asserts",
        replace=optimizer.sharded_state_dict,
    ),
    Override(
        name="distributed_set_states",
        target=f"{_DISTRIBUTED}._set_main_param_and_optimizer_states",
        upstream="megatron/core/optimizer/distrib_optimizer.py",
        says="dst_tensors[key].copy_(tensors[key])",
        reason="KeyError 'step': the checkpoint's tensors have none",
        replace=optimizer.set_parameter_states,
    ),
    Override(
        name="distributed_load_state",
        target=f"{_DISTRIBUTED}.load_state_dict",
        upstream="megatron/core/optimizer/distrib_optimizer.py",
        says='s["step"] = step',
        reason="all parameters share one step tensor, AdamW advances it once for each: the resume is silently wrong",
        replace=optimizer.load_state_dict,
    ),
)
"""In the order of the table in docs/cpu-backend.md."""
