import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from gateway.core.errors import SetupError
from gateway.repository import objects
from gateway.repository.objects import Changes, ObjectSource

URL = "memory:///"
Open = Callable[[], ObjectSource]


@pytest.fixture
def store() -> Any:
    return MemoryStore()


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


@pytest.fixture
def open_source(store: Any, mirror: Path) -> Open:
    return lambda: ObjectSource(URL, mirror, store=store)


def shown(mirror: Path) -> dict[str, bytes]:
    files = {path.relative_to(mirror).as_posix(): path for path in mirror.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(".")}


async def settle(source: ObjectSource) -> Changes:
    """Look twice, as an object is taken only when it was the same in two listings."""
    first = await source.sync()
    assert not first.updated
    return await source.sync()


async def test_what_is_the_same_in_two_listings_appears_in_the_mirror(
    store: Any, mirror: Path, open_source: Open
) -> None:
    content = {"m/1/model.onnx": b"model", "m/config.pbtxt": b"", "x.onnx": b"x", "x.yaml": b"inputs"}
    for path, body in content.items():
        await obstore.put_async(store, path, body)
    source = open_source()
    assert (await source.sync()).waiting == ("m/", "x")
    changes = await source.sync()
    assert changes == Changes(updated=("m", "x.yaml", "x.onnx"))
    assert shown(mirror) == content
    assert await source.sync() == Changes()


async def test_a_copy_that_still_goes_on_is_never_taken(store: Any, mirror: Path, open_source: Open) -> None:
    source = open_source()
    for number in range(4):
        await obstore.put_async(store, f"m/1/part{number}", b"x")
        assert (await source.sync()).waiting == ("m/",)
        assert shown(mirror) == {}
    assert (await source.sync()).updated == ("m",)
    assert len(shown(mirror)) == 4


async def test_a_changed_folder_replaces_the_old_one_as_a_whole(store: Any, mirror: Path, open_source: Open) -> None:
    source = open_source()
    await obstore.put_async(store, "m/1/model.onnx", b"first")
    await settle(source)
    await obstore.delete_async(store, "m/1/model.onnx")
    await obstore.put_async(store, "m/2/model.onnx", b"second")
    assert (await settle(source)).updated == ("m",)
    assert shown(mirror) == {"m/2/model.onnx": b"second"}


async def test_what_is_gone_in_two_listings_is_removed(store: Any, mirror: Path, open_source: Open) -> None:
    source = open_source()
    await obstore.put_async(store, "x.onnx", b"x")
    await settle(source)
    await obstore.delete_async(store, "x.onnx")
    assert await source.sync() == Changes()
    assert await source.sync() == Changes(removed=("x.onnx",))
    assert shown(mirror) == {}
    assert await source.sync() == Changes()


async def test_nothing_is_fetched_again_after_a_restart(store: Any, mirror: Path, open_source: Open) -> None:
    await obstore.put_async(store, "x.onnx", b"x")
    await settle(open_source())
    (mirror / "x.onnx").unlink()  # published, and so consumed
    again = open_source()
    assert [await again.sync(), await again.sync()] == [Changes(), Changes()]
    assert shown(mirror) == {}


async def test_what_a_killed_process_was_fetching_is_cleared_away(store: Any, mirror: Path, open_source: Open) -> None:
    left_over = mirror / ".fetching-abc"
    (left_over / "m").mkdir(parents=True)
    await open_source().sync()
    assert not await asyncio.to_thread(left_over.exists)


async def test_a_broken_state_costs_one_fetch(store: Any, mirror: Path, open_source: Open) -> None:
    await obstore.put_async(store, "x.onnx", b"x")
    await settle(open_source())
    (mirror / ".objects.json").write_text("{")
    assert (await settle(open_source())).updated == ("x.onnx",)


async def test_large_objects_are_put_together_of_parts(
    store: Any, mirror: Path, open_source: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_PART_BYTES", 1000)
    body = bytes(range(256)) * 41
    await obstore.put_async(store, "m/1/model.onnx", body)
    await settle(open_source())
    assert shown(mirror)["m/1/model.onnx"] == body


async def test_an_object_that_changes_while_it_is_fetched_waits_for_the_next_look(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    source = ObjectSource(URL, mirror, store=store)
    await obstore.put_async(store, "x.onnx", b"old")
    await source.sync()
    get = obstore.get_async

    async def change_first(*args: Any, **options: Any) -> Any:
        await obstore.put_async(store, "x.onnx", b"new")
        return await get(*args, **options)

    monkeypatch.setattr(obstore, "get_async", change_first)
    assert await source.sync() == Changes(waiting=("x",))
    assert shown(mirror) == {}
    monkeypatch.undo()
    assert (await settle(source)).updated == ("x.onnx",)
    assert shown(mirror) == {"x.onnx": b"new"}


async def test_trouble_is_one_line_and_leaves_the_mirror_as_it_is(tmp_path: Path, mirror: Path) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (bucket / "x.onnx").write_text("x")
    source = ObjectSource(f"file://{bucket}", mirror)
    assert (await settle(source)).updated == ("x.onnx",)
    bucket.rename(tmp_path / "elsewhere")
    for _ in range(3):
        changes = await source.sync()
        assert changes.problem.startswith(f"file://{bucket}: cannot be listed (")
        assert "\n" not in changes.problem
    assert shown(mirror) == {"x.onnx": b"x"}


async def test_one_entry_that_cannot_be_fetched_holds_up_no_other(
    store: Any, mirror: Path, open_source: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.onnx", "b.onnx"):
        await obstore.put_async(store, name, b"x")
    source, get = open_source(), obstore.get_async

    async def fail_for_a(store: Any, path: str, **options: Any) -> Any:
        if path == "a.onnx":
            raise PermissionError(13, "Permission denied")
        return await get(store, path, **options)

    monkeypatch.setattr(obstore, "get_async", fail_for_a)
    changes = await settle(source)
    assert changes.updated == ("b.onnx",)
    assert "a cannot be fetched" in changes.problem
    monkeypatch.undo()
    assert (await source.sync()).updated == ("a.onnx",)


async def test_names_that_no_model_can_have_are_refused_with_the_reason(store: Any, mirror: Path) -> None:
    await obstore.put_async(store, "a b.onnx", b"x")
    changes = await ObjectSource(URL, mirror, store=store).sync()
    assert "rename it" in changes.refused["a b"]


async def test_a_folder_is_uploaded_mirrored_and_deleted(tmp_path: Path, mirror: Path, open_source: Open) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "model.onnx").write_text("model")
    (tmp_path / "m" / ".hidden").write_text("x")
    source = open_source()
    assert await source.upload(tmp_path / "m", "m") == 1
    assert await source.upload(tmp_path / "m" / "1" / "model.onnx", "m2.onnx") == 1
    await settle(source)
    assert shown(mirror) == {"m/1/model.onnx": b"model", "m2.onnx": b"model"}
    assert await source.delete("m") == 1
    assert (await settle(source)).removed == ("m",)
    with pytest.raises(SetupError, match="name what is to be deleted"):
        await source.delete("/")
    with pytest.raises(SetupError, match="missing: cannot be copied to"):
        await source.upload(tmp_path / "missing", "missing")


def test_a_store_that_cannot_be_opened_is_told_in_one_line(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(SetupError, match=r"az://models: cannot be opened .*Account must be specified") as caught:
        ObjectSource("az://models", mirror)
    assert "\n" not in caught.value.message


async def test_a_store_that_does_not_answer_is_retried_by_the_caller(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_RETRY", {"max_retries": 0})
    for key, value in {
        "AWS_ENDPOINT": "http://127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
    }.items():
        monkeypatch.setenv(key, value)
    changes = await asyncio.wait_for(ObjectSource("s3://models/team", mirror).sync(), 20)
    assert changes.problem.startswith("s3://models/team: cannot be listed")
