"""Run a TorchScript module on arrays, its tensors named as the backend `pytorch` names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.datatypes import in_config, normalise
from gateway.repository.description import Tensor

if TYPE_CHECKING:
    from backends.pytorch.naming import Argument
    from gateway.repository.kinds.base import Array

_SCALARS = ("int", "float", "bool")


class ModuleRunner:
    """A module as a function of arrays.

    Attributes:
        datatypes: of each output that was seen, in the protocol's words.
        keyed: whether `forward` returned a dictionary, whose keys name the outputs.
    """

    def __init__(self, module: Any, arguments: Sequence[Argument], inputs: Sequence[Tensor]) -> None:
        """Bind the inputs to the arguments of `forward`, by the backend's rules.

        Raises:
            ModelRefused: they don't fit.
        """
        from backends.common.errors import LoadError  # noqa: PLC0415 - only the sandbox has the backends
        from backends.pytorch.naming import bind_inputs  # noqa: PLC0415 - only the sandbox has the backends

        self.datatypes: dict[str, str] = {}
        self.keyed = False
        self._module = module
        self._inputs = {tensor.name: in_config(tensor.datatype) for tensor in inputs}
        try:
            self._arguments = bind_inputs(list(self._inputs), arguments)
        except LoadError as error:
            text = str(error).replace("config.pbtxt has no input", "nobody said an input")
            raise ModelRefused(f"{text}; forward takes {', '.join(each.name for each in arguments)}") from None

    def __call__(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """All results, by key if `forward` returns a dictionary, else `OUTPUT__0`, ...

        Raises:
            ModelRefused: one is neither a tensor nor a list of strings.
        """
        import torch  # noqa: PLC0415 - only the sandbox has it

        keywords: dict[str, Any] = {}
        for name, array in arrays.items():
            argument, value = self._arguments[name], self._value(name, array)
            if argument.kind == "Dict[str, Tensor]":
                keywords.setdefault(argument.name, {})[name] = value
            else:
                keywords[argument.name] = value
        with torch.inference_mode():
            result = self._module(**keywords)
            self.keyed = isinstance(result, dict)
            return {name: self._array(name, value) for name, value in _results(result).items()}

    def uniform(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The arrays, each that `forward` takes as a plain number with that number in all rows."""
        import numpy as np  # noqa: PLC0415 - only the sandbox needs it

        return {
            name: np.full_like(array, array.flat[0]) if self._arguments[name].kind in _SCALARS else array
            for name, array in arrays.items()
        }

    def _value(self, name: str, array: Array) -> Any:
        import torch  # noqa: PLC0415 - only the sandbox has it

        from backends.pytorch.values import scalar_of, strings_of, tensor_of  # noqa: PLC0415 - only the sandbox

        kind = self._arguments[name].kind
        if kind == "List[str]":
            return strings_of(name, array)
        if kind in _SCALARS:
            return scalar_of(name, array[:1], kind)
        return tensor_of(torch, array, self._inputs[name], "cpu")

    def _array(self, name: str, value: Any) -> Array:
        import torch  # noqa: PLC0415 - only the sandbox has it

        from backends.common.datatypes import NUMPY_TYPES, STRING  # noqa: PLC0415 - only the sandbox has the backends
        from backends.pytorch.values import array_of, datatype_of  # noqa: PLC0415 - only the sandbox has the backends

        if torch.is_tensor(value):
            datatype = datatype_of(value.dtype)
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            datatype = STRING
        else:
            datatype = f"a {type(value).__name__}"
        if datatype not in NUMPY_TYPES:
            raise ModelRefused(
                f"result {name} of forward is {datatype}, which Triton cannot carry; let forward return tensors, a "
                "tuple of tensors, or a dictionary of them"
            )
        self.datatypes[name] = normalise(datatype)
        return array_of(torch, name, value, datatype)


def _results(result: Any) -> dict[str, Any]:
    if isinstance(result, dict):
        return {str(key): value for key, value in result.items()}
    strings = isinstance(result, list) and all(isinstance(item, str) for item in result)
    several = isinstance(result, (tuple, list)) and not strings
    return {f"OUTPUT__{position}": value for position, value in enumerate(result if several else [result])}
