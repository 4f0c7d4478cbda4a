"""Faults in conversion, data, models, training, recipes and plans, each with the tests that must fail on it."""

from __future__ import annotations

MAPPING = "nemo_kcpt/checkpoints/mapping.py"
FAMILIES = "nemo_kcpt/hf/families/base.py"
CHECKPOINT = "nemo_kcpt/checkpoints/checkpoint.py"
FINISHED = "nemo_kcpt/checkpoints/finished.py"
WINDOWS = "nemo_kcpt/data/windows.py"
LLAMA = "nemo_kcpt/models/llama.py"
Z_LOSS = "nemo_kcpt/models/z_loss.py"
TRAININGS = "tests/training/test_layouts.py -k "
CONVERSIONS = "tests/conversion/test_layouts.py -k "
STEPS = "tests/recipes/test_steps.py"

MUTATIONS = [
    # Conversion
    (
        "rows of q, k and v are taken across query groups", MAPPING,
        "fused.reshape(shape.num_query_groups, per_group + 2, shape.kv_channels, *rest)",
        "fused.reshape(per_group + 2, shape.num_query_groups, shape.kv_channels, *rest).transpose(0, 1)",
        "tests/conversion/test_mapping.py",
    ),
    (
        "gate and up projection are swapped both ways", FAMILIES,
        '"mlp.gate_proj.weight": ("ffn_hidden_size", "hidden_size"),\n        "mlp.up_proj.weight"',
        '"mlp.up_proj.weight": ("ffn_hidden_size", "hidden_size"),\n        "mlp.gate_proj.weight"',
        "tests/conversion/test_mapping.py",
    ),
    (
        "an untied output layer is left out", FAMILIES,
        "if self.tied else (EMBEDDING, FINAL_NORM, OUTPUT)", "if self.tied else (EMBEDDING, FINAL_NORM)",
        "tests/conversion/test_mapping.py",
    ),
    (
        "the names of the local layer spec are forgotten", FAMILIES,
        '"self_attention.linear_qkv.layer_norm_weight", "input_layernorm.weight")',
        '"self_attention.linear_qkv.layer_norm_weight", "input_layernorm")',
        "tests/conversion/test_mapping.py",
    ),
    (
        "every layer is read as the first one", CHECKPOINT,
        '((f"{LAYERS}{name}", (part.layer, *expert)),', '((f"{LAYERS}{name}", (0, *expert)),',
        "tests/conversion/test_mapping.py",
    ),
    (
        "a padded vocabulary is read from its end", CHECKPOINT,
        "return self.tensor(key, (*index, *(0 for _ in part.size)), box)",
        "return self.tensor(key, (*index, *(a - b for a, b in zip(self._metadata[key].size[len(index):], part.size))), "
        "box)",
        "tests/conversion/test_mapping.py",
    ),
    (
        "a checkpoint that is still being written counts as finished", FINISHED,
        "return not layout_of(checkpoint).missing(checkpoint) and not marker.exists()",
        "return not layout_of(checkpoint).missing(checkpoint) or marker.exists()",
        "tests/conversion/test_checkpoint.py",
    ),
    (
        "a checkpoint's files may be shorter than it says", FINISHED,
        "        if size < needed:", "        if size < 0 * needed:",
        "tests/training/test_killed_save.py -k half_there",
    ),
    (
        "tensors are not rounded to the checkpoint's type", "nemo_kcpt/checkpoints/torch_dist.py",
        "tensor = read(part).to(kind).contiguous()", "tensor = read(part).contiguous()",
        "tests/conversion/test_torch_dist.py",
    ),
    (
        "the mean of checkpoints is their sum", "nemo_kcpt/checkpoints/export.py",
        "return total.div_(len(self._readers))", "return total",
        "tests/conversion/test_export.py",
    ),
    (
        "the vocabulary is not padded for tensor parallelism", LLAMA,
        "get_vocab_size(self, self.vocab_rows, self.make_vocab_size_divisible_by)", "self.vocab_rows",
        CONVERSIONS + "TP2-",
    ),
    (
        "Llama 3's scaling of frequencies is lost", "nemo_kcpt/hf/megatron_options.py",
        "        **scaled,\n", "",
        CONVERSIONS + "TP1-",
    ),
    (
        "the RoPE base of the model is lost", "nemo_kcpt/hf/megatron_options.py",
        '"rotary_base": base,', '"rotary_base": 10_000,',
        CONVERSIONS + "DP2-",
    ),
    # Data
    (
        "windows are off by one", WINDOWS,
        "divmod(sample, info.epoch_windows)", "divmod(sample + 1, info.epoch_windows)",
        "tests/data/test_order.py tests/data/test_windows.py",
    ),
    (
        "every epoch has the order of the first", WINDOWS,
        "key=(seed, epoch)", "key=(seed, 0)",
        "tests/data/test_order.py tests/data/test_windows.py",
    ),
    (
        "labels are not shifted", WINDOWS,
        '"labels": torch.roll(tokens, -1)', '"labels": tokens',
        "tests/data/test_windows.py",
    ),
    (
        "the loss mask is not shifted with the labels", WINDOWS,
        "loss_mask = torch.roll(bears_loss, -1)", "loss_mask = bears_loss",
        "tests/data/test_windows.py",
    ),
    (
        "prompts bear loss", WINDOWS,
        "return role == OUTPUT or (kind == REPLAY and role == TEXT)", "return True",
        "tests/data/test_windows.py",
    ),
    (
        "a document is asked for the first token of the next", WINDOWS,
        "bears_loss[torch.from_numpy(borders[:-1].astype(np.int64))] = 0.0", "pass",
        "tests/data/test_windows.py",
    ),
    (
        "positions do not restart at documents", WINDOWS,
        'item["position_ids"] -= torch.repeat_interleave(starts, lengths)', "pass",
        "tests/data/test_windows.py",
    ),
    (
        "a resume skips one global batch", "nemo_kcpt/data/packed.py",
        'consumed = int(state_dict["consumed_samples"])',
        'consumed = int(state_dict["consumed_samples"]) + self.global_batch_size',
        STEPS,
    ),
    # Models
    (
        "borders of the windows of a micro-batch are not moved", "nemo_kcpt/models/forward.py",
        "ends.append(borders[1:] + offset)", "ends.append(borders[1:])",
        "tests/models/test_llama.py",
    ),
    (
        "attention scores are scaled by another size", "nemo_kcpt/models/sdpa_attention.py",
        "config.kv_channels**-0.5", "config.hidden_size**-0.5",
        "tests/models/test_sdpa_attention.py",
    ),
    (
        "gradients of norms are not summed over sequence-parallel ranks", "nemo_kcpt/models/rms_norm.py",
        "self.weight.sequence_parallel = config.sequence_parallel", "self.weight.sequence_parallel = False",
        TRAININGS + "sequence-resumed",
    ),
    (
        "validation measures the z-loss too", "nemo_kcpt/models/options.py",
        "if not model.training:", "if model.training is None:",
        TRAININGS + "z_loss",
    ),
    (
        "the z-loss sums a part of the vocabulary", Z_LOSS,
        "for summed in (predicted, total):", "for summed in (predicted,):",
        TRAININGS + "z_loss",
    ),
    (
        "every rank takes the label for its own", Z_LOSS,
        "-= 1.0 - elsewhere.view(-1).float()", "-= 1.0",
        TRAININGS + "z_loss",
    ),
    (
        "z-loss has half its gradient", Z_LOSS,
        "(1 + 2 * ctx.coefficient * log_z)", "(1 + ctx.coefficient * log_z)",
        TRAININGS + "z_loss",
    ),
    # Training
    (
        "parameters share one step of the optimizer", "nemo_kcpt/cpu_backend/optimizer.py",
        'state["step"].clone()', 'state["step"]',
        TRAININGS + "distributed_optimizer_is_exact",
    ),
    (
        "gradients are clipped twice as hard", "nemo_kcpt/cpu_backend/optimizer.py",
        "coefficient = max_norm / (total_norm + 1.0e-6)", "coefficient = max_norm / (2 * total_norm + 1.0e-6)",
        "tests/training/test_stand_ins.py -k clipping",
    ),
    (
        "rounded copies of weights outlive a step", "nemo_kcpt/training/cpu_speed.py",
        "            self._weights.clear()", "            pass",
        TRAININGS + "bf16_products_is_exact",
    ),
    (
        "gradients of rounded products are too large", "nemo_kcpt/models/bf16_linear.py",
        "for_x = product(grad, rounded) if", "for_x = product(grad, rounded) * 1.1 if",
        TRAININGS + "bf16_products_learn",
    ),
    (
        "the oldest checkpoint is resumed", "nemo_kcpt/training/resume.py",
        "            return finished[-1]", "            return finished[0]",
        STEPS,
    ),
    (
        "a resume drops the line of the step it continues from", "nemo_kcpt/records/steps.py",
        'if line["step"] <= step', 'if line["step"] < step',
        STEPS,
    ),
    # Recipes and plans
    (
        "the learning rate falls over twice the steps", "recipes/common.py",
        "max_steps=plan.steps,\n            warmup_steps", "max_steps=2 * plan.steps,\n            warmup_steps",
        STEPS,
    ),
    (
        "the learning rate falls to nothing", "nemo_kcpt/planning/training.py",
        "self.learning_rate / 10", "0.0",
        STEPS,
    ),
    (
        "tuning keeps the learning rate of pretraining", "nemo_kcpt/planning/catalogue.py",
        "learning_rate=rates[FINETUNE]", "learning_rate=rates[PRETRAIN]",
        STEPS,
    ),
    (
        "the NTK base has another exponent", "nemo_kcpt/planning/rope.py",
        "scale ** (size / (size - 2))", "scale ** (size / (size - 1))",
        "tests/planning/test_rope.py",
    ),
    (
        "the vocabulary is padded for one rank", "nemo_kcpt/planning/megatron_memory.py",
        "unit = multiple * tensor_parallel", "unit = multiple",
        "tests/planning/test_megatron_memory.py",
    ),
]  # fmt: skip
