"""Training with NeMo 2: the strategy, the checks before the first step, adapters, metrics, and how it resumes."""

import atexit
import gc

# When Python ends, it looks for cycles among the 900,000 objects of NeMo's import, again and again: five seconds.
atexit.register(gc.freeze)
