"""The second backend for trainings: Megatron-Bridge 0.6.2 with Megatron-Core 0.19.2, over the same packs and weights.

Its modules are imported in an environment of its own (`make setup-bridge`), where NeMo is not.
"""
