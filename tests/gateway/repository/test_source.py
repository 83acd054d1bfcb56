import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository import drops
from gateway.repository.progress import News
from gateway.repository.source import SourceFollower, delete, open_source, upload
from gateway.repository.store import Store


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    folder = tmp_path / "bucket"
    folder.mkdir()
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def move(folder: Path, to: str) -> Path:
    return folder.rename(folder.with_name(to))


class Following:
    """A follower that runs in the background."""

    def __init__(self, bucket: Path, repository: Path) -> None:
        self.news: list[News] = []
        source = open_source(f"file://{bucket}", repository)
        self._task = asyncio.create_task(SourceFollower(source, Store(repository), 0.02, self.news.append).run())

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                assert not self._task.done()
                await asyncio.sleep(0.02)

    async def __aenter__(self) -> "Following":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


async def test_what_is_in_the_store_becomes_a_drop_model_folders_too(bucket: Path, repository: Path) -> None:
    (bucket / "fraud.onnx").write_bytes(b"x")
    (bucket / "digits" / "1").mkdir(parents=True)
    (bucket / "digits" / "1" / "model.onnx").write_bytes(b"y")
    async with Following(bucket, repository) as following:
        await following.until(lambda: [drop.name for drop in drops.find(repository)] == ["digits", "fraud"])


async def test_what_was_taken_is_not_fetched_again_until_it_changes(bucket: Path, repository: Path) -> None:
    (bucket / "fraud.onnx").write_bytes(b"x")
    fetched = repository / drops.SOURCE / "fraud.onnx"
    async with Following(bucket, repository) as following:
        await following.until(fetched.exists)
        fetched.unlink()
        (bucket / "other.onnx").write_bytes(b"x")
        await following.until((repository / drops.SOURCE / "other.onnx").exists)
        assert not fetched.exists()
        (bucket / "fraud.onnx").write_bytes(b"another")
        await following.until(lambda: fetched.exists() and fetched.read_bytes() == b"another")


async def test_a_model_whose_object_is_deleted_is_removed(bucket: Path, repository: Path) -> None:
    (bucket / "fraud.onnx").write_bytes(b"x")
    async with Following(bucket, repository) as following:
        await following.until((repository / drops.SOURCE / "fraud.onnx").exists)
        (repository / "fraud" / "1").mkdir(parents=True)
        (bucket / "fraud.onnx").unlink()
        await following.until(lambda: not (repository / "fraud").exists())


async def test_trouble_is_told_once_and_does_not_end_it(bucket: Path, repository: Path) -> None:
    async with Following(bucket, repository) as following:
        away = move(bucket, "away")
        await following.until(lambda: following.news)
        move(away, "bucket")
        (bucket / "fraud.onnx").write_bytes(b"x")
        await following.until((repository / drops.SOURCE / "fraud.onnx").exists)
        [told] = following.news
        assert "cannot be listed" in told.message


async def test_a_model_is_uploaded_with_its_sidecars_and_deleted_with_them(
    bucket: Path, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "net.pt").write_bytes(b"x")
    (tmp_path / "net.yaml").write_text("{}")
    (bucket / "other.onnx").write_bytes(b"x")
    source = open_source(f"file://{bucket}", repository)
    await upload(source, "fraud", tmp_path / "net.pt")
    assert names(bucket) == {"fraud.pt", "fraud.yaml", "other.onnx"}
    assert await delete(source, "fraud") == 2
    assert names(bucket) == {"other.onnx"}


async def test_files_that_would_not_be_known_for_one_model_are_refused(
    bucket: Path, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "net.pt").write_bytes(b"x")
    (tmp_path / "net.yaml").write_text("labels: {y: classes.txt}")
    (tmp_path / "classes.txt").write_text("cat\n")
    with pytest.raises(ModelRefused, match=r"classes\.txt belongs to net\.pt but is called otherwise"):
        await upload(open_source(f"file://{bucket}", repository), "fraud", tmp_path / "net.pt")
    assert names(bucket) == set()
