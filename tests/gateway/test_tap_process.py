import asyncio
import os
import signal
from pathlib import Path

import pytest

from gateway.beside import Beside
from gateway.config import Config
from gateway.core.errors import SetupError
from gateway.tap.client import TapClient
from gateway.tap_process import TapProcess, is_needed
from tests.gateway.tap.test_exchange import EXCHANGE

CANARY = {"model": "m", "targets": [{"model": "m", "version": 1}, {"model": "n"}], "canary": {"candidate": "n"}}


def config(**said: object) -> Config:
    return Config.model_validate(said)


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        ({}, False),
        ({"recording": {"folder": "/somewhere"}}, True),
        ({"traffic": {"routes": [{"model": "m"}]}}, False),
        ({"traffic": {"routes": [{"model": "m", "mirrors": [{"model": "n"}]}]}}, False),
        ({"traffic": {"routes": [{"model": "m", "mirrors": [{"model": "n", "compare": {}}]}]}}, True),
        ({"traffic": {"routes": [CANARY]}}, True),
        ({"traffic": {"routes": [CANARY | {"canary": {"candidate": "n", "shadow_percent": 0}}]}}, False),
    ],
)
def test_it_is_needed_to_record_and_to_compare(said: dict[str, object], needed: bool) -> None:
    assert is_needed(config(**said)) is needed


async def test_it_comes_goes_and_comes_back_as_the_configuration_needs_it(tmp_path: Path) -> None:
    current = [config()]
    beside = Beside.first(current[0])
    deaths: asyncio.Queue[tuple[str, int, float]] = asyncio.Queue()
    changed = asyncio.Event()
    process = TapProcess(lambda: current[0], lambda: beside, lambda *death: deaths.put_nowait(death), changed.set)
    await process.follow()
    assert process.status() is None

    current[0] = config(recording={"folder": str(tmp_path), "segment_seconds": 0.2})
    await process.follow()
    tap = TapClient(beside.places.tap)
    try:
        async with asyncio.timeout(20):
            while not (process.status() or {}).get("recording"):
                changed.clear()
                await changed.wait()
        assert tap.offer(EXCHANGE)  # which is none that could be decoded
        async with asyncio.timeout(20):
            while not (process.status() or {})["recording"]["unreadable"]:
                changed.clear()
                await changed.wait()

        first = (process.status() or {})["pid"]
        os.kill(first, signal.SIGKILL)
        assert (await asyncio.wait_for(deaths.get(), 10))[:2] == ("tap", -signal.SIGKILL)

        current[0] = config()
        await process.follow()
        assert process.status() is None
        assert not beside.places.tap.parent.exists()
    finally:
        await tap.aclose()
        await process.stop()


async def test_what_else_is_kept_for_the_run_stays(tmp_path: Path) -> None:
    current = [config(recording={"folder": str(tmp_path)})]
    beside = Beside.first(current[0])
    process = TapProcess(lambda: current[0], lambda: beside, lambda *_: None, lambda: None)
    await process.follow()
    (beside.places.tap.parent / "traffic-0.json").write_text("{}")
    await process.stop()
    assert [path.name for path in beside.places.tap.parent.iterdir()] == ["traffic-0.json"]
    beside.places.leave()


async def test_one_that_cannot_start_says_so_and_is_tried_again_by_the_next_configuration(tmp_path: Path) -> None:
    current = [config(recording={"folder": "az://nobody-named-an-account"})]
    beside = Beside.first(current[0])
    process = TapProcess(lambda: current[0], lambda: beside, lambda *_: None, lambda: None)
    with pytest.raises(SetupError):
        await process.follow()
    assert process.status() is None
    current[0] = config(recording={"folder": str(tmp_path)})
    await process.follow()
    assert (process.status() or {})["pid"]
    await process.stop()
