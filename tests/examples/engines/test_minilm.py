"""The sentence encoder without its published weights; `tests/integration/test_engine_samples.py` has them."""

from pathlib import Path

import pytest
import torch

from examples.engines import minilm
from examples.engines.minilm import SentenceEncoder, renamed


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    torch.manual_seed(0)
    encoder = SentenceEncoder()
    encoder.eval()
    return encoder


def test_embeddings_have_length_one(encoder: SentenceEncoder) -> None:
    ids = torch.tensor([[101, 2023, 102], [101, 2003, 102]])
    with torch.no_grad():
        found = encoder(ids, torch.ones_like(ids))
    assert found.shape == (2, 384)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))


def test_padding_changes_nothing(encoder: SentenceEncoder) -> None:
    ids = torch.tensor([[101, 2023, 2003, 102]])
    padded = torch.nn.functional.pad(ids, (0, 5))
    with torch.no_grad():
        alone = encoder(ids, torch.ones_like(ids))
        beside = encoder(padded, (torch.arange(9) < 4).long()[None])
    torch.testing.assert_close(beside, alone)


def test_the_order_of_words_matters(encoder: SentenceEncoder) -> None:
    ids = torch.tensor([[101, 2023, 2003, 102], [101, 2003, 2023, 102]])
    with torch.no_grad():
        one, other = encoder(ids, torch.ones_like(ids))
    assert (one - other).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("published", "own"),
    [
        ("embeddings.word_embeddings.weight", "words.weight"),
        ("embeddings.LayerNorm.bias", "norm.bias"),
        ("encoder.layer.3.attention.self.query.weight", "layers.3.attention.query.weight"),
        ("encoder.layer.0.attention.output.dense.bias", "layers.0.attention.output.bias"),
        ("encoder.layer.5.attention.output.LayerNorm.weight", "layers.5.attention_norm.weight"),
        ("encoder.layer.1.intermediate.dense.weight", "layers.1.expand.weight"),
        ("encoder.layer.1.output.dense.weight", "layers.1.contract.weight"),
        ("encoder.layer.1.output.LayerNorm.weight", "layers.1.norm.weight"),
    ],
)
def test_published_names_become_those_of_the_module(encoder: SentenceEncoder, published: str, own: str) -> None:
    assert renamed(published) == own
    assert own in encoder.state_dict()


def test_missing_weights_say_how_to_fetch_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "WEIGHTS", tmp_path / "model.safetensors")
    with pytest.raises(FileNotFoundError, match="triton-gateway models fetch --sources"):
        minilm.model()
