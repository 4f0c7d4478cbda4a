"""The parts of `kcpt convert verify`, each a module: weights, logits, token ids, vLLM."""
