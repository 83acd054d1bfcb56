"""A `.npz` with one array for each input: what it says about the inputs, and its arrays in the model's datatypes."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.datatypes import BF16, BYTES, NUMPY_NAMES, of_array
from gateway.repository.description import ANY, Tensor
from gateway.repository.shapes import fits, show

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def inputs_of(path: Path, *, batches: bool | None) -> tuple[Tensor, ...]:
    """The inputs that a sample shows. Only the arrays' headers are read, whatever their size.

    Args:
        path: the `.npz`.
        batches: whether the arrays' first dimension is the batch; None if nobody said: then it is taken so if all
            arrays have the same.

    Raises:
        ModelRefused: it is no `.npz`, has no arrays, or has arrays of what the protocol cannot carry.
    """
    tensors = tuple(_headers(path))
    if not tensors:
        raise ModelRefused(
            f"{path.name}: there is no array inside; write it with numpy.savez({path.name!r}, NAME=array)"
        )
    first = {tensor.shape[:1] for tensor in tensors}
    if batches is False or len(first) > 1 or () in first:
        return tensors
    return tuple(Tensor(tensor.name, tensor.datatype, (ANY, *tensor.shape[1:])) for tensor in tensors)


def _headers(path: Path) -> Iterator[Tensor]:
    import numpy as np  # noqa: PLC0415 - the gateway starts without it

    form: Any = np.lib.format  # has no types
    with _readable(path), zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                old = form.read_magic(file) == (1, 0)
                shape, _, dtype = (form.read_array_header_1_0 if old else form.read_array_header_2_0)(file)
            name = member.removesuffix(".npy")
            yield Tensor(name, _datatype_of(path, name, dtype), tuple(shape))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelRefused(
            f"{path.name}: cannot be read as a .npz of arrays ({error}); write it with "
            f"numpy.savez({path.name!r}, NAME=array)"
        ) from None


def _datatype_of(path: Path, name: str, dtype: Any) -> str:
    datatype = of_array(dtype.str if dtype.kind in "US" else dtype.name)
    if datatype is None:
        what = "Python objects, which are never unpickled" if dtype.hasobject else str(dtype)
        fix = "save text as numpy.array([...], dtype=str)" if dtype.hasobject else "save it in another datatype"
        raise ModelRefused(f"{path.name}: array {name!r} holds {what}; {fix}")
    return datatype


def read_sample(path: Path, inputs: tuple[Tensor, ...]) -> dict[str, Array]:
    """The arrays of a sample, checked against the model's inputs and in their datatypes.

    A float64 array serves an FP32 input and an int64 one an INT32 input, as numpy makes such by default, if each
    value fits. A float array serves a BF16 input.

    Raises:
        ModelRefused: an array is missing, unknown, or of another shape or datatype than the input.
    """
    import numpy as np  # noqa: PLC0415 - the gateway starts without it

    known = {tensor.name: tensor for tensor in inputs}
    for header in _headers(path):
        if header.name not in known:
            raise ModelRefused(
                f"{path.name}: array {header.name!r} is no input of the model; inputs: {', '.join(known)}"
            )
    with _readable(path), np.load(path, allow_pickle=False) as arrays:
        missing = [name for name, tensor in known.items() if name not in arrays.files and not tensor.optional]
        if missing:
            raise ModelRefused(f"{path.name}: there is no array for the input {missing[0]!r}; add it")
        return {name: _for_input(path, known[name], arrays[name]) for name in known if name in arrays.files}


def _for_input(path: Path, tensor: Tensor, array: Array) -> Array:
    where = f"{path.name}: array {tensor.name!r}"
    if array.size == 0:
        raise ModelRefused(f"{where} is empty; give it at least one element")
    if not fits(array.shape, tensor.shape):
        fix = ""
        if tensor.shape[:1] == (ANY,) and fits(array.shape, tensor.shape[1:]):
            fix = "; it lacks the first dimension: save it as array[None]"
        raise ModelRefused(f"{where} has the shape {show(array.shape)}, the model takes {show(tensor.shape)}{fix}")
    converted = _converted(array.reshape(()) if tensor.shape == () else array, tensor.datatype)
    if converted is None:
        raise ModelRefused(f"{where} is {array.dtype}, the model takes {tensor.datatype}; convert it with astype")
    return converted


def _converted(array: Array, datatype: str) -> Array | None:
    """The array in a datatype; None where that would not be the same values."""
    import numpy as np  # noqa: PLC0415 - the gateway starts without it

    if datatype == BYTES:
        encoded = np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array
        return encoded.astype(object) if encoded.dtype.kind == "S" else None
    if datatype == BF16 and array.dtype.kind == "f":
        return bfloat16(array)
    wanted = np.dtype(NUMPY_NAMES[datatype])
    if not np.can_cast(array.dtype, wanted, "same_kind"):
        return None
    with np.errstate(over="ignore"):
        converted = array.astype(wanted)
    same = np.isfinite(converted) == np.isfinite(array) if array.dtype.kind == "f" else converted == array
    return converted if same.all() else None


def bfloat16(values: Array) -> Array:
    """The bits of the values as bfloat16, rounded to the nearest, as uint16."""
    import numpy as np  # noqa: PLC0415 - the gateway starts without it

    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    not_a_number = 0x7FC0  # rounding could make it infinite
    result: Array = np.where(np.isnan(values), not_a_number, rounded.reshape(np.shape(values))).astype(np.uint16)
    return result


def float32_of(bits: Array) -> Array:
    """The reverse of `bfloat16`, as float32."""
    import numpy as np  # noqa: PLC0415 - the gateway starts without it

    return np.asarray(np.left_shift(bits, 16, dtype=np.uint32)).view(np.float32)
