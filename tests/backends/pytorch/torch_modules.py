"""PyTorch modules for the tests; TorchScript reads their source, so they stand at the top of a file."""

from typing import Dict, List, Optional, Tuple  # noqa: UP035 - TorchScript reads these, and only some of the new ones

import torch


class Affine(torch.nn.Module):  # type: ignore[misc]
    """`x * scale + bias`, and twice that; `bias` has a default."""

    def forward(
        self,
        x: torch.Tensor,
        scale: int,
        bias: Optional[torch.Tensor] = None,  # noqa: UP045 - TorchScript
    ) -> Tuple[torch.Tensor, torch.Tensor]:  # noqa: UP006 - TorchScript
        y = x * scale
        if bias is not None:
            y = y + bias
        return y, y * 2


class Features(torch.nn.Module):  # type: ignore[misc]
    """A dictionary in, a dictionary out."""

    def forward(self, features: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:  # noqa: UP006 - TorchScript
        return {"sum": features["a"] + features["b"], "difference": features["a"] - features["b"]}


class Words(torch.nn.Module):  # type: ignore[misc]
    """Strings in, strings and their lengths out."""

    def forward(self, words: List[str]) -> Tuple[List[str], torch.Tensor]:  # noqa: UP006 - TorchScript
        lengths = torch.tensor([len(word) for word in words])
        return [word + "!" for word in words], lengths


class Picky(torch.nn.Module):  # type: ignore[misc]
    """Refuses negative numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool((x < 0).any()):
            raise RuntimeError("negative number")
        return x * 2


class Nested(torch.nn.Module):  # type: ignore[misc]
    """Takes what no tensor can feed."""

    def forward(self, tensors: List[torch.Tensor]) -> torch.Tensor:  # noqa: UP006 - TorchScript
        return tensors[0]


class Identity(torch.nn.Module):  # type: ignore[misc]
    """Thirteen tensors, given back."""

    def forward(
        self,
        a: torch.Tensor,
        b: torch.Tensor,
        c: torch.Tensor,
        d: torch.Tensor,
        e: torch.Tensor,
        f: torch.Tensor,
        g: torch.Tensor,
        h: torch.Tensor,
        i: torch.Tensor,
        j: torch.Tensor,
        k: torch.Tensor,
        m: torch.Tensor,
        n: torch.Tensor,
    ) -> Tuple[  # noqa: UP006 - TorchScript
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
        torch.Tensor,
    ]:
        return a, b, c, d, e, f, g, h, i, j, k, m, n


class Exported(torch.nn.Module):  # type: ignore[misc]
    """For `torch.export`: an affine map whose `power` is fixed when it is exported."""

    def forward(self, x: torch.Tensor, power: int, offset: torch.Tensor) -> Dict[str, torch.Tensor]:  # noqa: UP006
        return {"y": x**power + offset, "rounded": x.to(torch.int32)}


class Pair(torch.nn.Module):  # type: ignore[misc]
    """For `torch.export`: a nested input and two results."""

    def forward(self, pair: Tuple[torch.Tensor, torch.Tensor]) -> Tuple[torch.Tensor, torch.Tensor]:  # noqa: UP006
        return pair[0] + pair[1], pair[0] - pair[1]


class Counting(torch.nn.Module):  # type: ignore[misc]
    """Counts its runs and adds the count to `x`."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        return x * 0 + self.runs
