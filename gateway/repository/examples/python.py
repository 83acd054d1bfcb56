"""A call with Python and tritonclient."""

from __future__ import annotations

from typing import Literal

from gateway.repository.catalog import Entry
from gateway.repository.examples.values import Value, example_values

DTYPES = {
    "BOOL": "np.bool_",
    **{f"{kind}{bits}": f"np.{kind.lower()}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)},
    "FP16": "np.float16",
    "BF16": "ml_dtypes.bfloat16",
    "FP32": "np.float32",
    "FP64": "np.float64",
    "BYTES": "np.object_",
}
"""numpy's type of each datatype; numpy itself has no BF16."""

_CALL = """\
# pip install "tritonclient[{protocol}]"
{imports}import numpy as np
import tritonclient.{protocol} as triton

{random}inputs = []
for name, datatype, array in [
{rows}
]:
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    inputs.append(tensor)

with triton.InferenceServerClient({address}) as client:
    result = client.infer({model}, inputs)
for name in {outputs}:
    print(name, result.as_numpy(name), sep=":\\n")
"""


def python_call(entry: Entry, address: str, protocol: Literal["http", "grpc"]) -> str:
    """The call as a script.

    Args:
        entry: the model; its signature must be known.
        address: HOST:PORT of the gateway's front end of that protocol.
        protocol: which of tritonclient's two clients is used.
    """
    values = example_values(entry)
    rows = [f"    ({value.name!r}, {value.datatype!r}, {_array(value)})," for value in values]
    text = "\n".join(rows)
    return _CALL.format(
        protocol=protocol,
        imports="import ml_dtypes\n" if "ml_dtypes." in text else "",
        random="rng = np.random.default_rng()\n" if "rng." in text else "",
        rows=text,
        address=repr(address),
        model=repr(entry.name),
        outputs=[output.name for output in entry.outputs],
    )


def _array(value: Value) -> str:
    """An expression for the tensor."""
    dtype, shape = DTYPES[value.datatype], value.shape
    if value.count == 0:
        return f"np.zeros({shape}, dtype={dtype})"
    if value.data is not None:
        return f"np.array({value.nested()!r}, dtype={dtype})"
    if value.datatype == "BOOL":
        return f"rng.random({shape}) < 0.5"
    if value.datatype == "BYTES" or value.low == value.high:
        element = "text" if value.datatype == "BYTES" else value.low
        return f"np.full({shape}, {element!r}, dtype={dtype})"
    if value.is_integer:
        return f"rng.integers({value.low}, {value.high}, {shape}, dtype={dtype}, endpoint=True)"
    return f"rng.uniform({value.low:.6g}, {value.high:.6g}, {shape}).astype({dtype})"
