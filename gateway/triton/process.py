"""One tritonserver process with its guard, as the supervisor sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.core.errors import SetupError
from gateway.triton import guard
from gateway.triton.launch import stack_limit
from gateway.triton.runtime import RuntimeFolder

LOG_BYTES = 16 * 2**20  # per file; there are two, the current one and the one before
_ANSWER_SECONDS = 10.0  # for the guard's part alone: starting, and clearing up after Triton has ended


class TritonProcess:
    """A running tritonserver. Make it with `launch`, end it with `stop`, and always `close` it."""

    def __init__(self, process: asyncio.subprocess.Process, pid: int) -> None:
        self._guard = process
        self.pid = pid
        self._handle: int | None = None
        with contextlib.suppress(ProcessLookupError):  # it may have ended already
            self._handle = os.pidfd_open(pid)
        self._ending = asyncio.create_task(self._read_ending(), name="triton guard")

    @classmethod
    async def launch(
        cls, command: Sequence[str], env: Mapping[str, str], runtime: RuntimeFolder, log_file: Path
    ) -> TritonProcess:
        """Start tritonserver under a guard of its own.

        Raises:
            SetupError: it cannot be started at all.
        """
        stack = stack_limit(resource.getrlimit(resource.RLIMIT_STACK)[1], _address_space_is_counted())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", guard.__file__, str(runtime.path), runtime.shared_memory_prefix),
            *(str(log_file), str(LOG_BYTES), str(stack or 0), str(os.getpid()), *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=env,
            pass_fds=(runtime.lock,),
            start_new_session=True,  # Ctrl-C in a terminal reaches the supervisor alone, which stops Triton properly
        )
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                assert process.stdout is not None  # noqa: S101 - asyncio gives it with PIPE
                word, _, rest = (await process.stdout.readline()).decode().strip().partition(" ")
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if word != "started":
            process.kill()
            await process.wait()
            raise SetupError(f"{command[0]} cannot be started: {rest or 'its guard process ended'}")
        return cls(process, int(rest))

    async def _read_ending(self) -> str:
        assert self._guard.stdout is not None  # noqa: S101 - asyncio gives it with PIPE
        line = (await self._guard.stdout.readline()).decode().strip()
        if not line.startswith("ended "):
            await self._guard.wait()
            await self._make_sure_of_end()
            return "its guard process was killed"
        code = int(line.removeprefix("ended "))
        if code >= 0:
            return f"it ended by itself with exit code {code}"
        with contextlib.suppress(ValueError):
            return f"it was ended by {signal.Signals(-code).name}"
        return f"it was ended by signal {-code}"

    async def _make_sure_of_end(self) -> None:
        """Without its guard the kernel kills Triton; wait for that, so that its ports are free for the next one."""
        if self._handle is None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._handle, ended.set)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await ended.wait()
        except TimeoutError:
            pass  # it hangs in the kernel; the next one says which port it misses
        finally:
            loop.remove_reader(self._handle)

    async def wait(self) -> str:
        """Wait until it has ended and all it left was cleared up; says how it ended. May be cancelled and repeated."""
        return await asyncio.shield(self._ending)

    async def stop(self, grace: float) -> None:
        """End it: SIGTERM, and SIGKILL for all of it after `grace` seconds."""
        self._tell(f"stop {grace}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace + _ANSWER_SECONDS):
                await self.wait()

    async def close(self) -> None:
        """Let the guard go; kills it, and so Triton, should either still be there."""
        if self._ending.done():
            self._tell("release")
        else:
            self._guard.kill()
        try:
            async with asyncio.timeout(2 * _ANSWER_SECONDS):
                await self._guard.wait()
                await self._ending
        except TimeoutError:
            self._guard.kill()
            await self._guard.wait()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _tell(self, line: str) -> None:
        assert self._guard.stdin is not None  # noqa: S101 - asyncio gives it with PIPE
        with contextlib.suppress(OSError, RuntimeError):  # it is gone, which `wait` reports
            self._guard.stdin.write(f"{line}\n".encode())


def _address_space_is_counted() -> bool:
    """Whether address space is scarce: limited for this process, or by `vm.overcommit_memory` 2 for all."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        return True
    try:
        return Path("/proc/sys/vm/overcommit_memory").read_text().strip() == "2"
    except OSError:
        return False
