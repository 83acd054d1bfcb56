from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from gateway.core.errors import SetupError
from gateway.tap.recording.places import FolderPlace, Place, StorePlace
from gateway.tap.recording.read import RecordedLog
from gateway.tap.recording.segment import Recorded, SegmentName, encoded
from tests.gateway.tap.recording.requests import ARRIVED, recorded


async def put(place: Place, *requests: Recorded, pid: int = 1) -> SegmentName:
    name = SegmentName.of(requests, pid)
    await place.write(requests[0].model, name, *encoded(requests))
    return name


async def arrivals(log: RecordedLog) -> list[int]:
    return [request.arrived - ARRIVED async for request in log.requests()]


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=4), min_size=1, max_size=6))
async def test_requests_come_in_order_whatever_segments_they_are_in(segments: Sequence[Sequence[int]]) -> None:
    place = StorePlace(MemoryStore())
    for index, numbers in enumerate(segments):
        await put(place, *(recorded(number, model=f"m{index % 2}") for number in numbers), pid=index)
    log = RecordedLog("it", place=place)
    everything = sorted(number for numbers in segments for number in numbers)
    assert await arrivals(log) == everything
    assert await log.count() == len(everything)
    of_one = sorted(number for numbers in segments[::2] for number in numbers)
    assert await arrivals(RecordedLog("it", "m0", place)) == of_one


async def test_segments_are_opened_when_their_time_has_come(tmp_path: Path) -> None:
    place = FolderPlace(tmp_path)
    await put(place, recorded(1), recorded(2))
    later = await put(place, recorded(3))
    requests = RecordedLog(str(tmp_path)).requests()
    assert (await anext(requests)).arrived == ARRIVED + 1
    await place.remove("ocr", [later])  # to make room, meanwhile
    assert [request.arrived - ARRIVED async for request in requests] == [2]


async def test_a_model_s_own_folder_can_be_read(tmp_path: Path) -> None:
    await put(FolderPlace(tmp_path), recorded(1))
    log = RecordedLog(str(tmp_path / "ocr"), "ocr")
    assert await arrivals(log) == [1]
    assert await log.models() == [""]
    assert await RecordedLog(str(tmp_path)).models() == ["ocr"]
    assert await arrivals(RecordedLog(str(tmp_path / "ocr"), "other")) == []


async def refused(log: RecordedLog) -> str:
    with pytest.raises(SetupError) as caught:
        await arrivals(log)
    return caught.value.message


async def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    assert f"there is no log {tmp_path / 'none'}" in await refused(RecordedLog(str(tmp_path / "none")))
    assert "holds no recorded requests; give what" in await refused(RecordedLog(str(tmp_path)))
    assert "holds no recorded requests" in await refused(RecordedLog("memory://"))
    await put(FolderPlace(tmp_path), recorded(1))
    assert "no recorded requests for nil, only for ocr;" in await refused(RecordedLog(str(tmp_path), "nil"))
    (tmp_path / "file").touch()
    assert "cannot be read: " in await refused(RecordedLog(str(tmp_path / "file")))


async def test_a_segment_that_is_being_written_is_not_there_yet(tmp_path: Path) -> None:
    name = await put(FolderPlace(tmp_path), recorded(1))
    await put(FolderPlace(tmp_path), recorded(2))
    lines = tmp_path / "ocr" / f"{name}.jsonl"
    lines.rename(lines.with_name(f".{lines.name}"))
    assert await arrivals(RecordedLog(str(tmp_path))) == [2]


async def test_a_damaged_segment_is_named(tmp_path: Path) -> None:
    name = await put(FolderPlace(tmp_path), recorded(1))
    path = tmp_path / "ocr" / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    message = await refused(RecordedLog(f"{tmp_path}/"))
    assert message.startswith(f"{tmp_path}/ocr/{name} is damaged: its .safetensors cannot be read")
    path.unlink()
    path.mkdir()
    assert "cannot be read: " in await refused(RecordedLog(str(tmp_path)))
