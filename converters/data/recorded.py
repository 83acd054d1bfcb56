r"""Requests that the gateway recorded: real input, exactly as clients sent it.

The format. A folder with a file for each request: `<number>.http` or `<number>.grpc`, numbered in the order of arrival.
A file is one line of JSON, ended by `\n`, and behind it the request's body as it came over the wire:

    {"format": 1, "model": "ocr", "version": "", "datetime": "2026-01-31T12:00:00Z", "length": 1234,
     "header_length": 200, "content_encoding": ""}\n<1234 bytes>

- `format`: 1. Readers refuse others, and pass over keys that they don't know.
- `model`, `version`: as the client named them; the version is empty if it named none.
- `datetime`: of arrival, ISO 8601 in UTC; nobody computes with it.
- `length`: bytes of the body, so that a file that was cut off is noticed.
- `header_length`: HTTP only: the value of `Inference-Header-Content-Length`, null if the request had none.
- `content_encoding`: HTTP only: "", "gzip" or "deflate"; the body is as compressed as it came.

For gRPC the body is the serialized `ModelInferRequest`, without the frame of five bytes before it, not compressed.
Whoever records writes to a hidden file (a name that begins with a dot) and renames it when it is whole.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from converters.arrays import Feeds
from converters.data.digest import digest_of
from converters.data.folder import by_number
from converters.data.grpc_request import inputs_over_grpc
from converters.data.http_request import inputs_over_http
from converters.errors import BadData

FORMAT = 1
SUFFIXES = (".http", ".grpc")
_HINT = "leave this file out, and check what recorded it"
_LONGEST_HEAD = 1 << 16
_LARGEST_BODY = 1 << 30  # decompressed
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS


class RecordedDataset:
    """The requests in a folder, in the order of their numbers; each is a batch.

    Args:
        path: the folder.
        model: only requests for this model; empty takes all, which must be for one model.

    Raises:
        BadData: the folder is missing, holds no requests for the model or those for several, or a file cannot be
            decoded; says which. Raised on the first use.
        ToolMissing: a request came over gRPC, and tritonclient is not installed.
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
        """Over the decoded arrays: the same whether they came over HTTP or gRPC."""
        return digest_of(self)

    def __len__(self) -> int:
        """How many requests there are."""
        return len(self._files)

    def __iter__(self) -> Iterator[Feeds]:
        """The requests' inputs."""
        return map(_inputs, self._files)

    @cached_property
    def _files(self) -> Sequence[Path]:
        if not self._path.is_dir():
            raise BadData(f"there is no folder {self._path}", hint="correct the path")
        found = [file for file in self._path.iterdir() if file.suffix in SUFFIXES and not file.name.startswith(".")]
        files = sorted(found, key=by_number)
        models = {file: _head(file).model for file in files}
        wanted = [file for file in files if self._model in {"", models[file]}]
        if not wanted:
            others = ", ".join(sorted(set(models.values())))
            raise BadData(
                f"{self._path} holds no requests{f' for {self._model}, only for {others}' if others else ''}",
                hint="record some by the gateway, or correct the path",
            )
        several = sorted({models[file] for file in wanted})
        if len(several) > 1:
            raise BadData(
                f"{self._path} holds requests for {' and '.join(several)}", hint="name the model, or split it"
            )
        return wanted


@dataclass(frozen=True, slots=True)
class _Head:
    """The first line of a file; `start` is where the body begins."""

    model: str
    length: int
    header_length: int | None
    content_encoding: str
    start: int


def _head(path: Path) -> _Head:
    try:
        with path.open("rb") as file:
            line = file.readline(_LONGEST_HEAD)
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None
    try:
        said = json.loads(line)
        if said["format"] != FORMAT:
            raise BadData(
                f"{path} is of format {said['format']!r:.20}, and this version reads {FORMAT}",
                hint="use the version of triton-convert that belongs to the gateway that recorded it",
            )
        length, header_length = said["length"], said.get("header_length")
        if not isinstance(length, int) or not isinstance(header_length, int | None):
            raise ValueError
        encoding = str(said.get("content_encoding") or "")
        return _Head(str(said["model"]), length, header_length, encoding, len(line))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadData(f"the first line of {path} is not that of a recorded request", hint=_HINT) from None


def _inputs(path: Path) -> Feeds:
    head = _head(path)
    try:
        with path.open("rb") as file:
            file.seek(head.start)
            body = file.read()
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None
    if len(body) != head.length:
        raise BadData(f"{path} has {len(body)} bytes of body instead of {head.length}", hint=_HINT)
    if path.suffix == ".grpc":
        return inputs_over_grpc(body, str(path))
    return inputs_over_http(_decompressed(body, head.content_encoding, path), head.header_length, str(path))


def _decompressed(body: bytes, encoding: str, path: Path) -> bytes:
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "deflate"}:
        raise BadData(f"{path} is compressed by '{encoding}'", hint="leave it out; Triton takes gzip and deflate only")
    try:
        inflater = zlib.decompressobj(_ZLIB_OR_GZIP)
        result = inflater.decompress(body, _LARGEST_BODY)
    except zlib.error as error:
        raise BadData(f"{path} is not {encoding}: {error}", hint=_HINT) from None
    if not inflater.eof:
        raise BadData(f"{path} ends inside its {encoding}, or is larger than 1 GiB without it", hint=_HINT)
    return result
