"""Takes a model file over HTTP and puts it where the running gateway picks it up."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import yaml

from gateway.core.errors import ModelRefused, RequestTooLarge
from gateway.repository import inbox
from gateway.repository.description import Tensor
from gateway.repository.drops import INBOX
from gateway.repository.reader import explained
from gateway.repository.recognise import recognise
from gateway.repository.rehearsal import is_candidate
from gateway.repository.scan import SAFE_NAME

_WRITE_BYTES = 2**20
_WAITING = "{}: an upload is being published already; wait for it"


class AlreadyWaiting(ModelRefused):
    """There is an upload of the same model that is not published yet."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was taken.

    Attributes:
        model: the name under which it will be served.
        size_bytes: of the file.
        sha256: of the file, in lower-case hex.
    """

    model: str
    size_bytes: int
    sha256: str


class Uploads:
    """Receives files for one repository.

    Args:
        repository: the model repository.
        staging: gives a scratch folder on its file system, such as `Store.staging`; it is entered in a thread.
        max_bytes: the largest file.
    """

    def __init__(
        self, repository: Path, staging: Callable[[], AbstractContextManager[Path]], max_bytes: int = 16 * 2**30
    ) -> None:
        self._repository, self._inbox, self._staging = repository, repository / INBOX, staging
        self._max_bytes = max_bytes

    def is_waiting(self, model: str) -> bool:
        """Whether there is an upload of this model that is not published yet, or was refused."""
        return (self._inbox / model).exists()

    def take_back(self, model: str) -> None:
        """Forget an upload, for instance because it was refused."""
        inbox.take_back(self._inbox / model)

    async def receive(self, filename: str, inputs: Sequence[Tensor], body: AsyncIterable[bytes]) -> Upload:
        """Write a file as it comes in, look at what it is, and put it into the inbox as a whole.

        Args:
            filename: such as "my_model.onnx".
            inputs: what is to be said about the model's inputs.
            body: the file's bytes.

        Raises:
            ModelRefused: it is no model, or no model can have that name.
            RequestTooLarge: it is larger than allowed.
            AlreadyWaiting: there is an upload of this model already.
            SetupError: the repository cannot be written.
        """
        model = name_of(filename)
        if self.is_waiting(model):
            raise AlreadyWaiting(_WAITING.format(model))
        async with self._staged() as scratch:
            drop = scratch / model
            path = drop / filename
            with explained(self._repository):
                size, sha256 = await self._write(path, body)
                await asyncio.to_thread(recognise, path)
                await asyncio.to_thread(self._hand_over, drop, path, inputs)
        return Upload(model, size, sha256)

    async def _write(self, path: Path, body: AsyncIterable[bytes]) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        file = await asyncio.to_thread(_create, path)
        try:
            async for block in _blocks(body):
                size += len(block)
                if size > self._max_bytes:
                    raise RequestTooLarge(f"{path.name}: the file is larger than {self._max_bytes} bytes")
                await asyncio.to_thread(file.write, block)
                await asyncio.to_thread(digest.update, block)
            await asyncio.to_thread(file.flush)
            await asyncio.to_thread(os.fsync, file.fileno())
        finally:
            file.close()
        return size, digest.hexdigest()

    def _hand_over(self, drop: Path, path: Path, inputs: Sequence[Tensor]) -> None:
        if inputs:
            said = [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in inputs]
            text = yaml.safe_dump({"inputs": said}, sort_keys=False)
            path.with_suffix(".yaml").write_text(text, encoding="utf-8")
        self._inbox.mkdir(parents=True, exist_ok=True)
        try:
            drop.rename(self._inbox / drop.name)
        except OSError:
            raise AlreadyWaiting(_WAITING.format(drop.name)) from None

    @asynccontextmanager
    async def _staged(self) -> AsyncIterator[Path]:
        staging = self._staging()
        folder = await asyncio.to_thread(staging.__enter__)
        try:
            yield folder
        finally:
            await asyncio.to_thread(staging.__exit__, None, None, None)


def name_of(filename: str) -> str:
    """What a model in this file is called.

    Raises:
        ModelRefused: no model can be called so.
    """
    model = Path(filename).stem
    if SAFE_NAME.fullmatch(filename) and SAFE_NAME.fullmatch(model) and not is_candidate(model):
        return model
    raise ModelRefused(
        f"{filename!r} gives no name to a model: call it NAME.ENDING, with up to 128 letters, digits, '.', '_' and "
        "'-', the first a letter or a digit"
    )


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir()
    return path.open("wb")


async def _blocks(body: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in larger pieces: each costs a change of threads."""
    pending = bytearray()
    async for chunk in body:
        pending += chunk
        if len(pending) >= _WRITE_BYTES:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)
