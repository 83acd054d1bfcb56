import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.repository.model_control import ControlError, FakeControl, IndexRow
from gateway.triton.log import LogReader
from gateway.triton.stubs import StubWatch
from gateway.triton.watched import WatchedControl, early_end

from .conftest import StartStub, Until


class Hanging(FakeControl):
    """A Triton whose loads end only by their time limit."""

    async def load(self, model: str, timeout: float, config: str = "") -> None:
        await asyncio.sleep(timeout)
        raise ControlError(f"it was not loaded within {timeout:g} s")


class Spoilt(FakeControl):
    """A Triton that gives no index as long as a model's folder is missing."""

    spoilt = True

    def mend(self) -> bool:
        """Put another folder there."""
        was, self.spoilt = self.spoilt, False
        return was

    async def index(self) -> Sequence[IndexRow]:
        if self.spoilt:
            raise ControlError("failed to stat file /models/add")
        return await super().index()


@pytest.fixture
def log(tmp_path: Path) -> LogReader:
    (tmp_path / "log").write_text(
        "I1121 02:10:53.882998 1 pb_stub.cc:2105]  Failed to preinitialize Python stub: long ago\n"
    )
    return LogReader(tmp_path / "log")


async def test_a_load_whose_process_ended_early_is_given_up_with_the_reason(log: LogReader, models: Path) -> None:
    watch = StubWatch(os.getpid(), models, lambda _: None)
    loading = asyncio.create_task(WatchedControl(Hanging([]), watch, log).load("add", 60))
    await asyncio.sleep(0)
    with log.path.open("a") as file:
        file.write(
            "I1121 02:10:53.882998 1 pb_stub.cc:2105]  Failed to preinitialize Python stub: no model.py in 'add'\n"
        )
    with pytest.raises(ControlError, match=r"ended before the model was loaded: no model.py in 'add'"):
        await loading
    watch.close()


async def test_a_load_that_takes_too_long_loses_its_process(
    log: LogReader, models: Path, start_stub: StartStub, until: Until
) -> None:
    watch = StubWatch(os.getpid(), models, lambda _: None)
    served = start_stub("add", instance="of the version that is served")
    watch.scan()
    loading = asyncio.create_task(WatchedControl(Hanging([]), watch, log).load("add", 0.5))
    await asyncio.sleep(0)
    stub = start_stub("add")
    with pytest.raises(ControlError, match=r"not loaded within 0.5 s"):
        await loading
    await until(lambda: stub.poll() is not None)
    assert served.poll() is None
    watch.close()


async def test_a_load_that_works_has_made_its_processes_known(
    log: LogReader, models: Path, start_stub: StartStub
) -> None:
    watch = StubWatch(os.getpid(), models, lambda _: None)
    stub = start_stub("add")
    await WatchedControl(FakeControl(["add"]), watch, log).load("add", 60)
    assert [known.pid for known in watch.of("add")] == [stub.pid]
    watch.close()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("I1 pb_stub.cc:2105]  Failed to preinitialize Python stub: no such file", "no such file"),
        ("bash: line 1: /x/stub: No such file or directory", "line 1: /x/stub: No such file or directory"),
        (
            "/x/stub: error while loading shared libraries: libpython3.11.so.1.0: cannot open",
            "error while loading shared libraries: libpython3.11.so.1.0: cannot open",
        ),
        ("E1 model.cc:1] all is lost", None),
    ],
)
def test_what_a_log_says_about_an_early_end(line: str, reason: str | None) -> None:
    assert early_end(f"before\n{line}\n") == reason


async def test_a_model_folder_that_is_gone_spoils_no_index(log: LogReader, models: Path) -> None:
    watch = StubWatch(os.getpid(), models, lambda _: None)
    control = Spoilt(["add"])
    assert [row.name for row in await WatchedControl(control, watch, log, control.mend).index()] == ["add"]
    control.spoilt = True
    with pytest.raises(ControlError, match="failed to stat"):
        await WatchedControl(control, watch, log).index()
    watch.close()
