"""Runs an engine: arrays up to the GPU, one execution, arrays down again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from backends.common.datatypes import Array, numpy_type
from backends.common.errors import LoadError, RequestError
from backends.common.signature import Signature
from backends.tensorrt.driver import Device, DriverError, OutOfMemory
from backends.tensorrt.engine import Profile, check_dtype, choose
from backends.tensorrt.runtime import Runtime

_LEAST_BYTES = 256  # every tensor needs an address of its own, also one without elements


class EngineModel:
    """An engine that is ready to run; one request or batch at a time.

    Args:
        runtime: the library that has opened it.
        engine: the library's `ICudaEngine`.
        device: the GPU that it was opened on.
        signature: its inputs and outputs.
        profiles: the optimization profiles that may be used, by number.

    Raises:
        LoadError: there is no memory for it, or it has outputs whose size only the data tell.
    """

    shared: frozenset[str] = frozenset()

    def __init__(
        self, runtime: Runtime, engine: Any, device: Device, signature: Signature, profiles: Mapping[int, Profile]
    ) -> None:
        self._runtime, self._engine, self._device = runtime, engine, device
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._outputs = {spec.name: numpy_type(spec.datatype) for spec in signature.outputs}
        self._profiles = profiles
        self._buffers: dict[str, tuple[int, int]] = {}
        self._context = engine.create_execution_context()
        if self._context is None:
            raise LoadError(f"the engine does not fit into the GPU's memory: {runtime.words()}; free some of it")
        self._active: int | None = None
        self._refuse_unknown_sizes()

    @property
    def scalars(self) -> frozenset[str]:
        """Inputs without dimensions, of which Triton sends one element."""
        return frozenset(name for name, spec in self._inputs.items() if spec.shape == ())

    def run(self, inputs: Mapping[str, Array], outputs: Collection[str]) -> dict[str, Array]:
        """Give only the named outputs; the engine computes all of them.

        Raises:
            RequestError: a shape or type is not what the engine was built for, or the GPU is out of memory.
        """
        arrays = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        for name, array in arrays.items():
            check_dtype(self._inputs[name], array, numpy_type(self._inputs[name].datatype))
        shapes = {name: inputs[name].shape for name in inputs}
        number = choose(self._profiles, shapes)
        with _as_request_error():
            self._device.activate()
            self._use(number)
            self._shape(shapes)
            for name, array in arrays.items():
                address = self._buffer(name, array.nbytes)
                if array.nbytes:
                    self._device.upload(array, address)
            results = {name: np.empty(self._shape_of(name), dtype) for name, dtype in self._outputs.items()}
            for name, array in results.items():
                self._buffer(name, array.nbytes)
            self._execute()
            wanted = {name: results[name] for name in outputs}
            for name, array in wanted.items():
                if array.nbytes:
                    self._device.download(self._buffers[name][0], array)
            self._device.wait()
        return wanted

    def close(self) -> None:
        """Release the engine and the GPU."""
        self._device.activate()
        self._context = self._engine = None
        for address, _ in self._buffers.values():
            self._device.free(address)
        self._buffers.clear()
        self._device.close()

    def _use(self, number: int) -> None:
        if number == self._active:
            return
        if not self._context.set_optimization_profile_async(number, self._device.stream):
            raise RequestError(f"the engine cannot use its profile {number}: {self._runtime.words()}")
        self._active = number

    def _shape(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise RequestError(f"input '{name}' cannot have the shape {list(shape)}: {self._runtime.words()}")

    def _shape_of(self, output: str) -> tuple[int, ...]:
        return tuple(int(size) for size in self._context.get_tensor_shape(output))

    def _buffer(self, name: str, size: int) -> int:
        """The address of a tensor's memory, which grows to the largest that was ever needed."""
        address, capacity = self._buffers.get(name, (0, 0))
        if not address or capacity < size:
            if address:
                del self._buffers[name]
                self._device.free(address)
            capacity = max(size, _LEAST_BYTES)
            address = self._device.allocate(capacity)
            self._buffers[name] = address, capacity
        if not self._context.set_tensor_address(name, address):
            raise RequestError(f"'{name}' cannot be bound: {self._runtime.words()}")
        return address

    def _execute(self) -> None:
        if not self._context.execute_async_v3(self._device.stream):
            raise RequestError(f"the engine failed: {self._runtime.words()}")

    def _refuse_unknown_sizes(self) -> None:
        """An output that is as long as the data make it, such as the boxes of a detector, cannot be fetched here."""
        number, profile = next(iter(self._profiles.items()))
        try:
            self._use(number)
            self._shape({name: allowed.opt for name, allowed in profile.items()})
        except RequestError as error:
            raise LoadError(str(error)) from None
        for name in self._outputs:
            if -1 in self._shape_of(name):
                raise LoadError(
                    f"output '{name}' is as large as the data make it, which this backend does not do; leave the last "
                    "step (such as NonMaxSuppression) to the client, or use Triton's native TensorRT backend"
                )


@contextmanager
def _as_request_error() -> Iterator[None]:
    try:
        yield
    except OutOfMemory as error:
        raise RequestError(f"the GPU has no memory left for this batch: {error}; send smaller ones") from None
    except DriverError as error:
        raise RequestError(str(error)) from None
