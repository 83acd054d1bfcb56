"""What the gateway keeps, and that `converters` reads the very same tensors from it."""

import gzip
import json
import os
import resource
import stat
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import numpy as np
import pytest

from converters.data.recorded import RecordedDataset
from gateway.app import DataPlane
from gateway.config import Config, RecordingSection
from gateway.core.call import Protocol
from gateway.recordings import Recordings
from gateway.upstreams.fake import FakeUpstream
from tests.converters.data.recordings import binary, bytes_of, http_body
from tests.gateway.conftest import MakeCall

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tritonclient.grpc import service_pb2

X = np.array([[1.5, -2.25], [3.0, 0.1]], dtype=np.float32)
WORDS = np.array(["grüße".encode(), b""], dtype=np.object_)
HEAD = "Inference-Header-Content-Length"
ARRIVED = 1_769_860_800_123_456_789
ARRIVALS = count(ARRIVED)  # no two alike


def section(folder: Path, **more: Any) -> RecordingSection:
    return RecordingSection(folder=folder, every=1, **more)


def http_requests() -> Iterator[tuple[dict[str, str], bytes]]:
    """The same tensors in every form in which HTTP carries them."""
    plain, _ = http_body(
        [
            {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": X.tolist()},
            {"name": "words", "datatype": "BYTES", "shape": [2], "data": [word.decode() for word in WORDS]},
        ]
    )
    (x, x_bytes), (words, words_bytes) = binary("x", "FP32", X), binary("words", "BYTES", WORDS)
    body, length = http_body([x, words], x_bytes, words_bytes)
    yield {}, plain
    yield {"content-encoding": "identity"}, plain
    yield {"content-encoding": "gzip"}, gzip.compress(plain)
    yield {HEAD: str(length)}, body
    yield {HEAD: str(length), "content-encoding": "gzip"}, gzip.compress(body)
    yield {HEAD: str(length), "content-encoding": "deflate"}, zlib.compress(body)


def grpc_requests() -> Iterator[bytes]:
    """The same, raw and typed."""
    request = service_pb2.ModelInferRequest(model_name="echo")
    request.inputs.add(name="x", datatype="FP32", shape=[2, 2])
    request.inputs.add(name="words", datatype="BYTES", shape=[2])
    raw = service_pb2.ModelInferRequest.FromString(request.SerializeToString())
    raw.raw_input_contents.extend([X.tobytes(), bytes_of(WORDS.tolist())])
    request.inputs[0].contents.fp32_contents.extend(X.flatten().tolist())
    request.inputs[1].contents.bytes_contents.extend(WORDS.tolist())
    yield raw.SerializeToString()
    yield request.SerializeToString()


async def test_what_comes_over_both_protocols_is_read_back_with_the_same_tensors(
    config: Config, tmp_path: Path
) -> None:
    recording = config.model_copy(update={"recording": section(tmp_path / "recordings")})
    headers, bodies = zip(*http_requests(), strict=True)
    messages = list(grpc_requests())
    async with DataPlane(recording, FakeUpstream()) as plane:
        url = f"http://{plane.addresses['http']}/v2/models/echo/versions/1/infer"
        async with httpx.AsyncClient(trust_env=False) as client:
            for each, body in zip(headers, bodies, strict=True):
                assert (await client.post(url, headers=each, content=body)).status_code == 200
        async with grpc.aio.insecure_channel(plane.addresses["grpc"]) as channel:
            call: Any = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            for message in messages:
                assert await call(message, timeout=10) == message
    data = RecordedDataset(tmp_path / "recordings" / "echo", model="echo")
    assert len(data) == len(bodies) + len(messages)
    for feeds in data:
        assert list(feeds) == ["x", "words"]
        assert feeds["x"].dtype == np.float32
        np.testing.assert_array_equal(feeds["x"], X)
        np.testing.assert_array_equal(feeds["words"], WORDS)


def test_a_file_says_what_it_holds_and_nothing_of_who_sent_it(make_call: MakeCall, tmp_path: Path) -> None:
    metadata = ((b"authorization", b"secret"), (b"inference-header-content-length", b"4"))
    Recordings().keep(section(tmp_path), make_call(body=b"body", version="3", metadata=metadata), ARRIVED)
    Recordings().keep(section(tmp_path), make_call(protocol=Protocol.GRPC, body=b"message"), ARRIVED + 1)
    first, second = sorted((tmp_path / "echo").iterdir())
    assert first.name == f"{ARRIVED}{os.getpid():07}.http"
    assert first.read_bytes() == (
        b'{"format": 1, "model": "echo", "version": "3", "datetime": "2026-01-31T12:00:00Z", "length": 4, '
        b'"header_length": 4, "content_encoding": ""}\nbody'
    )
    head, body = second.read_bytes().split(b"\n")
    assert (second.suffix, body) == (".grpc", b"message")
    assert json.loads(head).keys() == {"format", "model", "version", "datetime", "length"}


def test_only_the_gateway_s_own_user_can_read_them(make_call: MakeCall, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "recordings"
    Recordings().keep(section(folder), make_call(body=b"body"), ARRIVED)
    [file] = (folder / "echo").iterdir()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "echo", file)]
    assert modes == [0o700, 0o700, 0o600]


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../a", "/etc", ".hidden", "a\0b", "a\nb", "ü", "a" * 129])
def test_a_name_that_is_no_folder_s_never_becomes_one(
    make_call: MakeCall, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    recordings = Recordings()
    for _ in range(2):
        recordings.keep(section(tmp_path / "recordings"), make_call(model=name, body=b"body"), ARRIVED)
    assert list(tmp_path.iterdir()) == []
    [line] = caplog.messages
    assert "are not recorded" in line
    assert "\n" not in line


@pytest.mark.parametrize("protocol", Protocol)
def test_tensors_in_shared_memory_are_not_in_the_request(
    make_call: MakeCall, tmp_path: Path, protocol: Protocol
) -> None:
    call = make_call(protocol=protocol, body=b'{"parameters":{"shared_memory_region":"r"}}')
    Recordings().keep(section(tmp_path), call, ARRIVED)
    assert list(tmp_path.iterdir()) == []


def keep(recordings: Recordings, wanted: RecordingSection, call: Any, requests: int) -> int:
    """Offer so many; gives how many there are then."""
    assert wanted.folder is not None
    for arrived in islice(ARRIVALS, requests):
        recordings.keep(wanted, call, arrived)
    return len(list(wanted.folder.glob("*/*")))


def test_a_model_has_no_more_than_its_number(make_call: MakeCall, tmp_path: Path) -> None:
    recordings, wanted = Recordings(), section(tmp_path, most_requests=3)
    assert keep(recordings, wanted, make_call(body=b"body"), 5) == 3
    assert keep(recordings, wanted, make_call(body=b"body", model="other"), 5) == 6
    assert keep(recordings, section(tmp_path, most_requests=4), make_call(body=b"body"), 5) == 7


def test_a_model_has_no_more_than_its_bytes(make_call: MakeCall, tmp_path: Path) -> None:
    recordings, wanted = Recordings(), section(tmp_path, most_mib=1)
    assert keep(recordings, wanted, make_call(body=bytes(2**20)), 1) == 0
    assert keep(recordings, wanted, make_call(body=bytes(400_000)), 3) == 2
    assert keep(recordings, wanted, make_call(body=bytes(100_000)), 1) == 3


def test_what_others_wrote_counts_too(make_call: MakeCall, tmp_path: Path) -> None:
    wanted, call = section(tmp_path, most_requests=50), make_call(body=b"body")
    one, other = Recordings(), Recordings()
    assert keep(one, wanted, call, 40) == 40
    assert keep(Recordings(), wanted, call, 5) == 45  # started later: the folder is listed
    (tmp_path / "echo" / ".unfinished").touch()  # by a worker that died
    assert keep(other, wanted, call, 50) == 50


def test_workers_that_write_at_a_time_exceed_the_number_by_little(make_call: MakeCall, tmp_path: Path) -> None:
    wanted, call = section(tmp_path, most_requests=100), make_call(body=b"body")
    workers = [Recordings() for _ in range(4)]
    for number in range(100):
        for index, worker in enumerate(workers):
            worker.keep(wanted, call, ARRIVED + 4 * number + index)
    assert 100 <= len(list((tmp_path / "echo").iterdir())) <= 100 + 4 * 32


def test_the_same_holds_for_bytes(make_call: MakeCall, tmp_path: Path) -> None:
    wanted, call = section(tmp_path, most_mib=64), make_call(body=bytes(8 * 2**20))
    workers = [Recordings(), Recordings()]
    for number in range(10):
        for index, worker in enumerate(workers):
            worker.keep(wanted, call, ARRIVED + 2 * number + index)
    assert 7 <= len(list((tmp_path / "echo").iterdir())) <= 7 + 2 * 4


def test_there_is_room_again_once_files_were_taken_away(make_call: MakeCall, tmp_path: Path) -> None:
    clock = [0.0]
    recordings, wanted = Recordings(now=lambda: clock[0]), section(tmp_path, most_requests=2)
    assert keep(recordings, wanted, make_call(body=b"body"), 3) == 2
    next((tmp_path / "echo").iterdir()).unlink()
    assert keep(recordings, wanted, make_call(body=b"body"), 1) == 1
    clock[0] = 31
    assert keep(recordings, wanted, make_call(body=b"body"), 3) == 2


@pytest.mark.parametrize("name", ["echo", "."])
def test_a_folder_that_was_taken_away_is_made_again(make_call: MakeCall, tmp_path: Path, name: str) -> None:
    recordings, wanted = Recordings(), section(tmp_path / "recordings", most_requests=4)
    assert keep(recordings, wanted, make_call(body=b"body"), 3) == 3
    (tmp_path / "recordings" / name).rename(tmp_path / "taken")
    assert keep(recordings, wanted, make_call(body=b"body"), 6) == 4


@contextmanager
def small_files() -> Iterator[None]:
    """The kernel lets no file of this process grow beyond 64 KiB: what a full disk does, in the middle of a write.

    No fixture: pytest's own output may be a file, and it writes to that before fixtures end.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_of_a_request_that_cannot_be_written_nothing_is_left(make_call: MakeCall, tmp_path: Path) -> None:
    with small_files(), pytest.raises(OSError, match="File too large"):
        Recordings().keep(section(tmp_path), make_call(body=bytes(2**20)), ARRIVED)
    assert list((tmp_path / "echo").iterdir()) == []


def test_a_folder_that_is_a_file_is_told(make_call: MakeCall, tmp_path: Path) -> None:
    (tmp_path / "recordings").touch()
    with pytest.raises(FileExistsError, match="recordings"):
        Recordings().keep(section(tmp_path / "recordings"), make_call(body=b"body"), ARRIVED)


async def test_the_gateway_serves_on_when_nothing_can_be_recorded(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "recordings").touch()
    recording = config.model_copy(update={"recording": section(tmp_path / "recordings")})
    async with DataPlane(recording, FakeUpstream()) as plane, httpx.AsyncClient(trust_env=False) as client:
        for headers, body in http_requests():
            url = f"http://{plane.addresses['http']}/v2/models/echo/infer"
            assert (await client.post(url, headers=headers, content=body)).status_code == 200
    [line] = [record.message for record in caplog.records if record.name == "gateway.recorder"]
    assert line.startswith(f"recording into {tmp_path / 'recordings'} stops")
