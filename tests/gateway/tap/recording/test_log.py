"""What the log writes, and that `converters` reads the very same tensors from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from obstore.store import MemoryStore

from converters.data.recorded import RecordedDataset
from gateway.tap.datatypes import DecodedRequest
from gateway.tap.exchange import Exchange
from gateway.tap.recording.log import RecordingLog
from gateway.tap.recording.places import FolderPlace, Kept, Place, StorePlace
from gateway.tap.recording.read import RecordedLog
from gateway.tap.recording.segment import Recorded, SegmentName
from gateway.tap.sections import RecordingSection, RedactSection
from gateway.tap.tensors import grpc_request
from tests.gateway.tap.recording.requests import ARRIVED, exchange, tensor


def section(folder: Path, **more: Any) -> RecordingSection:
    return RecordingSection(folder=str(folder), **more)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def read(log: Path | Place, model: str = "") -> list[Recorded]:
    place = log if not isinstance(log, Path) else FolderPlace(log)
    return [request async for request in RecordedLog("it", model, place).requests()]


async def keep(log: RecordingLog, exchanges: Iterable[Exchange]) -> None:
    for each in exchanges:
        await log.take(each)
    await log.flush()


async def test_what_is_taken_is_kept_as_tensors(tmp_path: Path) -> None:
    log = RecordingLog(section(tmp_path / "log"))
    await keep(log, [exchange(2, parameters={"mine": 1}), exchange(1)])
    status = log.status()
    await log.aclose()
    first, second = await read(tmp_path / "log")
    assert (first.arrived, second.arrived) == (ARRIVED + 1, ARRIVED + 2)
    assert second.request.tensors[0].data.tolist() == [2]
    assert second.outputs is not None
    assert second.outputs[0].data.tolist() == [2]
    assert (second.version, second.target, second.seconds) == ("3", "ocr-3", 0.25)
    assert (second.request.parameters, second.redacted) == ({}, ("parameters",))
    assert (first.redacted, first.request_id, first.tenant) == ((), "", "")
    size = sum(path.stat().st_size for path in (tmp_path / "log" / "ocr").iterdir())
    assert status == {"requests": 2, "bytes": size, "segments": 1, "dropped": 0, "unreadable": 0}


async def test_the_converters_read_the_same_tensors(tmp_path: Path) -> None:
    inputs = (
        tensor("x", "FP32", [[1.5, -2.25]]),
        tensor("b", "BF16", [1.5, -3.0]),
        tensor("h", "FP16", [0.5]),
        tensor("w", "BYTES", ["grüße".encode(), b""]),
        tensor("t", "BOOL", [True]),
    )
    over_grpc = exchange(
        protocol="grpc", request=grpc_request("ocr", "", DecodedRequest(inputs, {}, ())), header_length=None
    )
    log = RecordingLog(section(tmp_path, answers=False))
    await keep(log, [over_grpc, exchange(1, model="other")])
    await log.aclose()
    (feeds,) = RecordedDataset(tmp_path, model="ocr")
    assert list(feeds) == [each.name for each in inputs]
    for each in inputs:
        np.testing.assert_array_equal(feeds[each.name].astype(each.data.dtype), each.data)
    assert feeds["b"].dtype.name == "bfloat16"
    assert len(RecordedDataset(tmp_path / "other")) == 1


async def test_answers_are_not_even_read_where_they_are_not_kept(tmp_path: Path) -> None:
    log = RecordingLog(section(tmp_path, answers=False))
    broken = exchange().answers[0].__class__("t", "m", "", 200, b"", None, "", "", 0.1)
    await keep(log, [exchange(answers=(broken,))])
    await log.aclose()
    assert [request.outputs for request in await read(tmp_path)] == [None]


async def test_what_is_to_be_redacted_never_reaches_the_disk(tmp_path: Path) -> None:
    log = RecordingLog(section(tmp_path, redact=RedactSection(inputs=("x",), outputs=("*",))))
    await keep(log, [exchange(1234567)])
    await log.aclose()
    written = b"".join(path.read_bytes() for path in (tmp_path / "ocr").iterdir())
    assert np.float32(1234567).tobytes() not in written
    assert b"mine" not in written
    assert b"shop" not in written
    assert [request.redacted for request in await read(tmp_path)] == [("in/x", "out/y")]


async def test_a_segment_ends_with_its_bytes(tmp_path: Path) -> None:
    log = RecordingLog(section(tmp_path, segment_mib=1, most_mib=100))
    await keep(log, [exchange(number, elements=2**17) for number in range(5)])
    await log.aclose()
    assert log.status()["segments"] == 3
    assert len(await read(tmp_path)) == 5


async def test_a_segment_ends_with_its_time(tmp_path: Path) -> None:
    log = RecordingLog(section(tmp_path, segment_seconds=0.01))
    await log.take(exchange())
    async with asyncio.timeout(10):
        while not log.status()["segments"]:
            await asyncio.sleep(0.005)
    await log.aclose()


async def test_the_oldest_make_room_by_number_and_by_bytes(tmp_path: Path) -> None:
    log = RecordingLog(section(tmp_path / "a", most_requests=20))
    await keep(log, [exchange(number) for number in range(100)])
    await log.aclose()
    assert [request.arrived - ARRIVED for request in await read(tmp_path / "a")] == list(range(80, 100))

    log = RecordingLog(section(tmp_path / "b", most_mib=1))
    await keep(log, [exchange(number, elements=2**14) for number in range(40)])
    await log.aclose()
    assert sum(path.stat().st_size for path in (tmp_path / "b" / "ocr").iterdir()) <= 2**20
    kept = [request.arrived - ARRIVED for request in await read(tmp_path / "b")]
    assert kept == list(range(40 - len(kept), 40))
    assert len(kept) >= 10


async def test_what_other_runs_have_left_counts_too(tmp_path: Path) -> None:
    for numbers in (range(10), range(10, 20)):
        log = RecordingLog(section(tmp_path, most_requests=16))
        await keep(log, map(exchange, numbers))
        await log.aclose()
    assert [request.arrived - ARRIVED for request in await read(tmp_path)] == list(range(4, 20))


async def test_a_request_that_is_larger_than_all_may_be_is_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = RecordingLog(section(tmp_path, most_mib=1))
    await keep(log, [exchange(elements=2**19)])
    await keep(log, [exchange(1)])
    await log.aclose()
    assert "of 2 MiB are more than recording.most_mib allows" in caplog.text
    assert (log.status()["dropped"], log.status()["requests"]) == (1, 1)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../a", "/etc", ".hidden", "a\0b", "a\nb", "ü", "a" * 129])
async def test_a_name_that_is_no_folder_s_never_becomes_one(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = RecordingLog(section(tmp_path / "log"))
    await keep(log, [exchange(model=name), exchange(model=name)])
    await log.aclose()
    assert names(tmp_path) == []
    [line] = caplog.messages
    assert "its name cannot be that of a folder" in line
    assert "\n" not in line
    assert log.status()["dropped"] == 2


async def test_what_cannot_be_read_is_counted_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = RecordingLog(section(tmp_path))
    twice = b'{"inputs":[%s,%s]}' % ((b'{"name":"x","datatype":"INT8","shape":[1],"data":[1]}',) * 2)
    await keep(log, [exchange(request=b"{", header_length=None), exchange(request=twice, header_length=None)])
    await keep(log, [exchange()])
    await log.aclose()
    assert (log.status()["unreadable"], log.status()["requests"]) == (2, 1)
    [line] = caplog.messages
    assert line.startswith("not all requests for model 'ocr' are recorded: the request is no JSON")


class Fails:
    """A place that fails until it is healed.

    Attributes:
        broken: set, nothing can be written.
    """

    def __init__(self) -> None:
        self.broken = True
        self._place = StorePlace(MemoryStore())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._place, name)

    async def write(self, model: str, name: SegmentName, tensors: bytes, lines: bytes) -> None:
        if self.broken:
            raise OSError("no such bucket")
        await self._place.write(model, name, tensors, lines)

    async def segments(self, model: str) -> list[Kept]:
        return await self._place.segments(model)


async def test_a_place_that_fails_is_told_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    place = Fails()
    log = RecordingLog(section(tmp_path), place)
    for number in range(3):
        await keep(log, [exchange(number)])
    assert log.status()["dropped"] == 3
    place.broken = False
    await keep(log, [exchange(4)])
    await log.aclose()
    assert [request.arrived - ARRIVED for request in await read(place)] == [4]
    assert caplog.messages == [
        f"recording into {tmp_path} fails: no such bucket; requests are served and not recorded until it works again",
        f"recording into {tmp_path} works again",
    ]


class Hangs(Fails):
    """A place where writing takes for ever, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def write(self, model: str, name: SegmentName, tensors: bytes, lines: bytes) -> None:
        await self.go.wait()


async def test_no_more_is_held_than_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.tap.recording.log._MOST_HELD", 100)
    place = Hangs()
    log = RecordingLog(section(tmp_path), place)
    for number in range(30):
        await log.take(exchange(number))
    assert log.status()["dropped"] == 22  # of 12 bytes each
    place.go.set()
    await log.flush()
    await log.take(exchange(99))
    await log.aclose()
    assert log.status()["requests"] == 9


async def test_the_end_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway.tap.recording.log._LAST_SECONDS", 0.01)
    log = RecordingLog(section(tmp_path), Hangs())
    await log.take(exchange())
    await log.aclose()
    assert "was not written" in caplog.text


async def test_nothing_is_made_for_nothing(tmp_path: Path) -> None:
    log = RecordingLog(section(tmp_path / "log"))
    await log.flush()
    await log.aclose()
    assert names(tmp_path) == []
