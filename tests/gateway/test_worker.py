"""The child processes' own coroutine; what they do as processes is in `test_processes.py` and `test_fleet.py`."""

import asyncio

from gateway import worker


def test_a_process_s_coroutine_runs_on_uvloop() -> None:
    loops: list[str] = []

    async def main() -> None:
        loops.append(type(asyncio.get_running_loop()).__module__)

    worker.run(main)
    assert loops == ["uvloop"]
