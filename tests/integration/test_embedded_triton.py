"""The embedded Triton for real: started, killed, healed, fed garbage and stopped. Its models need numpy alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from gateway.config import TritonSection
from gateway.core.errors import SetupError
from gateway.repository.model_control import ModelControl
from gateway.triton.control import TritonControl
from gateway.triton.fetch import TritonInstall
from gateway.triton.runtime import SHARED_MEMORY, RuntimeFolder, base_folder
from gateway.triton.status import Event, EventKind, ModelState, State
from gateway.triton.stubs import Stub, find
from gateway.triton.supervise import EmbeddedTriton
from tests.gateway.repository.control_contract import CONTRACT

from .conftest import BACKENDS, EmbeddedTritonFactory

pytestmark = pytest.mark.integration

CONFIG = """
backend: "python"
max_batch_size: 0
input [{name: "X" data_type: TYPE_FP32 dims: [-1]}]
output [{name: "Y" data_type: TYPE_FP32 dims: [-1]}]
"""
TWICE = """
import numpy
import triton_python_backend_utils as pb
class TritonPythonModel:
    def initialize(self, args):
        INITIALIZE
    def execute(self, requests):
        inputs = [pb.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        return [pb.InferenceResponse([pb.Tensor("Y", x * 2)]) for x in inputs]
"""


def make_model(repository: Path, name: str, initialize: str = "pass", config: str = CONFIG) -> None:
    """A model that doubles its input, and does `initialize` when it is loaded."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(TWICE.replace("INITIALIZE", initialize))
    (repository / name / "config.pbtxt").write_text(config)


def folders_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose path has a space."""
    folder = tmp_path / "my models"
    folder.mkdir()
    return folder


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    # Without idle connections, for which a stopping Triton would wait.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=20, trust_env=False, limits=limits) as client:
        yield client


async def double(http: httpx.AsyncClient, address: str, model: str, value: float = 21) -> list[float]:
    body = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1], "data": [value]}]}
    answer = await http.post(f"http://{address}/v2/models/{model}/infer", json=body)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["outputs"][0]["data"])


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def stubs_of(triton: EmbeddedTriton, model: str) -> list[Stub]:
    pid = triton.status().pid
    assert pid is not None
    return [stub for stub in find(pid, triton._runtime.models) if stub.model == model]


def regions_of(triton: EmbeddedTriton) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"{triton._runtime.shared_memory_prefix}*"))


def left_behind(prefix: str) -> list[str]:
    """What is left of a run: its shared memory, its folder and its processes."""
    found = [str(path) for path in SHARED_MEMORY.glob(f"{prefix}*")]
    found += [str(path) for path in base_folder(os.environ).glob(f"{prefix}*")]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            if prefix in command:
                found.append(command.replace("\0", " "))
    return found


def listens(address: str) -> bool:
    port = f":{int(address.rpartition(':')[2]):04X}"
    tables = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    return any(words[1].endswith(port) and words[3] == "0A" for words in map(str.split, tables.splitlines()) if words)


async def test_models_are_served_and_each_failure_has_its_cause(
    embedded_triton: EmbeddedTritonFactory, repository: Path, http: httpx.AsyncClient
) -> None:
    make_model(repository, "twice")
    make_model(repository, "broken", config="garbage {")
    make_model(repository, "raises", initialize='raise ValueError("the weights are corrupt")')
    make_model(repository, "exits", initialize="import os; os._exit(3)")
    make_model(repository, "empty")
    (repository / "empty" / "1" / "model.py").unlink()
    make_model(repository, "has space")
    make_model(repository, "runs$(touch pwned)")
    make_model(repository, "filename", config=CONFIG + 'default_model_filename: "a b.py"')
    async with embedded_triton(repository, folders_of(repository)) as triton:
        status = triton.status()
        assert status.state is State.READY
        reasons = {name: model.reason for name, model in status.models.items()}
        assert {name for name, model in status.models.items() if model.state is ModelState.READY} == {"twice"}
        assert 'has no field named "garbage"' in reasons["broken"]
        assert str(repository) in reasons["broken"]  # and not Triton's own view of it
        assert reasons["raises"] == "ValueError: the weights are corrupt"
        assert "not healthy" in reasons["exits"]
        assert "Python model file not found" in reasons["empty"]
        assert "rename it" in reasons["has space"]
        assert "rename it" in reasons["runs$(touch pwned)"]
        assert reasons["filename"].startswith("default_model_filename in its config.pbtxt")
        assert await double(http, triton.http_address, "twice") == [42]
        index = (await http.post(f"http://{triton.http_address}/v2/repository/index")).json()
        assert {row["name"] for row in index} == {"twice", "broken", "raises", "exits", "empty"}
        metrics = (await http.get(f"http://{triton.metrics_address}/metrics")).text
        assert 'nv_inference_request_success{model="twice"' in metrics
        prefix = triton._runtime.path.name
    assert left_behind(prefix) == []
    assert "pwned" not in folders_of(BACKENDS.parent)


async def test_a_stop_leaves_no_process_port_memory_or_folder(
    embedded_triton: EmbeddedTritonFactory, repository: Path
) -> None:
    make_model(repository, "twice")
    async with embedded_triton(repository, ["twice"]) as triton:
        prefix = triton._runtime.path.name
        addresses = (triton.http_address, triton.grpc_address, triton.metrics_address)
        assert all(map(listens, addresses))
        assert left_behind(prefix)
    assert left_behind(prefix) == []
    assert not any(map(listens, addresses))
    assert triton.status().state is State.STOPPED


async def test_a_killed_triton_is_back_with_its_models_at_the_same_address(
    embedded_triton: EmbeddedTritonFactory, repository: Path, http: httpx.AsyncClient
) -> None:
    make_model(repository, "twice")
    make_model(repository, "again")
    events: list[Event] = []
    async with embedded_triton(repository, ["twice", "again"], events.append) as triton:
        address, pid = triton.http_address, triton.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: triton.status().restarts == 1)
        async with asyncio.timeout(15):
            await triton.wait_ready()
        assert triton.http_address == address
        assert await double(http, address, "twice") == [42]
        assert await double(http, address, "again") == [42]
        assert triton.status().pid != pid
        assert len(regions_of(triton)) == 2  # those of the dead one are gone
    died = next(event for event in events if event.kind is EventKind.DIED)
    assert "SIGKILL" in died.message
    assert "successfully loaded" in died.message  # the end of its log
    assert EventKind.MODEL_HEALING not in {event.kind for event in events}


async def test_a_killed_backend_process_is_replaced_and_the_other_model_never_notices(
    embedded_triton: EmbeddedTritonFactory, repository: Path, http: httpx.AsyncClient
) -> None:
    make_model(repository, "victim", config=CONFIG + "instance_group [{count: 2 kind: KIND_CPU}]")
    make_model(repository, "bystander")
    async with embedded_triton(repository, ["victim", "bystander"]) as triton:
        victims, neighbours = stubs_of(triton, "victim"), stubs_of(triton, "bystander")
        assert len(victims) == 2
        answered = 0

        async def call_the_bystander() -> None:
            nonlocal answered
            while True:
                assert await double(http, triton.http_address, "bystander") == [42]
                answered += 1

        async with asyncio.TaskGroup() as group:
            calls = group.create_task(call_the_bystander())
            os.kill(victims[0].pid, signal.SIGKILL)
            await until(lambda: triton.status().models["victim"].state is ModelState.HEALING)
            await until(lambda: triton.status().heals == 1)
            calls.cancel()
        assert await double(http, triton.http_address, "victim") == [42]
        await until(lambda: len(stubs_of(triton, "victim")) == 2)  # the other old one ends a second later
        assert triton.status().heals == 1
        assert stubs_of(triton, "bystander") == neighbours
        assert answered > 10
        assert not any((SHARED_MEMORY / stub.region).exists() for stub in victims)


async def test_a_load_that_hangs_fails_when_its_time_is_up_and_the_others_are_served(
    triton_install: TritonInstall, repository: Path, tmp_path: Path, http: httpx.AsyncClient
) -> None:
    make_model(repository, "hangs", initialize="import time; time.sleep(1000)")
    make_model(repository, "twice")
    section = TritonSection(
        http_port=0,
        grpc_port=0,
        metrics_port=0,
        log_file=tmp_path / "log",
        load_timeout_seconds=4,
        stop_timeout_seconds=2,
    )
    async with EmbeddedTriton(
        section, triton_install, repository, BACKENDS, ["hangs", "twice"], lambda _: None
    ) as triton:
        async with asyncio.timeout(10):
            await triton.wait_ready()
        status = triton.status().models
        assert (status["hangs"].state, status["twice"].state) == (ModelState.FAILED, ModelState.READY)
        assert status["hangs"].reason == "it was not loaded within 4 s"
        assert await double(http, triton.http_address, "twice") == [42]
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 15  # Triton alone would take longer; the limit is 2 s


async def test_large_and_deep_bodies_leave_it_alive(
    embedded_triton: EmbeddedTritonFactory, repository: Path, http: httpx.AsyncClient
) -> None:
    make_model(repository, "twice")

    async def pieces(size: int) -> AsyncIterator[bytes]:
        yield b'{"inputs": [{"name": "X", "datatype": "FP32", "shape": [1], "data": ['
        for _ in range(size // 2**16):
            yield b"1," * 2**15
        yield b"1]}]}"

    async with embedded_triton(repository, ["twice"]) as triton:
        url = f"http://{triton.http_address}/v2/models/twice/infer"
        pid = triton.status().pid
        for content in (pieces(60 * 2**20), b'{"inputs":' + b"[" * 50_000 + b"]" * 50_000 + b"}", b"[" * 5_000_000):
            assert "error" in (await http.post(url, content=content)).json()
        head = b'{"inputs": [{"name": "X", "datatype": "FP32", "shape": [1], "data": ['
        host, _, port = triton.http_address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v2/models/twice/infer HTTP/1.1\r\nHost: triton\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%b\r\n" % (len(head), head))
        for _ in range(1500):  # 1.5 million chunks of 8 bytes
            writer.write(b"8\r\n1,1,1,1,\r\n" * 1000)
            await writer.drain()
        writer.write(b"5\r\n1]}]}\r\n0\r\n\r\n")
        assert (await reader.readline()).split()[1] in (b"400", b"500")
        writer.close()
        assert await double(http, triton.http_address, "twice") == [42]
        assert (triton.status().pid, triton.status().restarts) == (pid, 0)


async def test_models_come_and_go_while_it_runs(
    embedded_triton: EmbeddedTritonFactory, repository: Path, http: httpx.AsyncClient
) -> None:
    make_model(repository, "first")
    async with embedded_triton(repository, ["first"]) as triton:
        make_model(repository, "second")
        await triton.serve(["second"])
        assert await double(http, triton.http_address, "second") == [42]
        assert list(triton.status().models) == ["second"]
        gone = await http.get(f"http://{triton.http_address}/v2/models/first/ready")
        assert gone.status_code == 400
        assert triton.status().heals == 0


async def test_a_start_that_fails_says_why_with_the_end_of_the_log(
    triton_install: TritonInstall, repository: Path, tmp_path: Path
) -> None:
    make_model(repository, "twice")
    section = TritonSection(
        http_port=0, grpc_port=0, metrics_port=0, log_file=tmp_path / "log", start_timeout_seconds=0.001
    )
    async with EmbeddedTriton(section, triton_install, repository, BACKENDS, ["twice"], lambda _: None) as triton:
        with pytest.raises(SetupError, match=r"did not answer within 0.001 s \(triton.start_timeout_seconds\)"):
            await triton.wait_ready()
        assert triton.status().state is State.FAILED
        prefix = triton._runtime.path.name
    assert left_behind(prefix) == []


async def test_it_listens_on_the_ipv6_loopback_too(
    triton_install: TritonInstall, repository: Path, tmp_path: Path, http: httpx.AsyncClient
) -> None:
    make_model(repository, "twice")
    section = TritonSection(host="::1", http_port=0, grpc_port=0, metrics_port=0, log_file=tmp_path / "log")
    async with EmbeddedTriton(section, triton_install, repository, BACKENDS, ["twice"], lambda _: None) as triton:
        await triton.wait_ready()
        assert triton.http_address.startswith("[::1]:")
        assert await double(http, triton.http_address, "twice") == [42]


async def test_the_real_control_api_keeps_the_contract_of_the_fake(
    embedded_triton: EmbeddedTritonFactory, repository: Path
) -> None:
    for name in ("add", "new"):
        make_model(repository, name)
    make_model(repository, "bad", initialize='raise ValueError("no weights")')
    async with embedded_triton(repository, []) as triton:
        for name in ("add", "new", "bad"):
            triton._runtime.expose(name, repository / name)
        async with TritonControl(triton.http_address, triton.grpc_address) as control:
            promises: tuple[Callable[[ModelControl], Awaitable[None]], ...] = CONTRACT
            for promise in promises:
                await promise(control)


SUPERVISOR = """
import asyncio, json, sys
from pathlib import Path
from gateway.config import TritonSection
from gateway.triton.fetch import TritonInstall
from gateway.triton.supervise import EmbeddedTriton

async def main(root, repository, backends, log):
    section = TritonSection(http_port=0, grpc_port=0, metrics_port=0, log_file=log)
    install = TritonInstall(Path(root), "2.51.0")
    async with EmbeddedTriton(section, install, Path(repository), Path(backends), ["twice"], lambda _: None) as triton:
        await triton.wait_ready()
        print(json.dumps([triton._runtime.path.name, triton.http_address, triton.status().pid]), flush=True)
        await asyncio.sleep(1000)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("also_the_guard", [False, True], ids=["supervisor", "supervisor and guard"])
async def test_nothing_is_left_when_the_supervisor_is_killed(
    triton_install: TritonInstall, repository: Path, tmp_path: Path, also_the_guard: bool
) -> None:
    make_model(repository, "twice")
    words = (str(triton_install.root), str(repository), str(BACKENDS), str(tmp_path / "log"))
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(SUPERVISOR), *words, stdout=asyncio.subprocess.PIPE, cwd=BACKENDS.parent
    )
    assert supervisor.stdout
    async with asyncio.timeout(20):
        prefix, address, pid = json.loads(await supervisor.stdout.readline())
    assert listens(address)
    guard = os.getsid(pid)  # it leads the session
    supervisor.kill()
    if also_the_guard:
        os.kill(guard, signal.SIGKILL)
    await supervisor.wait()
    if also_the_guard:  # nobody is left to remove the folder: the next start does it
        folder = str(base_folder(os.environ) / prefix)
        await until(lambda: left_behind(prefix) in ([folder], []), 5)

        def cleared() -> bool:
            """A process that ends lets go of its memory first, and of the folder's lock a moment later."""
            RuntimeFolder.create(base_folder(os.environ)).remove()
            return left_behind(prefix) == []

        await until(cleared, 5)
    await until(lambda: left_behind(prefix) == [], 5)
    assert not listens(address)
