"""One life of a server that is this test process, with a fake control API and backend processes that look real."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.repository.model_control import ControlError, FakeControl, IndexRow
from gateway.triton import stubs
from gateway.triton.board import Board
from gateway.triton.life import Life
from gateway.triton.log import LogReader
from gateway.triton.runtime import SHARED_MEMORY
from gateway.triton.status import Event, EventKind, ModelState
from gateway.triton.stubs import Stub, find

from .conftest import StartStub, Until


class FakeServer(FakeControl):
    """A Triton that starts a backend process for each model that it loads, and ends it on unload."""

    def __init__(self, models: list[str], start_stub: StartStub, failures: dict[str, str] | None = None) -> None:
        super().__init__(models, failures)
        self._start_stub = start_stub
        self.stubs: dict[str, subprocess.Popen[bytes]] = {}
        self.answers = True
        self.configured = 1  # instances of each model
        self.asked = 0  # how often somebody wanted to know

    async def instances(self, model: str, version: str) -> int:
        self.asked += 1
        return self.configured

    async def live(self) -> bool:
        return self.answers

    async def load(self, model: str, timeout: float, config: str = "") -> None:
        await super().load(model, timeout)
        if model not in self.stubs:
            self.stubs[model] = self._start_stub(model, region=f"triton-gateway-test-{os.getpid()}-{len(self.calls)}")

    async def unload(self, model: str, timeout: float) -> None:
        await super().unload(model, timeout)
        if stub := self.stubs.pop(model, None):
            stub.kill()


class Stage:
    """A life with everything around it."""

    def __init__(self, server: FakeServer, models: Path) -> None:
        self.server = server
        self.events: list[Event] = []
        self.board = Board("triton.log", self.events.append)
        log = LogReader(models.parent / "triton.log")
        self.life = Life(
            control=server,
            pid=os.getpid(),
            models=models,
            log=log,
            board=self.board,
            readable=lambda text: text.replace(str(models), "my-models"),
            load_timeout=10,
        )

    def kinds(self, model: str) -> list[EventKind]:
        return [event.kind for event in self.events if event.model == model]

    @asynccontextmanager
    async def living(self, *models: str) -> AsyncIterator[None]:
        self.life.desire(dict.fromkeys(models, ""))
        task = asyncio.create_task(self.life.run(10))
        try:
            async with asyncio.timeout(10):
                await self.board.settled.wait()
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


def is_watched(pid: int) -> bool:
    """Whether this process holds a handle of another one."""
    infos = []
    for file in Path("/proc/self/fdinfo").iterdir():
        with contextlib.suppress(OSError):  # the folder itself was open for the list
            infos.append(file.read_text())
    return any(f"Pid:\t{pid}\n" in info for info in infos)


StageFor = Callable[..., Stage]


@pytest.fixture
def stage(models: Path, start_stub: StartStub) -> StageFor:
    def build(*names: str, failures: dict[str, str] | None = None) -> Stage:
        return Stage(FakeServer(list(names), start_stub, failures), models)

    return build


async def test_every_model_is_loaded_or_known_to_have_failed(stage: StageFor, models: Path) -> None:
    s = stage("add", "bad", failures={"bad": f"Internal: no weights in {models}/bad"})
    async with s.living("add", "bad"):
        status = s.board.status().models
        assert status["add"].state is ModelState.READY
        assert (status["bad"].state, status["bad"].reason) == (ModelState.FAILED, "no weights in my-models/bad")


async def test_a_server_that_does_not_answer_is_given_up(stage: StageFor) -> None:
    s = stage("add")
    s.server.answers = False
    with pytest.raises(TimeoutError):
        await s.life.run(0.1)


async def test_a_model_whose_process_dies_is_unloaded_and_loaded_again(
    stage: StageFor, models: Path, until: Until
) -> None:
    s = stage("add", "mul")
    async with s.living("add", "mul"):
        region = SHARED_MEMORY / next(stub.region for stub in find(os.getpid(), models) if stub.model == "add")
        region.write_bytes(b"x")
        s.server.calls.clear()
        s.server.stubs["add"].kill()
        await until(lambda: s.board.status().heals)
        assert s.server.calls == [("unload", "add"), ("load", "add")]
        assert s.board.status().models["add"].state is ModelState.READY
        assert not region.exists()
    assert s.kinds("add")[-2:] == [EventKind.MODEL_HEALING, EventKind.MODEL_HEALED]
    assert EventKind.MODEL_HEALING not in s.kinds("mul")


async def test_a_model_that_keeps_dying_is_healed_later_and_later(stage: StageFor, until: Until) -> None:
    s = stage("add")
    async with s.living("add"):
        for _ in range(2):
            before = s.board.status().heals
            s.server.stubs["add"].kill()
            await until(lambda: s.board.status().heals > before)  # noqa: B023 - waited for within the loop
        s.server.stubs["add"].kill()
        await until(lambda: s.board.status().models["add"].state is ModelState.HEALING)
        await until(lambda: "add" not in s.server.loaded)  # clients hear that it is not ready, meanwhile
    assert [event.seconds for event in s.events if event.kind is EventKind.MODEL_HEALING] == [0, 1, 2]


async def test_healing_goes_on_while_the_load_fails(stage: StageFor, until: Until) -> None:
    s = stage("add")
    async with s.living("add"):
        s.server.failures["add"] = "Internal: out of memory"
        s.server.stubs["add"].kill()
        await until(lambda: "out of memory" in s.board.status().models["add"].reason)
        assert s.board.status().models["add"].state is ModelState.HEALING
        del s.server.failures["add"]
        await until(lambda: s.board.status().heals == 1)


async def test_processes_that_end_because_a_model_is_unloaded_are_no_deaths(stage: StageFor, until: Until) -> None:
    s = stage("add", "mul")
    async with s.living("add", "mul"):
        s.board.busy()
        s.life.desire(dict.fromkeys(["mul"], ""))
        await until(s.board.settled.is_set)
        assert s.server.loaded == {"mul"}
    assert EventKind.MODEL_HEALING not in s.kinds("add")


async def test_a_process_that_was_replaced_is_no_death(stage: StageFor, start_stub: StartStub, until: Until) -> None:
    s = stage("add")
    async with s.living("add"):
        old = s.server.stubs["add"]
        s.server.stubs["add"] = start_stub("add")  # someone else asked Triton to load it anew
        old.kill()
        old.wait()
        seen = time.monotonic()
        await until(lambda: time.monotonic() - seen > 0.1)
        assert s.board.status().heals == 0
    assert EventKind.MODEL_HEALING not in s.kinds("add")


async def test_a_model_that_is_added_while_it_runs_is_loaded(stage: StageFor, until: Until) -> None:
    s = stage("add", "mul")
    async with s.living("add"):
        s.board.busy()
        s.life.desire(dict.fromkeys(["add", "mul"], ""))
        await until(s.board.settled.is_set)
        assert s.server.loaded == {"add", "mul"}
        assert s.kinds("add") == [EventKind.MODEL_LOADING, EventKind.MODEL_READY]  # once


async def test_a_model_that_somebody_unloads_is_left_so_and_shown(stage: StageFor, until: Until) -> None:
    s = stage("add", "mul")
    async with s.living("add", "mul"):
        await s.server.unload("add", 10)
        await until(lambda: s.board.status().models["add"].state is ModelState.UNLOADED)
        assert s.server.loaded == {"mul"}
        assert s.board.status().models["mul"].state is ModelState.READY
        await s.server.load("add", 10)
        await until(lambda: s.board.status().models["add"].state is ModelState.READY)
    assert s.kinds("add")[-2:] == [EventKind.MODEL_UNLOADED, EventKind.MODEL_READY]
    assert EventKind.MODEL_HEALING not in s.kinds("add")


async def test_a_model_that_somebody_loaded_again_is_healed_as_before(stage: StageFor, until: Until) -> None:
    s = stage("add")
    async with s.living("add"):
        await s.server.unload("add", 10)
        await until(lambda: s.board.status().models["add"].state is ModelState.UNLOADED)
        await s.server.load("add", 10)
        await until(lambda: s.board.status().models["add"].state is ModelState.READY)
        s.server.stubs["add"].kill()
        await until(lambda: s.board.status().heals == 1)


async def test_fewer_instances_on_request_are_no_death(stage: StageFor, start_stub: StartStub, until: Until) -> None:
    s = stage("add")
    async with s.living("add"):
        second = start_stub("add", instance="add_1")
        await until(lambda: is_watched(second.pid))
        s.server.calls.clear()
        second.kill()  # the configuration asks for one
        await until(lambda: s.server.asked)
        for _ in range(5):  # healing would begin at once
            await asyncio.sleep(0)
        assert s.server.calls == []
    assert EventKind.MODEL_HEALING not in s.kinds("add")


async def test_fewer_instances_than_configured_are_a_death(
    stage: StageFor, start_stub: StartStub, until: Until
) -> None:
    s = stage("add")
    s.server.configured = 2
    async with s.living("add"):
        second = start_stub("add", instance="add_1")
        await until(lambda: is_watched(second.pid))
        second.kill()
        await until(lambda: s.board.status().heals == 1)


async def test_what_others_loaded_and_unloaded_stays_so_when_the_desired_models_change(
    stage: StageFor, until: Until
) -> None:
    s = stage("add", "mul", "sub", "theirs")
    async with s.living("add", "mul"):
        await s.server.unload("add", 10)
        await s.server.load("theirs", 10)
        await until(lambda: s.board.status().models["add"].state is ModelState.UNLOADED)
        s.board.busy()
        s.life.desire(dict.fromkeys(["add", "sub"], ""))
        await until(s.board.settled.is_set)
        assert s.server.loaded == {"sub", "theirs"}
        assert s.board.status().models["add"].state is ModelState.UNLOADED


async def test_a_model_that_failed_and_that_somebody_loaded_is_ready(stage: StageFor, until: Until) -> None:
    s = stage("bad", failures={"bad": "Internal: no weights"})
    async with s.living("bad"):
        assert s.board.status().models["bad"].state is ModelState.FAILED
        del s.server.failures["bad"]
        await s.server.load("bad", 10)
        await until(lambda: s.board.status().models["bad"].state is ModelState.READY)


async def test_a_server_that_refuses_its_index_fails_its_models_and_lives_on(stage: StageFor) -> None:
    s = stage("add")

    async def refuse() -> list[object]:
        raise ControlError("the repository index was refused")

    s.server.index = refuse  # type: ignore[method-assign,assignment]
    async with s.living("add"):
        assert s.board.status().models["add"].reason == "the repository index was refused"


async def test_a_process_that_ends_is_no_death_as_long_as_triton_does_not_say_so(
    stage: StageFor, start_stub: StartStub, until: Until
) -> None:
    s = stage("add")
    async with s.living("add"):
        answer, refused = s.server.index, 0

        async def refuse() -> list[IndexRow]:
            nonlocal refused
            refused += 1
            raise ControlError("Triton is busy")

        s.server.index = refuse  # type: ignore[method-assign]
        s.server.calls.clear()
        s.server.stubs["add"].kill()
        await until(lambda: refused)
        assert s.server.calls == []
        s.server.index = answer  # type: ignore[method-assign]
        await until(lambda: s.board.status().heals == 1)


async def test_a_triton_that_is_too_busy_to_give_its_index_keeps_what_it_has(stage: StageFor, until: Until) -> None:
    s = stage("add")
    async with s.living("add"):
        refused = 0

        async def refuse() -> list[IndexRow]:
            nonlocal refused
            refused += 1
            raise ControlError("Triton is busy")

        s.server.index = refuse  # type: ignore[method-assign]
        await until(lambda: refused == 3)
        assert s.board.status().models["add"].state is ModelState.READY


async def test_a_version_that_is_not_ready_any_more_has_nothing_to_heal(stage: StageFor, until: Until) -> None:
    s = stage("add")
    async with s.living("add"):
        s.server.calls.clear()
        s.server.loaded.discard("add")
        s.server._reasons["add"] = "unloaded"
        s.server.stubs["add"].kill()
        await until(lambda: s.board.status().models["add"].state is ModelState.UNLOADED)
        assert s.server.calls == []


async def test_a_process_that_one_look_at_the_processes_leaves_out_is_no_death(
    stage: StageFor, start_stub: StartStub, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = stage("add")
    async with s.living("add"):
        missed = 0

        def forgetful(server: int, models: Path) -> list[Stub]:
            nonlocal missed
            missed += 1
            return find(server, models) if missed > 2 else []

        replaced = start_stub("add", instance="add_1")  # a load that someone else asked for has other instances
        monkeypatch.setattr(stubs, "find", forgetful)
        s.server.calls.clear()
        s.server.stubs["add"].kill()
        await until(lambda: s.server.asked)
        await until(lambda: is_watched(replaced.pid))
        assert s.server.calls == []
        assert s.board.status().heals == 0


async def test_a_process_that_dies_while_its_model_is_in_hand_is_noticed_afterwards(
    stage: StageFor, until: Until
) -> None:
    s = stage("add")
    loaded = s.server.load

    async def load_and_lose(model: str, timeout: float, config: str = "") -> None:
        await loaded(model, timeout, config)
        s.server.load = loaded  # type: ignore[method-assign]
        await until(lambda: is_watched(s.server.stubs[model].pid))
        s.server.stubs[model].kill()
        s.server.stubs[model].wait()

    s.server.load = load_and_lose  # type: ignore[method-assign]
    async with s.living("add"):
        await until(lambda: s.board.status().heals == 1)


async def test_a_rehearsal_of_a_triton_that_is_being_started_is_refused(stage: StageFor) -> None:
    s = stage("candidate")
    with pytest.raises(ControlError, match="being started"):
        await s.life.rehearse("candidate", [])


async def test_a_rehearsal_ends_with_the_life_of_its_triton(stage: StageFor, until: Until) -> None:
    s = stage("add", "candidate")
    loading = asyncio.Event()

    async def hang(model: str, timeout: float, config: str = "") -> None:
        loading.set()
        await asyncio.sleep(1000)

    async with s.living("add"):
        s.server.load = hang  # type: ignore[method-assign]
        rehearsal = asyncio.create_task(s.life.rehearse("candidate", []))
        await loading.wait()
    with pytest.raises(ControlError, match="Triton ended while it was tried out"):
        await rehearsal
