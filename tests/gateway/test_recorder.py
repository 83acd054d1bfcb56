import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import RecordingSection
from gateway.core.call import Call
from gateway.recorder import Recorder
from tests.gateway.conftest import MakeCall

SECTION = RecordingSection(folder=Path("/recordings"), every=1)
MIB = 2**20


class Disk:
    """Keeps what it is given, once it is let."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.error: OSError | None = None
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def keep(self, section: RecordingSection, call: Call, arrived: int) -> None:
        self.asked.set()
        assert self.go_on.wait(30)
        if self.error is not None:
            raise self.error
        self.kept.append(bytes(call.body[:8]))


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.go_on.set()


async def test_no_thread_runs_before_it_is_needed() -> None:
    before = threading.active_count()
    await Recorder().aclose()
    assert threading.active_count() == before


async def test_the_end_waits_for_what_was_offered_and_takes_no_more(make_call: MakeCall, disk: Disk) -> None:
    recorder = Recorder(disk.keep)
    for number in range(5):
        recorder.offer(SECTION, make_call(body=b"%d" % number), 0)
    disk.go_on.set()
    await recorder.aclose()
    recorder.offer(SECTION, make_call(body=b"late"), 0)
    assert disk.kept == [b"0", b"1", b"2", b"3", b"4"]


async def test_what_waits_is_bounded_in_number(make_call: MakeCall, disk: Disk) -> None:
    recorder = Recorder(disk.keep)
    recorder.offer(SECTION, make_call(body=b"first"), 0)
    assert disk.asked.wait(30)
    for _ in range(1000):
        recorder.offer(SECTION, make_call(body=b"more"), 0)
    disk.go_on.set()
    await recorder.aclose()
    assert len(disk.kept) == 1 + 64


async def test_what_waits_is_bounded_in_bytes_and_one_alone_has_room(make_call: MakeCall, disk: Disk) -> None:
    recorder = Recorder(disk.keep)
    recorder.offer(SECTION, make_call(body=b"too large" + bytes(65 * MIB)), 0)
    assert disk.asked.wait(30)
    recorder.offer(SECTION, make_call(body=b"small"), 0)
    disk.go_on.set()
    await recorder.aclose()
    assert disk.kept == [b"too larg"]


async def test_room_comes_back(make_call: MakeCall, disk: Disk) -> None:
    recorder = Recorder(disk.keep)
    call = make_call(body=bytes(40 * MIB))
    disk.go_on.set()
    while len(disk.kept) < 10:  # two of them would not fit
        recorder.offer(SECTION, call, 0)
    await recorder.aclose()
    assert len(disk.kept) >= 10


async def test_a_full_disk_ends_recording_with_one_line(
    make_call: MakeCall, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(disk.keep)
    disk.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for _ in range(3):
        recorder.offer(SECTION, make_call(), 0)
    disk.go_on.set()
    while not caplog.messages:
        threading.Event().wait(0.001)
    recorder.offer(SECTION, make_call(), 0)
    disk.error = None
    recorder.offer(RecordingSection(every=1), make_call(body=b"another"), 0)  # the configuration was read again
    await recorder.aclose()
    [line] = caplog.messages
    assert "recording into /recordings stops until the configuration changes" in line
    assert "No space left on device; requests are served as before" in line
    assert disk.kept == [b"another"]
