"""What a folder and an object store both do, and what is a folder's own."""

from __future__ import annotations

import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore, S3Store

from gateway.core.errors import SetupError
from gateway.tap.recording.places import FolderPlace, Place, StorePlace, place_of
from gateway.tap.recording.segment import SegmentName

FIRST, SECOND = SegmentName(10**25, 3), SegmentName(10**25 + 1, 1)


@pytest.fixture(params=["folder", "memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made: dict[str, Callable[[], Place]] = {
        "folder": lambda: FolderPlace(tmp_path / "log"),
        "memory": lambda: StorePlace(MemoryStore()),
        "file": lambda: StorePlace(LocalStore(tmp_path / "log", mkdir=True)),
    }
    return made[request.param]()


async def test_segments_are_listed_and_read_as_they_were_written(place: Place) -> None:
    await place.write("ocr", SECOND, b"tensors", b"lines")
    await place.write("ocr", FIRST, b"1", b"")
    await place.write("other", FIRST, b"12", b"34")
    assert await place.models() == ["ocr", "other"]
    assert [(each.name, each.bytes, each.whole) for each in await place.segments("ocr")] == [
        (FIRST, 1, True),
        (SECOND, 12, True),
    ]
    assert await place.read("ocr", SECOND) == (b"tensors", b"lines")
    assert await place.segments("none") == []


async def test_what_is_removed_is_gone_and_may_be_gone_already(place: Place) -> None:
    await place.write("ocr", FIRST, b"1", b"2")
    await place.write("ocr", SECOND, b"1", b"2")
    await place.remove("ocr", [FIRST, SegmentName(10**25 + 7, 1)])
    await place.remove("ocr", [FIRST])
    assert [each.name for each in await place.segments("ocr")] == [SECOND]
    with pytest.raises(FileNotFoundError):
        await place.read("ocr", FIRST)


async def test_a_model_s_own_folder_is_a_place_too(tmp_path: Path) -> None:
    await FolderPlace(tmp_path).write("ocr", FIRST, b"1", b"2")
    for place in (FolderPlace(tmp_path / "ocr"), StorePlace(LocalStore(tmp_path / "ocr"))):
        assert await place.models() == [""]
        assert [each.name for each in await place.segments("")] == [FIRST]
        assert await place.read("", FIRST) == (b"1", b"2")


async def test_what_is_half_written_counts_and_is_not_whole(tmp_path: Path) -> None:
    folder = tmp_path / "ocr"
    folder.mkdir()
    (folder / f".{FIRST}.safetensors").write_bytes(b"123")
    (folder / f"{SECOND}.safetensors").write_bytes(b"12345")
    (folder / f".{SECOND}.jsonl").write_bytes(b"1")
    (folder / "notes.txt").write_bytes(b"mine")
    place = FolderPlace(tmp_path)
    assert [(each.name, each.bytes, each.whole) for each in await place.segments("ocr")] == [
        (FIRST, 3, False),
        (SECOND, 6, False),
    ]
    await place.remove("ocr", [FIRST, SECOND])
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


async def test_only_the_gateway_s_own_user_can_read_them(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "log"
    await FolderPlace(log).write("ocr", FIRST, b"1", b"2")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (log, log / "ocr", *(log / "ocr").iterdir())]
    assert modes == [0o700, 0o700, 0o600, 0o600]


@contextmanager
def small_files() -> Iterator[None]:
    """The kernel lets no file of this process grow beyond 64 KiB: what a full disk does, in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("sizes", [(2**17, 1), (1, 2**17)])
async def test_of_a_segment_that_cannot_be_written_nothing_is_left(tmp_path: Path, sizes: tuple[int, int]) -> None:
    with small_files(), pytest.raises(OSError, match="File too large"):
        await FolderPlace(tmp_path).write("ocr", FIRST, *map(bytes, sizes))
    assert list((tmp_path / "ocr").iterdir()) == []


async def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    with pytest.raises(FileExistsError, match="log"):
        await FolderPlace(tmp_path / "log").write("ocr", FIRST, b"", b"")


async def test_a_store_s_troubles_are_told_as_those_of_a_disk() -> None:
    store = S3Store(
        "bucket",
        endpoint="http://127.0.0.1:9",
        skip_signature=True,
        region="nowhere",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    )
    place = StorePlace(store)
    for trouble in (
        place.write("ocr", FIRST, b"", b""),
        place.segments("ocr"),
        place.models(),
        place.read("ocr", FIRST),
        place.remove("ocr", [FIRST]),
    ):
        with pytest.raises(OSError, match="error sending request") as caught:
            await trouble
        assert "\n" not in str(caught.value)


def test_places_by_their_names(tmp_path: Path) -> None:
    assert isinstance(place_of(str(tmp_path)), FolderPlace)
    assert isinstance(place_of("memory://"), StorePlace)
    assert isinstance(place_of(f"file://{tmp_path}"), StorePlace)
    with pytest.raises(SetupError, match=r"ftp://host: cannot be opened .*; object stores are s3://"):
        place_of("ftp://host")
