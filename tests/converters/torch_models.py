"""Tiny PyTorch modules; a file of their own, for TorchScript reads their source."""

# mypy: disable-error-code="misc, no-any-return"

from __future__ import annotations

import torch


class Weighted(torch.nn.Module):
    """Scores of rows, and their sums, as a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"scores": torch.softmax(self.linear(x), -1) * mask, "sums": x.sum(1)}


class Pair(torch.nn.Module):
    """Two tensors, of a length that varies."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x * 2, x.cumsum(1)


class Looping(torch.nn.Module):
    """A loop and a branch that depend on the values; only a script can keep them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = torch.zeros_like(x[:, 0])
        for step in range(x.size(1)):
            total = total + x[:, step] if bool(x[:, step].sum() > 0) else total - x[:, step]
        return total


class FixedBatch(torch.nn.Module):
    """Works for two rows only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, -1).sum(1)


class Decomposing(torch.nn.Module):
    """An operator that ONNX does not have."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svd(x)[0]


class Listing(torch.nn.Module):
    """Returns no tensor."""

    def forward(self, x: torch.Tensor) -> list[int]:
        return [x.size(0)]
