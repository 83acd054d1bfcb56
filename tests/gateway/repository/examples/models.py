"""Models with the signatures that examples have to get right."""

from typing import Any

import numpy as np
from tritonclient.utils import triton_to_np_dtype

from gateway.repository.catalog import Entry
from gateway.repository.description import Description, Tensor

AWKWARD = 'it\'s "x" <a>:0\\n$(id) `b` %s {c} </script>'
EVERY_DATATYPE = (
    "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "BF16", "FP32", "FP64",
    "BYTES",
)  # fmt: skip
IN_JSON = tuple(datatype for datatype in EVERY_DATATYPE if datatype not in ("FP16", "BF16"))


def model(
    *inputs: Tensor,
    outputs: tuple[Tensor, ...] = (Tensor("out", "FP32", (-1, 2)),),
    sample: tuple[dict[str, Any], ...] = (),
    name: str = "echo",
    batches: bool = True,
) -> Entry:
    """A model that has these inputs."""
    return Entry(
        name, description=Description("onnx", "onnxruntime", "onnx", inputs, outputs, batches, "f"), sample=sample
    )


IRIS = model(
    Tensor("x", "FP32", (-1, 4)),
    sample=({"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [5.099999904632568, 3.5, 1.4, 0.2]},),
    name="iris",
)
SIXTEEN_BITS = (Tensor("half", "FP16", (-1, 2)), Tensor("out", "FP32", (-1, 2)), Tensor("brain", "BF16", (-1, 2)))
EVERYTHING = model(*(Tensor(f"in {each}", each, (-1, 2)) for each in EVERY_DATATYPE), outputs=SIXTEEN_BITS)
ALL_OF_JSON = model(*(Tensor(f"in {each}", each, (-1, 2)) for each in IN_JSON))
BINARY_ANSWER = model(Tensor("x", "FP32", (-1, 2)), outputs=SIXTEEN_BITS)
LONG = model(*(Tensor(datatype, datatype, (-1, 10, 12)) for datatype in IN_JSON), Tensor("short", "BYTES", (-1, 1)))
LONG_BINARY = model(*(Tensor(datatype, datatype, (-1, 10, 12)) for datatype in EVERY_DATATYPE))
NAMED_AWKWARDLY = model(
    Tensor(AWKWARD, "BYTES", (-1,)),
    Tensor("émoji 🎉", "INT64", ()),
    sample=(
        {"name": AWKWARD, "datatype": "BYTES", "shape": [2, 1], "data": [AWKWARD, "zwei\nEND\nZeilen"]},
        {"name": "émoji 🎉", "datatype": "INT64", "shape": [], "data": [7]},
    ),
)

ALL = {
    "iris": IRIS,
    "every datatype": EVERYTHING,
    "every datatype of JSON": ALL_OF_JSON,
    "binary answer": BINARY_ANSWER,
    "long": LONG,
    "long and binary": LONG_BINARY,
    "awkward names": NAMED_AWKWARDLY,
}


def check_received(entry: Entry, received: list[dict[str, "np.ndarray[Any, Any]"]]) -> None:
    """Assert that one inference came, with everything that the model wants."""
    [tensors] = received
    assert list(tensors) == [tensor.name for tensor in entry.inputs]
    for tensor in entry.inputs:
        array = tensors[tensor.name]
        assert array.dtype == triton_to_np_dtype(tensor.datatype)
        assert array.ndim == len(tensor.shape)
        assert all(size in (-1, found) for size, found in zip(tensor.shape, array.shape, strict=True))
    for sampled in entry.sample:
        expected = np.array(sampled["data"], dtype=triton_to_np_dtype(sampled["datatype"])).reshape(sampled["shape"])
        assert np.array_equal(tensors[sampled["name"]], expected)
