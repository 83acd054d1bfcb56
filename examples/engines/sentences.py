"""What MiniLM is calibrated, verified and judged with: English sentences, in groups that share a topic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Array = npt.NDArray[Any]
Batch = Mapping[str, Array]

SENTENCES = Path(__file__).with_name("sentences.txt")
TOKENIZER = Path(__file__).parents[1] / "data" / "minilm" / "tokenizer.json"

CALIBRATED_TOPICS = 16
BATCH = 16
NEIGHBOURS = 5


def topics() -> list[list[str]]:
    """The sentences, a list for each topic."""
    return [block.splitlines() for block in SENTENCES.read_text(encoding="utf-8").strip().split("\n\n")]


def calibration() -> Iterator[Batch]:
    """The sentences of the first topics, as MiniLM takes them; see `batches`."""
    return batches([sentence for topic in topics()[:CALIBRATED_TOPICS] for sentence in topic])


def verification() -> Iterator[Batch]:
    """The sentences of the other topics, so that nothing is verified with what it was calibrated with."""
    return batches([sentence for topic in topics()[CALIBRATED_TOPICS:] for sentence in topic])


def batches(sentences: Sequence[str], size: int = BATCH) -> Iterator[Batch]:
    """Tokens of so many sentences at a time, each batch padded to its longest sentence.

    Yields:
        `input_ids` and `attention_mask`, INT64 [batch, length].

    Raises:
        FileNotFoundError: the tokenizer was not fetched.
    """
    if not TOKENIZER.is_file():
        raise FileNotFoundError(f"{TOKENIZER} is missing; run `triton-gateway models fetch --sources`")
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(128)
    waiting = iter(sentences)
    while batch := list(islice(waiting, size)):
        encoded = tokenizer.encode_batch(batch)
        yield {
            "input_ids": np.array([tokens.ids for tokens in encoded], np.int64),
            "attention_mask": np.array([tokens.attention_mask for tokens in encoded], np.int64),
        }


def ranking(original: Sequence[Batch], result: Sequence[Batch], inputs: Sequence[Batch]) -> float:  # noqa: ARG001
    """How alike both models rank the sentences by similarity: Spearman's correlation, the mean over all sentences.

    Each sentence ranks all others by the cosine of the embeddings; 1 means that the order is the same.
    """
    ranks = [_ranks(_similarities(model)) for model in (original, result)]
    one, other = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    correlation = (one * other).sum(axis=1) / np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return float(correlation.mean())


def neighbours(original: Sequence[Batch], result: Sequence[Batch], inputs: Sequence[Batch]) -> float:  # noqa: ARG001
    """The share of each sentence's five nearest sentences that are its five nearest with the other model, too."""
    nearest = [np.argsort(-_similarities(model), axis=1)[:, :NEIGHBOURS] for model in (original, result)]
    shared = [len(set(one) & set(other)) for one, other in zip(*nearest, strict=True)]
    return float(np.mean(shared) / NEIGHBOURS)


def _similarities(outputs: Sequence[Batch]) -> Array:
    """Cosines of every sentence with all others: [sentences, sentences - 1]."""
    embeddings = np.concatenate([next(iter(batch.values())) for batch in outputs]).astype(np.float64)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = embeddings @ embeddings.T
    others: Array = cosines[~np.eye(len(cosines), dtype=bool)].reshape(len(cosines), -1)
    return others


def _ranks(values: Array) -> Array:
    """The place of each value in its row, from 0 for the least."""
    ranks: Array = values.argsort(axis=1).argsort(axis=1).astype(np.float64)
    return ranks
