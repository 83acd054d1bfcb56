"""The sentences, their tokens, and how rankings are compared."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from examples.engines import sentences
from examples.engines.sentences import CALIBRATED_TOPICS, Array, batches, neighbours, ranking, topics


@pytest.fixture
def tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that knows three words."""
    words = Tokenizer(models.WordLevel({"?": 0, "a": 1, "small": 2, "cat": 3}, unk_token="?"))  # noqa: S106 - no password
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    monkeypatch.setattr(sentences, "TOKENIZER", tmp_path / "tokenizer.json")


def test_there_are_forty_topics_of_four_different_sentences() -> None:
    found = topics()
    assert [len(topic) for topic in found] == [4] * 40
    everything = [sentence for topic in found for sentence in topic]
    assert len(set(everything)) == 160
    assert all(sentence == sentence.strip() for sentence in everything)


def test_a_batch_is_padded_to_its_longest_sentence(tokenizer: None) -> None:
    first, second = batches(["a small cat", "cat", "a cat"], size=2)
    assert first["input_ids"].tolist() == [[1, 2, 3], [3, 0, 0]]
    assert first["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert second["input_ids"].tolist() == [[1, 3]]
    assert second["input_ids"].dtype == np.int64


def test_calibration_and_verification_share_the_sentences_between_them(tokenizer: None) -> None:
    calibrated = sum(len(batch["input_ids"]) for batch in sentences.calibration())
    verified = sum(len(batch["input_ids"]) for batch in sentences.verification())
    assert (calibrated, verified) == (4 * CALIBRATED_TOPICS, 160 - 4 * CALIBRATED_TOPICS)


def test_a_missing_tokenizer_says_how_to_fetch_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "TOKENIZER", tmp_path / "tokenizer.json")
    with pytest.raises(FileNotFoundError, match="triton-gateway models fetch --sources"):
        next(batches(["a cat"]))


def outputs(embeddings: Array) -> list[dict[str, Array]]:
    """As a model gives them, in two batches."""
    return [{"embedding": part} for part in np.array_split(embeddings, 2)]


def test_the_same_embeddings_rank_the_same_however_long_they_are() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 8))
    assert ranking(outputs(vectors), outputs(3 * vectors), []) == pytest.approx(1.0)
    assert neighbours(outputs(vectors), outputs(3 * vectors), []) == 1.0


def test_other_embeddings_do_not() -> None:
    random = np.random.default_rng(0)
    one, other = (outputs(random.normal(size=(60, 8))) for _ in range(2))
    assert abs(ranking(one, other, [])) < 0.1
    assert neighbours(one, other, []) < 0.25


def test_a_reversed_order_ranks_opposite() -> None:
    turns = np.array([0.0, 0.1, 0.3, 0.7])
    here = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    # The first sentence is nearest to the second here and to the fourth there; the others differ in part.
    there = here[[0, 3, 2, 1]]
    assert ranking(outputs(here), outputs(there), []) < 0.5


def test_little_noise_costs_little() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 32))
    noisy = vectors + random.normal(0, 0.02, vectors.shape)
    assert 0.98 < ranking(outputs(vectors), outputs(noisy), []) < 1
