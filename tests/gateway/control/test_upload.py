import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml
from starlette.requests import ClientDisconnect

from gateway.control.upload import AlreadyWaiting, Uploads, name_of
from gateway.core.errors import ModelRefused, RequestTooLarge
from gateway.repository.description import Tensor
from gateway.repository.drops import find
from gateway.repository.store import Store
from tests.gateway.control.files import TREES


async def in_pieces(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def uploads(repository: Path, max_bytes: int = 2**30) -> Uploads:
    return Uploads(repository, Store(repository).staging, max_bytes)


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_an_upload_becomes_a_drop_as_a_whole(tmp_path: Path) -> None:
    taken = await uploads(tmp_path).receive("my_model.txt", (Tensor("x:0", "FP32", (-1, 2)),), in_pieces(TREES, 7))

    assert (taken.model, taken.size_bytes, taken.sha256) == ("my_model", len(TREES), hashlib.sha256(TREES).hexdigest())
    [drop] = find(tmp_path)
    assert (drop.name, drop.source.name, drop.problem) == ("my_model", "my_model.txt", "")
    assert drop.source.read_bytes() == TREES
    [said] = yaml.safe_load(drop.source.with_suffix(".yaml").read_text())["inputs"]
    assert said == {"name": "x:0", "datatype": "FP32", "shape": [-1, 2]}


async def test_nothing_stays_of_what_was_not_taken(tmp_path: Path) -> None:
    async def ends_early() -> AsyncIterator[bytes]:
        yield TREES[:100]
        raise ClientDisconnect

    receiver = uploads(tmp_path, max_bytes=len(TREES))
    with pytest.raises(RequestTooLarge, match=f"larger than {len(TREES)} bytes"):
        await receiver.receive("m.txt", (), in_pieces(TREES + b"\n"))
    with pytest.raises(ClientDisconnect):
        await receiver.receive("m.txt", (), ends_early())
    with pytest.raises(ModelRefused, match="notes"):
        await receiver.receive("notes.md", (), in_pieces(b"# Notes"))
    assert find(tmp_path) == ()
    assert files_in(tmp_path) in ([], ["lock"])


async def test_one_model_is_uploaded_once_at_a_time(tmp_path: Path) -> None:
    receiver = uploads(tmp_path)
    tries = [receiver.receive("m.txt", (), in_pieces(TREES)) for _ in range(3)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["AlreadyWaiting", "AlreadyWaiting", "Upload"]
    with pytest.raises(AlreadyWaiting, match="m: an upload is being published already"):
        await receiver.receive("m.txt", (), in_pieces(TREES))

    assert receiver.is_waiting("m")
    receiver.take_back("m")
    assert not receiver.is_waiting("m")


async def test_the_scratch_folder_is_given_back_in_every_case(tmp_path: Path) -> None:
    entered: list[str] = []

    class Staging(AbstractContextManager[Path]):
        def __enter__(self) -> Path:
            entered.append("in")
            (tmp_path / "scratch").mkdir(exist_ok=True)
            return tmp_path / "scratch"

        def __exit__(self, *_: object) -> None:
            entered.append("out")

    with pytest.raises(ModelRefused):
        await Uploads(tmp_path, Staging, 100).receive("notes.md", (), in_pieces(b"?"))
    assert entered == ["in", "out"]


@pytest.mark.parametrize(("filename", "model"), [("a.onnx", "a"), ("a-1.2.onnx", "a-1.2"), ("plain", "plain")])
def test_a_model_is_called_as_its_file(filename: str, model: str) -> None:
    assert name_of(filename) == model


@pytest.mark.parametrize(
    "filename", ["", ".onnx", "..", "a b.onnx", "a/b.onnx", "$(id).onnx", "a--candidate.onnx", "é"]
)
def test_a_name_that_no_model_can_have_is_refused(filename: str) -> None:
    with pytest.raises(ModelRefused, match="gives no name to a model"):
        name_of(filename)
