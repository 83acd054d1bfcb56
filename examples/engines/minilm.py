"""all-MiniLM-L6-v2: sentence embeddings, as a PyTorch module of its own.

A BERT encoder of 6 layers (Devlin et al., 2019), the mean of its tokens, and a vector of length 1. The weights and the
tokenizer are the published ones (Apache-2.0): `triton-gateway models fetch --sources` puts them into
`examples/data/minilm/`. What it is calibrated and verified with stands in `sentences.py`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

WEIGHTS = Path(__file__).parents[1] / "data" / "minilm" / "model.safetensors"

VOCABULARY, POSITIONS, WIDTH, INNER, HEADS, LAYERS = 30522, 512, 384, 1536, 12, 6
EPSILON = 1e-12  # of layer normalisation

# Parts of the published names and what they are here, replaced in this order.
NAMES = {
    "embeddings.word_embeddings.": "words.",
    "embeddings.position_embeddings.": "positions.",
    "embeddings.token_type_embeddings.": "segments.",
    "embeddings.LayerNorm.": "norm.",
    "encoder.layer.": "layers.",
    "attention.self.": "attention.",
    "attention.output.dense.": "attention.output.",
    "attention.output.LayerNorm.": "attention_norm.",
    "intermediate.dense.": "expand.",
    "output.dense.": "contract.",
    "output.LayerNorm.": "norm.",
}


class Attention(nn.Module):  # type: ignore[misc] # torch is not followed
    """Every token looks at every other one, in several heads at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Tokens [batch, length, 384] and what is added to the scores [batch, 1, 1, length] -> tokens of that shape."""
        batch, length, _ = tokens.shape
        query, key, value = (
            linear(tokens).view(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) / (WIDTH // HEADS) ** 0.5 + bias
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, length, WIDTH)
        out: Tensor = self.output(mixed)
        return out


class Layer(nn.Module):  # type: ignore[misc] # torch is not followed
    """Attention, then two linear layers; each is added to what it is given, and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.attention_norm = nn.LayerNorm(WIDTH, EPSILON)
        self.expand = nn.Linear(WIDTH, INNER)
        self.contract = nn.Linear(INNER, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, EPSILON)

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """As `Attention`."""
        tokens = self.attention_norm(tokens + self.attention(tokens, bias))
        out: Tensor = self.norm(tokens + self.contract(functional.gelu(self.expand(tokens))))
        return out


class SentenceEncoder(nn.Module):  # type: ignore[misc] # torch is not followed
    """Sentences to vectors; sentences that mean the same point the same way."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.segments = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Tokens to embeddings.

        Args:
            input_ids: of WordPiece tokens, INT64 [batch, length], at most 512 long.
            attention_mask: 1 for a token, 0 for padding, INT64 [batch, length].

        Returns:
            FP32 [batch, 384], each of length 1.
        """
        mask = attention_mask.to(self.norm.weight.dtype)
        bias = (mask[:, None, None, :] - 1.0) * 1e4  # e**-10000 is 0 as well, and FP16 can hold -10000
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        tokens = self.norm(self.words(input_ids) + self.positions(places) + self.segments.weight[0])
        for layer in self.layers:
            tokens = layer(tokens, bias)
        mean = (tokens * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return functional.normalize(mean, dim=1)


def renamed(name: str) -> str:
    """What a published weight is called here."""
    for published, own in NAMES.items():
        name = name.replace(published, own)
    return name


def model() -> SentenceEncoder:
    """The encoder with its published weights, ready to be exported.

    Raises:
        FileNotFoundError: the weights were not fetched.
    """
    if not WEIGHTS.is_file():
        raise FileNotFoundError(f"{WEIGHTS} is missing; run `triton-gateway models fetch --sources`")
    published = load_file(WEIGHTS)
    # Neither is used for sentences: BERT's own pooling of the first token, and the numbers from 0 to 511.
    weights = {
        renamed(name): weight
        for name, weight in published.items()
        if not name.startswith(("pooler.", "embeddings.position_ids"))
    }
    encoder = SentenceEncoder()
    encoder.load_state_dict(weights)
    encoder.eval()
    return encoder
