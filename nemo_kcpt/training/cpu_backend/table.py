"""The one list of all that the CPU backend replaces in NeMo 2.7.3, Megatron-Core 0.15.3 and torch."""

from __future__ import annotations

from nemo_kcpt.training.cpu_backend import checkpoint, devices, optimizer, rng, router
from nemo_kcpt.training.cpu_backend.override import Override

_DISTRIBUTED = "megatron.core.optimizer.distrib_optimizer:DistributedOptimizer"

TORCH_CUDA = (
    Override(
        name="current_device",
        target="torch.cuda:current_device",
        upstream="megatron/core/distributed/param_and_grad_buffer.py:702",
        says="device=torch.cuda.current_device(),",
        reason="gradient buffers, pipeline messages and gathered tensors are allocated on it; it raises without CUDA",
        replace=devices.current_device,
    ),
    Override(
        name="synchronize",
        target="torch.cuda:synchronize",
        upstream="megatron/core/pipeline_parallel/p2p_communication.py:398",
        says="torch.cuda.synchronize()",
        reason="called after every pipeline message and while a checkpoint is written; it raises without CUDA",
        replace=devices.synchronize,
    ),
    Override(
        name="stream",
        target="torch.cuda:Stream",
        upstream="nemo/lightning/megatron_parallel.py:617",
        says="with torch.cuda.stream(torch.cuda.Stream()):",
        reason="NeMo builds Megatron's DDP inside a stream; the constructor raises without CUDA",
        replace=devices.stream,
    ),
)

RANDOM = (
    Override(
        name="rng_tracker",
        target="megatron.core.tensor_parallel.random:CudaRNGStatesTracker",
        upstream="megatron/core/tensor_parallel/random.py:196",
        says="orig_rng_state = torch.cuda.get_rng_state()",
        reason="it stores and forks CUDA generator states",
        replace=rng.rng_tracker,
    ),
    Override(
        name="get_rng_state",
        target="megatron.core.tensor_parallel.random:_get_cuda_rng_state",
        upstream="megatron/core/tensor_parallel/random.py:55",
        says="return torch.cuda.random.get_rng_state(device=device)",
        reason="activation recomputation saves the CUDA generator's state",
        replace=rng.get_rng_state,
    ),
    Override(
        name="set_rng_state",
        target="megatron.core.tensor_parallel.random:_set_cuda_rng_state",
        upstream="megatron/core/tensor_parallel/random.py:103",
        says="default_generator = torch.cuda.default_generators[idx]",
        reason="activation recomputation restores the CUDA generator's state; without CUDA the call waits for ever",
        replace=rng.set_rng_state,
    ),
    Override(
        name="set_random_seed",
        target="nemo.lightning.megatron_init:_set_random_seed",
        upstream="nemo/lightning/megatron_init.py:238",
        says="if torch.cuda.device_count() > 0:",
        reason="the tracker stays empty: 'cuda rng state model-parallel-rng is not added'",
        replace=rng.set_random_seed,
    ),
)

WRITTEN_OUT_DEVICES = (
    Override(
        name="torch_in_optimizer",
        target="megatron.core.optimizer.optimizer:torch",
        upstream="megatron/core/optimizer/optimizer.py:903",
        says="self._scale = torch.tensor([1.0], dtype=torch.float, device='cuda')",
        reason="the loss scale is allocated on device='cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="torch_in_clip_grads",
        target="megatron.core.optimizer.clip_grads:torch",
        upstream="megatron/core/optimizer/clip_grads.py:103",
        says="dummy_overflow_buf = torch.zeros(1, dtype=torch.int, device='cuda')",
        reason="the gradient norm allocates on device='cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="torch_in_utils",
        target="megatron.core.utils:torch",
        upstream="megatron/core/utils.py:1029",
        says='l2_cuda = torch.tensor([float(l2_reduced)], dtype=torch.float, device="cuda")',
        reason="the gradient norm's result is allocated on device='cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="torch_in_schedules",
        target="megatron.core.pipeline_parallel.schedules:torch",
        upstream="megatron/core/pipeline_parallel/schedules.py:573",
        says='total_num_tokens = torch.zeros([], dtype=torch.int, device="cuda")',
        reason="every schedule counts tokens in a tensor on device='cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="torch_in_strategy",
        target="nemo.lightning.pytorch.strategies.megatron_strategy:torch",
        upstream="nemo/lightning/pytorch/strategies/megatron_strategy.py:801",
        says='else torch.tensor(self.trainer.global_step, pin_memory=True).to("cuda", non_blocking=True)',
        reason="logged numbers go through pinned memory to 'cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="torch_in_data_sampler",
        target="nemo.lightning.pytorch.plugins.data_sampler:torch",
        upstream="nemo/lightning/pytorch/plugins/data_sampler.py:192",
        says='else torch.tensor(consumed_samples, pin_memory=True).to("cuda", non_blocking=True)',
        reason="logged sample counts go through pinned memory to 'cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="tied_embeddings",
        target="megatron.core.models.common.language_module.language_module:LanguageModule"
        ".setup_embeddings_and_output_layer",
        upstream="megatron/core/models/common/language_module/language_module.py:233",
        says="weight.data = weight.data.cuda()",
        reason="tied embeddings over pipeline stages are moved to CUDA before their all-reduce",
        replace=devices.tied_embeddings,
    ),
)

EXPERTS = (
    Override(
        name="router_gating_linear",
        target="megatron.core.transformer.moe.router:router_gating_linear",
        upstream="megatron/core/transformer/moe/moe_utils.py:958",
        says="if te_general_gemm is not None and router_dtype != torch.float64:",
        reason="the name is defined where Transformer Engine is installed alone: a mixture of experts fails without it",
        replace=router.gating_linear,
    ),
)

OPTIMIZER = (
    Override(
        name="clip_grads",
        target="megatron.core.optimizer.optimizer:clip_grad_by_total_norm_fp32",
        upstream="megatron/core/optimizer/clip_grads.py:167",
        says="assert param.grad.type() == 'torch.cuda.FloatTensor'",
        reason="gradients of CPU parameters fail the assertion",
        replace=optimizer.clip_grads,
    ),
    Override(
        name="distributed_param_groups",
        target=f"{_DISTRIBUTED}._build_model_and_main_param_groups",
        upstream="megatron/core/optimizer/distrib_optimizer.py:416",
        says="elif model_param.type() == 'torch.cuda.FloatTensor':",
        reason="CPU parameters are refused: 'Wrapped parameters must be one of torch.cuda.FloatTensor'",
        replace=optimizer.build_param_groups,
    ),
    Override(
        name="distributed_sharded_state",
        target=f"{_DISTRIBUTED}.sharded_state_dict",
        upstream="megatron/core/optimizer/distrib_optimizer.py:638",
        says="assert len(steps) == 1",
        reason="before the first step torch's AdamW has no state, so loading asserts",
        replace=optimizer.sharded_state_dict,
    ),
    Override(
        name="distributed_set_states",
        target=f"{_DISTRIBUTED}._set_main_param_and_optimizer_states",
        upstream="megatron/core/optimizer/distrib_optimizer.py:928",
        says="dst_tensors[key].copy_(tensors[key])",
        reason="KeyError 'step': the checkpoint's tensors have none",
        replace=optimizer.set_parameter_states,
    ),
    Override(
        name="distributed_load_state",
        target=f"{_DISTRIBUTED}.load_state_dict",
        upstream="megatron/core/optimizer/distrib_optimizer.py:821",
        says='s["step"] = step',
        reason="all parameters share one step tensor, AdamW advances it once for each: the resume is silently wrong",
        replace=optimizer.load_state_dict,
    ),
)

CHECKPOINT = (
    Override(
        name="fix_tensors_device",
        target="nemo.lightning.io.pl:_fix_tensors_device",
        upstream="nemo/lightning/io/pl.py:495",
        says="assert torch.cuda.is_initialized()",
        reason="loading any checkpoint asserts CUDA",
        replace=checkpoint.fix_tensors_device,
    ),
    Override(
        name="write_results_queue",
        target="megatron.core.dist_checkpointing.strategies.filesystem_async:_get_write_results_queue",
        upstream="megatron/core/dist_checkpointing/strategies/filesystem_async.py:54",
        says='ctx = mp.get_context("spawn")',
        reason="the first save starts a process that imports the main program again (3 to 14 s) and outlives a kill",
        replace=checkpoint.write_results_queue,
    ),
    Override(
        name="write_preloaded_data",
        target="megatron.core.dist_checkpointing.strategies.filesystem_async:FileSystemWriterAsync.write_preloaded_data",
        upstream="megatron/core/dist_checkpointing/strategies/filesystem_async.py:409",
        says="results_queue.put(local_output)",
        reason="a worker that writes when the training is killed waits for ever to hand over its results",
        replace=checkpoint.write_preloaded_data,
    ),
)

OVERRIDES: tuple[Override, ...] = (*TORCH_CUDA, *RANDOM, *WRITTEN_OUT_DEVICES, *EXPERTS, *OPTIMIZER, *CHECKPOINT)
