"""PyTorch modules, scripts and programs, run by PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from converters.arrays import Array, Feeds
from converters.errors import BadData
from converters.originals.feeds import taken
from converters.to_onnx.frameworks import one_line, quiet, torch
from converters.to_onnx.torch_names import chosen, flat, tensors


class TorchRunner:
    """A function of named tensors, on the CPU.

    Args:
        call: takes tensors by the inputs' names.
        inputs: the inputs' names; empty takes what the data has.
        outputs: names for the outputs, in order; empty names them as `torch_names` says.
    """

    def __init__(self, call: Callable[..., Any], inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self._call = call
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)

    @property
    def name(self) -> str:
        """PyTorch and its version."""
        return f"torch {torch().__version__}"

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """All outputs by name.

        Raises:
            BadData: an input is missing, or of another shape or type.
        """
        arrays = taken(feeds, self._inputs or list(feeds))
        try:
            with quiet(), torch().no_grad():
                result = self._call(**tensors(arrays))
        except Exception as error:
            given = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in arrays.items())
            raise BadData(
                f"the model does not take the input ({given}): {one_line(error)}",
                hint="give data of the shapes and types that it takes",
            ).at(step="run the original") from None
        leaves, names = flat(result)
        return {name: leaf.numpy() for name, leaf in zip(chosen(names, self._outputs), leaves, strict=True)}

    def close(self) -> None:
        """Let go of the model."""
        self._call = _closed


def _closed(**_: Any) -> Any:
    raise RuntimeError("the model is closed")
