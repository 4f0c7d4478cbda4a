"""The one list of all that the CPU backend replaces in NeMo 2.7.3, its Megatron-Core 0.15.3 and torch."""

from __future__ import annotations

from nemo_kcpt.cpu_backend import checkpoint, devices, linear, rng, router
from nemo_kcpt.cpu_backend.override import Override
from nemo_kcpt.cpu_backend.shared import SHARED

OVERRIDES: tuple[Override, ...] = (
    *SHARED,
    Override(
        name="frozen_linear_backward",
        target="megatron.core.tensor_parallel.layers:LinearWithFrozenWeight.backward",
        upstream="megatron/core/tensor_parallel/layers.py",
        says="grad_input = grad_output.matmul(weight)",
        reason="under adapters gradients are multiplied token by token, 7 to 9 times slower; 0.19.2 has mended it",
        replace=linear.in_order,
    ),
    Override(
        name="router_gating_linear",
        target="megatron.core.transformer.moe.router:router_gating_linear",
        upstream="megatron/core/transformer/moe/moe_utils.py",
        says="if te_general_gemm is not None and router_dtype != torch.float64:",
        reason="the name is defined only where Transformer Engine is installed: a mixture of experts fails without it",
        replace=router.gating_linear,
    ),
    Override(
        name="rng_tracker",
        target="megatron.core.tensor_parallel.random:CudaRNGStatesTracker",
        upstream="megatron/core/tensor_parallel/random.py",
        says="orig_rng_state = torch.cuda.get_rng_state()",
        reason="it stores and forks CUDA generator states",
        replace=rng.rng_tracker,
    ),
    Override(
        name="tied_embeddings",
        target="megatron.core.models.common.language_module.language_module:LanguageModule"
        ".setup_embeddings_and_output_layer",
        upstream="megatron/core/models/common/language_module/language_module.py",
        says="weight.data = weight.data.cuda()",
        reason="tied embeddings over pipeline stages are moved to CUDA before their all-reduce",
        replace=devices.tied_embeddings,
    ),
    Override(
        name="stream",
        target="torch.cuda:Stream",
        upstream="nemo/lightning/megatron_parallel.py",
        says="with torch.cuda.stream(torch.cuda.Stream()):",
        reason="NeMo builds Megatron's DDP inside a stream; the constructor raises without CUDA",
        replace=devices.stream,
    ),
    Override(
        name="set_random_seed",
        target="nemo.lightning.megatron_init:_set_random_seed",
        upstream="nemo/lightning/megatron_init.py",
        says="if torch.cuda.device_count() > 0:",
        reason="the tracker stays empty: 'cuda rng state model-parallel-rng is not added'",
        replace=rng.set_random_seed,
    ),
    Override(
        name="torch_in_strategy",
        target="nemo.lightning.pytorch.strategies.megatron_strategy:torch",
        upstream="nemo/lightning/pytorch/strategies/megatron_strategy.py",
        says='else torch.tensor(self.trainer.global_step, pin_memory=True).to("cuda", non_blocking=True)',
        reason="logged numbers go through pinned memory to 'cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="torch_in_data_sampler",
        target="nemo.lightning.pytorch.plugins.data_sampler:torch",
        upstream="nemo/lightning/pytorch/plugins/data_sampler.py",
        says='else torch.tensor(consumed_samples, pin_memory=True).to("cuda", non_blocking=True)',
        reason="logged sample counts go through pinned memory to 'cuda'",
        replace=devices.cpu_torch,
    ),
    Override(
        name="fix_tensors_device",
        target="nemo.lightning.io.pl:_fix_tensors_device",
        upstream="nemo/lightning/io/pl.py",
        says="assert torch.cuda.is_initialized()",
        reason="loading any checkpoint asserts CUDA",
        replace=checkpoint.fix_tensors_device,
    ),
    Override(
        name="write_results_queue",
        target="megatron.core.dist_checkpointing.strategies.filesystem_async:_get_write_results_queue",
        upstream="megatron/core/dist_checkpointing/strategies/filesystem_async.py",
        says='ctx = mp.get_context("spawn")',
        reason="the first save starts a process that imports the main program again (3 to 14 s) and outlives a kill",
        replace=checkpoint.write_results_queue,
    ),
    Override(
        name="write_preloaded_data",
        target="megatron.core.dist_checkpointing.strategies.filesystem_async:FileSystemWriterAsync.write_preloaded_data",
        upstream="megatron/core/dist_checkpointing/strategies/filesystem_async.py",
        says="results_queue.put(local_output)",
        reason="a worker that writes when the training is killed waits for ever to hand over its results",
        replace=checkpoint.write_preloaded_data,
    ),
)
