"""ONNX files: read with a clear word on what is wrong with them, written whole or not at all, told apart by digest."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import onnx
from google.protobuf.message import DecodeError

from converters.errors import DISK_FULL, BadSource, ConversionError, OutOfResources, Place, first_line
from converters.graph.shapes import is_large, weights_of

_INLINE = 1024  # bytes: smaller weights stay in the graph
_ALIGNMENT = 4096  # bytes: runtimes map the weights' file into memory


def load(path: Path) -> onnx.ModelProto:
    """The model in a file, its external data included.

    Raises:
        BadSource: there is no such file, it is no ONNX or cut short, or a file with its weights is missing or damaged.
    """
    again = "export the model again, or copy the whole file again"
    if not path.is_file():
        raise BadSource(f"there is no file '{path}'", hint="check the path").at(model=path.name, step="read ONNX")
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, UnicodeDecodeError):
        raise BadSource(f"'{path}' is no ONNX model, or is cut short", hint=again).at(model=path.name) from None
    except OSError as error:
        raise unreadable(path, error) from None
    if not model.ir_version or not (model.graph.node or model.graph.output):
        raise BadSource(f"'{path}' is no ONNX model: it holds no graph", hint=again).at(model=path.name)
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except (onnx.checker.ValidationError, OSError, ValueError, RuntimeError) as error:
        files = sorted({_location(tensor) for tensor in weights_of(model) if tensor.external_data})
        raise BadSource(
            f"the weights of '{path.name}' cannot be read from {', '.join(files)}: {first_line(error)}",
            hint=f"copy the external data files beside it, into {path.parent}",
        ).at(model=path.name) from None
    for tensor in weights_of(model):
        tensor.ClearField("data_location")  # the weights are here now: the same model, wherever they lay
    _refuse_short_weights(path, model)
    return model


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write the model; the file is replaced in one step, so nobody ever sees half of it.

    Weights of more than 2 GB lie beside it in `<name>.<digest>.data`; such a file of the model before is removed.

    Raises:
        OutOfResources: the disk is full.
        ConversionError: the folder cannot be written to.
    """
    with _told_plainly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        earlier = set(path.parent.glob(f"{path.name}.*.data"))
        if is_large(model):
            earlier -= {_save_in_two(model, path)}
        else:
            with _written_whole(path) as file:
                file.write(model.SerializeToString(deterministic=True))
        for old in earlier:
            old.unlink(missing_ok=True)


def digest_of_model(model: onnx.ModelProto) -> str:
    """SHA-256 in lower-case hex of a model in memory; the same model gives the same in every process."""
    if not is_large(model):
        return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    digest = hashlib.sha256()
    for tensor in weights_of(model):
        digest.update(f"{tensor.name}\0{len(tensor.raw_data)}\0".encode())
        digest.update(tensor.raw_data)
    for node in model.graph.node:
        if any(attribute.type == onnx.AttributeProto.TENSOR for attribute in node.attribute):
            digest.update(f"{node.op_type}\0{list(node.input)}\0{list(node.output)}".encode())
        else:
            digest.update(node.SerializeToString(deterministic=True))
    for value in (*model.graph.input, *model.graph.output):
        digest.update(value.SerializeToString(deterministic=True))
    return digest.hexdigest()


def digest_of_path(*paths: Path) -> str:
    """SHA-256 in lower-case hex of files, or of all files in folders with their names there; the order does not matter.

    One file on its own gives what `sha256sum` gives.

    Raises:
        BadSource: a file cannot be read.
    """
    try:
        if len(paths) == 1 and paths[0].is_file():
            return digest_of_file(paths[0])
        digest = hashlib.sha256()
        for name, file in sorted(_named_files(paths)):
            digest.update(f"{name}\0{digest_of_file(file)}\n".encode())
        return digest.hexdigest()
    except OSError as error:
        raise unreadable(paths[0], error) from None


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def unreadable(path: Path, error: OSError) -> BadSource:
    """What the operating system says, as an error of ours."""
    cause = error.strerror or first_line(error)
    where = Place(model=path.name)
    return BadSource(f"'{path}' cannot be read: {cause}", hint="check the path and its permissions", place=where)


def _location(tensor: onnx.TensorProto) -> str:
    return next((f"'{entry.value}'" for entry in tensor.external_data if entry.key == "location"), "an unnamed file")


def _refuse_short_weights(path: Path, model: onnx.ModelProto) -> None:
    for tensor in weights_of(model):
        if not tensor.HasField("raw_data"):
            continue
        try:
            bits = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize * 8
        except (KeyError, TypeError):
            continue
        # Types of less than a byte are packed, so they may be shorter than numpy's.
        expected = bits // 8
        for size in tensor.dims:
            expected *= size
        packed = tensor.data_type in _PACKED
        if not packed and len(tensor.raw_data) != expected:
            raise BadSource(
                f"weight '{tensor.name}' of '{path.name}' has {len(tensor.raw_data)} bytes instead of {expected}",
                hint="the file or its external data is cut short: copy it again",
            ).at(model=path.name)


_PACKED = frozenset(
    getattr(onnx.TensorProto, name)
    for name in ("UINT4", "INT4", "FLOAT4E2M1", "UINT2", "INT2")
    if hasattr(onnx.TensorProto, name)
)


def _save_in_two(model: onnx.ModelProto, path: Path) -> Path:
    """Weights first, under a name that no other model's file has, then the graph that names them."""
    data = path.parent / f"{path.name}.{digest_of_model(model)[:16]}.data"
    tensors = [tensor for tensor in weights_of(model) if len(tensor.raw_data) > _INLINE]
    values: list[bytes] = []
    try:
        with _written_whole(data) as file:
            for tensor in tensors:
                file.seek(-file.tell() % _ALIGNMENT, os.SEEK_CUR)
                values.append(tensor.raw_data)
                _point_into(tensor, data.name, file.tell(), len(values[-1]))
                file.write(values[-1])
        with _written_whole(path) as file:
            file.write(model.SerializeToString(deterministic=True))
    finally:
        for tensor, value in zip(tensors, values, strict=False):  # shorter where writing broke off
            tensor.raw_data = value
            tensor.ClearField("data_location")
            del tensor.external_data[:]
    return data


def _point_into(tensor: onnx.TensorProto, location: str, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def write(data: bytes, path: Path) -> None:
    """Write a file that takes its name only once all of it is on the disk.

    Raises:
        OutOfResources: the disk is full; nothing is left behind.
        ConversionError: it cannot be written.
    """
    with _told_plainly(path), _written_whole(path) as file:
        file.write(data)


@contextmanager
def _written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name only once all of it is on the disk."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)  # mkstemp's is for its owner alone, and another user may serve it
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _told_plainly(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise OutOfResources(
                f"the disk of '{path.parent}' is full; '{path.name}' was not written",
                hint="make room there, or choose another output folder",
            ).at(model=path.name) from None
        raise ConversionError(
            f"'{path}' cannot be written: {error.strerror or first_line(error)}",
            hint="check the folder and its permissions",
        ).at(model=path.name) from None


def _named_files(paths: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    for path in paths:
        if path.is_dir():
            yield from ((f.relative_to(path).as_posix(), f) for f in path.rglob("*") if f.is_file())
        else:
            yield path.name, path


def digest_of_file(path: Path) -> str:
    """SHA-256 in lower-case hex of one file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
