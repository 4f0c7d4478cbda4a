"""BERTScore (Zhang et al., ICLR 2020) with bert-score's arithmetic, without its padding, truncation and failures.

bert-score sorts by words, so that Japanese is padded to the longest text of a batch; it cuts long texts silently, fails
on empty ones with transformers 5 and cannot load encoders with code of their own. Here batches hold texts of like
length in tokens, a text beyond the encoder's limit is read in overlapping windows, and empty texts score 0.

source     finds an encoder: a folder, or a repository on Hugging Face; custom code runs only if it was allowed
encoder    the tokenizer and the network: texts to token ids, token ids to unit vectors
windows    where the windows of a long text lie; which token sequences share a batch
matching   precision, recall and F of two sets of unit vectors
scorer     `BertScore`: what is encoded when, and what is kept
"""

from nemo_kcpt.evaluation.scoring.bertscore.matching import Prf
from nemo_kcpt.evaluation.scoring.bertscore.scorer import BertScore, Statistics
from nemo_kcpt.evaluation.scoring.bertscore.source import DEFAULT_ENCODER

__all__ = ["BertScore", "Prf", "Statistics", "DEFAULT_ENCODER"]
