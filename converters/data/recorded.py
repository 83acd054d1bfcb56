"""Requests that the gateway recorded: real input, as clients sent it.

The format, as the gateway's `tap/recording/segment.py` defines it. A log is a folder with a folder for each model, and
in that segments: two files each, `<number>-<requests>.safetensors` with tensors and `<number>-<requests>.jsonl` with a
line of JSON for each request, in the order of arrival. A segment exists if its `.jsonl` does; numbers sort as requests
came. Of a line, this is what counts here:

    {"format": 1, "n": 0, "model": "ocr", "redacted": ["in/address"],
     "inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 3, 224, 224]}]}

The tensor of an input is `<n>/in/<name>`, stored natively; BYTES as U8, each element with its length before it in four
bytes, little-endian. `redacted` names what is not as the client sent it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from converters.arrays import Array, Feeds
from converters.data.decode import from_bytes
from converters.data.digest import digest_of
from converters.errors import BadData, ToolMissing

FORMAT = 1
TENSORS, LINES = ".safetensors", ".jsonl"
_NAME = re.compile(r"(\d{8,30})-\d{1,9}")
_HINT = "take the two files of this segment away, and check what recorded it"


class RecordedDataset:
    """The requests of a log, in the order of arrival; each is a batch.

    Args:
        path: the log's folder, or that of one model in it.
        model: only requests for this model; empty takes all, which must be for one model.

    Raises:
        BadData: the folder is missing, holds no requests for the model or those for several, a segment is damaged, or
            an input was redacted; says which. Raised on the first use.
        ToolMissing: the library that reads tensors is not installed.
    """

    def __init__(self, path: Path, *, model: str = "") -> None:
        self._path = path
        self._model = model

    @property
    def origin(self) -> str:
        """The path."""
        return str(self._path)

    @cached_property
    def digest(self) -> str:
        """Over the arrays."""
        return digest_of(self)

    def __len__(self) -> int:
        """How many requests there are."""
        return sum(len(requests) for _, requests in self._segments)

    def __iter__(self) -> Iterator[Feeds]:
        """The requests' inputs; one segment at a time is in memory."""
        for path, requests in self._segments:
            tensors = _tensors(path.with_suffix(TENSORS))
            for request in requests:
                yield {each.name: _array(each, request.n, tensors, path) for each in request.inputs}

    @cached_property
    def _segments(self) -> Sequence[tuple[Path, Sequence[_Request]]]:
        """The wanted requests of each segment, by its lines' file."""
        if not self._path.is_dir():
            raise BadData(f"there is no folder {self._path}", hint="correct the path")
        read = [(path, _requests(path)) for path in sorted(_files(self._path), key=_number)]
        models = sorted({request.model for _, requests in read for request in requests})
        wanted = [
            (path, kept) for path, all_of in read if (kept := [r for r in all_of if self._model in {"", r.model}])
        ]
        if not wanted:
            others = ", ".join(models)
            raise BadData(
                f"{self._path} holds no requests{f' for {self._model}, only for {others}' if others else ''}",
                hint="record some by the gateway, or correct the path",
            )
        if not self._model and len(models) > 1:
            raise BadData(
                f"{self._path} holds requests for {' and '.join(models)}", hint="name the model, or its own folder"
            )
        return wanted


def is_log(path: Path) -> bool:
    """Whether a folder is a log, or that of one model in it."""
    return next(_files(path), None) is not None


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Request:
    n: int
    model: str
    inputs: tuple[_Input, ...]


def _files(folder: Path) -> Iterator[Path]:
    """The lines of all segments in a folder, and in its folders."""
    for pattern in (f"*{LINES}", f"*/*{LINES}"):
        for path in folder.glob(pattern):
            if _NAME.fullmatch(path.stem):
                yield path


def _number(path: Path) -> tuple[int, str]:
    return int(path.stem.partition("-")[0]), str(path)


def _requests(path: Path) -> list[_Request]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None
    return [_request(line, f"line {number} of {path}") for number, line in enumerate(content.splitlines(), 1)]


def _request(line: bytes, where: str) -> _Request:
    try:
        said = json.loads(line)
        if said["format"] != FORMAT:
            raise BadData(
                f"{where} is of format {said['format']!r:.20}, and this version reads {FORMAT}",
                hint="use the version of triton-convert that belongs to the gateway that recorded it",
            )
        inputs = tuple(_Input(each["name"], each["datatype"], tuple(each["shape"])) for each in said["inputs"])
        model, n, redacted = said["model"], int(said["n"]), said.get("redacted") or ()
        emptied = [name for each in inputs if f"in/{(name := each.name)}" in redacted]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadData(f"{where} is not that of a recorded request", hint=_HINT) from None
    if emptied:
        raise BadData(
            f"{where}: the input '{emptied[0]}' was redacted, so it holds zeros and no data",
            hint="record again without this input in recording.redact.inputs, or calibrate with other data",
        )
    return _Request(n, str(model), inputs)


def _tensors(path: Path) -> dict[str, Any]:
    """What is in a segment's file of tensors: shape and bytes of each by its key."""
    try:
        from safetensors import SafetensorError, deserialize  # noqa: PLC0415 - only recorded requests need it
    except ImportError:
        raise ToolMissing("recorded requests need safetensors", hint="pip install safetensors") from None
    try:
        return dict(deserialize(path.read_bytes()))  # type: ignore[no-untyped-call]
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}", hint=_HINT) from None
    except SafetensorError as error:
        raise BadData(f"{path} is damaged: {error}", hint=_HINT) from None


def _array(each: _Input, n: int, tensors: dict[str, Any], path: Path) -> Array:
    key = f"{n}/in/{each.name}"
    if key not in tensors:
        raise BadData(f"{path.with_suffix(TENSORS)} lacks the tensor '{key}'", hint=_HINT)
    return from_bytes(bytes(tensors[key]["data"]), each.datatype, each.shape, f"input '{each.name}' in {path}")
