import os
from pathlib import Path

from gateway.triton.runtime import SHARED_MEMORY
from gateway.triton.stubs import Stub, StubWatch, find, parse, remove_region

from .conftest import StartStub, Until

MODELS = Path("/run/triton-gateway/models")


def command(*words: str) -> bytes:
    return b"".join(word.encode() + b"\0" for word in words)


def test_a_command_line_says_which_model_a_process_runs() -> None:
    words = ("/run/b/python/triton_python_backend_stub", f"{MODELS}/add/3/model.py", "prefix-uuid", "1", "1", "42")
    stub = parse(7, command(*words, "/run/b/python", "336", "add_0_1", "DEFAULT"), MODELS)
    assert stub == Stub(pid=7, model="add", version="3", region="prefix-uuid", instance="add_0_1")


def test_other_processes_are_not_backend_processes() -> None:
    assert parse(7, command("bash", "-c", " exec /run/triton_python_backend_stub ..."), MODELS) is None
    assert (
        parse(7, command("/x/triton_python_backend_stub", "/elsewhere/add/1/model.py", "r", "1", "2"), MODELS) is None
    )
    assert parse(7, b"", MODELS) is None


async def test_the_children_of_a_server_are_found(models: Path, start_stub: StartStub) -> None:
    pids = {start_stub("add").pid, start_stub("mul").pid}
    found = find(os.getpid(), models)
    assert {stub.pid for stub in found} == pids
    assert {stub.model for stub in found} == {"add", "mul"}


def test_a_server_that_is_gone_has_none(models: Path) -> None:
    assert find(2**22 + 1, models) == []


async def test_a_death_is_told_at_once_and_only_once(models: Path, start_stub: StartStub, until: Until) -> None:
    ended: list[Stub] = []
    watch = StubWatch(os.getpid(), models, ended.append)
    victim, survivor = start_stub("add"), start_stub("mul")
    watch.scan()
    watch.scan()
    victim.kill()
    await until(lambda: ended)
    assert [stub.pid for stub in ended] == [victim.pid]
    assert watch.of("add") == []
    assert [stub.pid for stub in watch.of("mul")] == [survivor.pid]
    watch.close()
    survivor.kill()
    survivor.wait()
    assert len(ended) == 1


async def test_the_processes_of_one_model_can_be_ended(models: Path, start_stub: StartStub, until: Until) -> None:
    ended: list[Stub] = []
    watch = StubWatch(os.getpid(), models, ended.append)
    first, second, other = start_stub("add"), start_stub("add", instance="add_1"), start_stub("mul")
    watch.scan()
    watch.kill(watch.of("add"))
    await until(lambda: len(ended) == 2)
    assert {stub.pid for stub in ended} == {first.pid, second.pid}
    assert other.poll() is None
    watch.close()


async def test_the_memory_of_a_models_processes_is_added_up(models: Path, start_stub: StartStub) -> None:
    watch = StubWatch(os.getpid(), models, lambda _: None)
    start_stub("add")
    watch.scan()
    one = watch.memory()["add"]
    start_stub("add", instance="add_1")
    watch.scan()
    assert one > 0
    assert watch.memory()["add"] > one
    watch.close()


def test_a_server_that_runs_is_alive_and_one_that_is_gone_is_not(models: Path) -> None:
    assert StubWatch(os.getpid(), models, lambda _: None).server_is_alive()
    assert not StubWatch(2**22 + 1, models, lambda _: None).server_is_alive()


def test_the_memory_of_one_process_is_removed_and_no_other() -> None:
    mine, other = (SHARED_MEMORY / f"triton-gateway-test-{os.getpid()}-{name}" for name in "ab")
    for region in (mine, other):
        region.write_bytes(b"x")
    remove_region(Stub(1, "add", "1", mine.name, "add_0"))
    assert (mine.exists(), other.exists()) == (False, True)
    other.unlink()
