"""The child processes' own coroutine; what they do as processes is in `test_processes.py` and `test_fleet.py`."""

import asyncio
import resource

from gateway import worker


def test_a_process_s_coroutine_runs_on_uvloop() -> None:
    loops: list[str] = []

    async def main() -> None:
        loops.append(type(asyncio.get_running_loop()).__module__)

    worker.run(main)
    assert loops == ["uvloop"]


def test_it_may_open_as_many_files_as_the_machine_lets_it() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        worker.raise_open_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
