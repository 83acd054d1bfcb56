"""The files that an ONNX model consists of, read from its bytes without loading a tensor or importing a framework.

An ONNX file is one protocol buffer. Tensors may lie in files beside it, and each such tensor names its file; where
tensors can stand in the message is the table below. Source: `onnx/onnx.proto`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.core.errors import MalformedMessage, ModelRefused
from gateway.wire.protobuf import BYTES, VARINT, fields, varint

_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Which messages lie inside of which, by the number of the field."""

_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
_IS_EXTERNAL = 1
_THINGS_OF_THEIR_OWN = frozenset({".md", ".npz", ".onnx", ".pt", ".xml", ".yaml", ".yml"})
_IR_VERSION_TAG = 0x08
_GIT_LFS = b"version https://git-lfs"


def external_tensors(model: Path) -> Iterator[tuple[str, str]]:
    """The name of each tensor that lies in a file of its own, and that file as the model writes it.

    Raises:
        MalformedMessage: the file is no protocol buffer, or not a whole one.
        OSError: it cannot be read.
    """
    if not model.stat().st_size:
        raise MalformedMessage("the file is empty")
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        waiting = [("model", 0, len(content))]
        while waiting:
            message, start, end = waiting.pop()
            if message == "tensor":
                yield from _external(content, start, end)
                continue
            inside = _INSIDE[message]
            waiting.extend(
                (inside[number], begin, stop)
                for number, wire, begin, stop in fields(content, start, end)  # type: ignore[arg-type]  # mmap acts as bytes
                if wire == BYTES and number in inside
            )


def _external(content: Any, start: int, end: int) -> Iterator[tuple[str, str]]:
    """The tensor's name and file, if it has one.

    A tensor may be written in several pieces, which protobuf puts together. So every file that a piece names counts,
    whether or not that piece says that the data lies outside.
    """
    name, locations, is_external = "", list[str](), False
    for number, wire, begin, stop in fields(content, start, end):
        if number == _NAME and wire == BYTES:
            name = content[begin:stop].decode("utf-8", "replace")
        elif number == _DATA_LOCATION and wire == VARINT:
            is_external = varint(content, begin)[0] == _IS_EXTERNAL
        elif number == _EXTERNAL_DATA and wire == BYTES:
            entry = {number: content[begin:stop] for number, _, begin, stop in fields(content, begin, stop)}
            if entry.get(1) == b"location":
                locations.append(entry.get(2, b"").decode("utf-8", "replace"))
    yield from ((name, location) for location in locations or ([""] if is_external else []))


def data_files(model: Path, *, alone: bool) -> tuple[str, ...]:
    """The files that the tensors of `model` lie in, relative to its folder, each once.

    Args:
        model: the `.onnx` file; what it needs must stay inside of its folder, links followed.
        alone: the folder is not the model's own, so its folders belong to others.

    Raises:
        ModelRefused: the model is not ONNX, or a tensor's file is missing, or lies outside.
    """
    locations: dict[str, None] = {}
    try:
        for tensor, location in external_tensors(model):
            if location not in locations:
                _check(model, alone, tensor, location)
                locations[location] = None
    except MalformedMessage:
        raise ModelRefused(f"{model.name}: {_what_it_is(model)}") from None
    return tuple(locations)


def may_lie_beside(location: str) -> bool:
    """Whether a file beside a dropped model can be that model's data, and is not a thing of its own."""
    path = Path(location)
    return path.name == location and path.suffix.lower() not in _THINGS_OF_THEIR_OWN and not location.startswith(".")


def _check(model: Path, alone: bool, tensor: str, location: str) -> None:
    what = f"{model.name}: the data of tensor '{tensor}' lies in '{location}'"
    together = "save the model again with its data beside it (onnx.save_model(..., location='weights.data'))"
    path = Path(location)
    if not location or path.is_absolute() or ".." in path.parts or {"\\", "\0"} & set(location):
        raise ModelRefused(f"{what}, which is not a place inside the model's folder; {together}")
    if alone and not may_lie_beside(location):
        raise ModelRefused(f"{what}; put {model.name} and that into a folder of their own, and drop the folder")
    place = model.parent / path
    if not place.exists():
        raise ModelRefused(f"{what}, which is missing; put that file beside {model.name}, as it was when it was saved")
    if not place.resolve().is_relative_to(model.parent.resolve()):
        raise ModelRefused(f"{what}, a link that leads out of the model's folder; put the file itself there")
    if not place.is_file():
        raise ModelRefused(f"{what}, which is not a file; {together}")


def _what_it_is(model: Path) -> str:
    """Why the file cannot be read, in as many words as its first bytes tell."""
    with model.open("rb") as file:
        start = file.read(64)
    if not start:
        return "the file is empty; copy it again"
    if start.startswith(_GIT_LFS):
        return "this is not the model but Git LFS's pointer to it; run `git lfs pull` and copy it again"
    if start.lstrip()[:1] == b"<":
        return "this is a web page, not an ONNX model; download the file itself (on GitHub: the button 'Download raw')"
    if start[0] == _IR_VERSION_TAG:
        return "the file ends in the middle of the model; copy it again"
    return "this is not an ONNX model, whatever its name says; export it again (torch.onnx.export, tf2onnx, ...)"
