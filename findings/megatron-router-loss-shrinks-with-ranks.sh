#!/usr/bin/env bash
# What: with calculate_per_token_loss, Megatron-Core's loss that balances experts pulls half as hard where two tensor-parallel ranks share a sequence.
# Versions: megatron-core 0.15.3, torch 2.13.0 (CPU build), numpy 1.26.4, Python 3.11.
# Guess: the code scales that loss by the tokens of a rank to undo a later division by the number of tokens, so its
#   gradient is the same for the same tokens, however many tensor- or context-parallel ranks share them.
# Seen: 2026-11-30, half (0.500) of the gradient on two ranks: the scale is the tokens of the rank, the division is by those of all.
# Ours: nemo_kcpt/models/router_loss.py multiplies the coefficient by the ranks; tests/recipes/test_experts.py trains with
#   one rank and two.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==1.26.4 megatron-core==0.15.3
cat > "$folder/router.py" <<'PY'
import os, sys, warnings

warnings.simplefilter("ignore")
import torch
from megatron.core import parallel_state
from megatron.core.transformer import TransformerConfig
from megatron.core.transformer.moe.moe_utils import get_default_pg_collection
from megatron.core.transformer.moe.router import TopKRouter

TOKENS = 64


def gradient(rank: int, ranks: int) -> torch.Tensor:
    """Of the balancing loss alone, for all tokens' logits, as Megatron divides it in the end: by the number of tokens."""
    config = TransformerConfig(
        num_layers=1, hidden_size=8, num_attention_heads=2, add_bias_linear=False, num_moe_experts=4,
        moe_router_topk=2, moe_router_load_balancing_type="aux_loss", moe_aux_loss_coeff=0.1,
        calculate_per_token_loss=True, tensor_model_parallel_size=ranks, sequence_parallel=ranks > 1,
        use_cpu_initialization=True,
    )
    router = TopKRouter(config, get_default_pg_collection()).train()
    logits = torch.randn(TOKENS, 1, 4, generator=torch.Generator().manual_seed(0)) + torch.tensor([2.0, 1, 0, 0])
    own = logits.chunk(ranks)[rank].clone().requires_grad_()
    weights, _ = router.routing(own)
    (weights.sum() * 0).backward()  # the loss is attached to the weights' gradient
    every = [torch.empty_like(own) for _ in range(ranks)]
    torch.distributed.all_gather(every, own.grad)
    return torch.cat(every) / TOKENS


rank, ranks, place = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.distributed.init_process_group("gloo", init_method=f"file://{place}/meet-{ranks}", rank=rank, world_size=ranks)
parallel_state.initialize_model_parallel(tensor_model_parallel_size=ranks)
found = gradient(rank, ranks)
if rank == 0:
    torch.save(found, f"{place}/{ranks}.pt")
PY
python="$folder/venv/bin/python"
"$python" "$folder/router.py" 0 1 "$folder" 2> "$folder/log"
"$python" "$folder/router.py" 1 2 "$folder" 2>> "$folder/log" &
"$python" "$folder/router.py" 0 2 "$folder" 2>> "$folder/log"
wait
"$python" - "$folder" <<'PY'
import sys
import torch

one, two = (torch.load(f"{sys.argv[1]}/{ranks}.pt", weights_only=True) for ranks in (1, 2))
ratio = (two.norm() / one.norm()).item()
print(f"gradient of the balancing loss: {one.norm():.3e} on one rank, {two.norm():.3e} on two: {ratio:.3f} of it")
assert torch.allclose(2 * two, one, rtol=1e-4), "two ranks no longer give half"
PY
