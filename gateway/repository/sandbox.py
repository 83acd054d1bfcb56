"""The sandbox as the gateway sees it: a process of its own, that looks at one dropped file or folder and tries it out.

The process (`sandboxed.py`) confines itself; here it is started with a clean environment, listened to, and ended when
its time is up. Nothing that it says is taken on trust: it may run a stranger's code.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.config import SandboxSection
from gateway.core.errors import ModelRefused
from gateway.repository import reasons
from gateway.repository.archive import check_links
from gateway.repository.confine import Limits, environment
from gateway.repository.description import Hints, Prepared
from gateway.repository.hardware import Hardware
from gateway.repository.hints import sidecars
from gateway.repository.recognise import recognise
from gateway.repository.sandbox_messages import MODEL_FOLDER, Request, prepared_from_dict

_CODE = Path(__file__).resolve().parents[2]
_LONGEST_LINE = 64 * 2**20  # the sample of the validation is in it
_LONGEST_PROGRESS = 200
_LOOK_SECONDS = 0.2  # between looks at the memory
_LOG = "sandbox.log"
_LOG_CHUNK, _LOG_CHUNKS = 2**14, 16  # the end of what was printed is kept

OnProgress = Callable[[str], None]


async def prepare(  # noqa: PLR0913 - by name, and each a thing of its own
    source: Path,
    name: str,
    scratch: Path,
    hints: Hints,
    limits: SandboxSection,
    *,
    existing: str | None = None,
    step: str = "validate",
    on_progress: OnProgress = lambda _: None,
) -> Prepared:
    """Make a servable model of a dropped file or folder, and try it out.

    Args:
        source: the file or folder; it is only read.
        name: what the model is to be called.
        scratch: an empty folder; the model folder that comes out lies in it, and what the frameworks printed.
        hints: what was said about the model elsewhere than in its sidecars, which are read too; wins over them.
        limits: what the process may use.
        existing: the `config.pbtxt` that the model has so far, whose hand-written values are kept.
        step: how far to go: "inspect" (describe it), "prepare" (configure it) or "validate" (try it out).
        on_progress: told what is being done.

    Raises:
        ModelRefused: it cannot be served; with the reason.
    """
    request = await asyncio.to_thread(_request, source, name, scratch, hints, limits, existing, step)
    child = _Child(request, on_progress)
    async with _process(request) as process:
        try:
            async with asyncio.timeout(limits.seconds):
                answer = await child.talk(process)
        except TimeoutError:
            raise ModelRefused(reasons.of_timeout(child.doing, request.limits)) from None
        finally:
            _write(scratch / _LOG, child.log)
    return await asyncio.to_thread(_accept, answer, scratch / MODEL_FOLDER)


def _request(  # noqa: PLR0913, PLR0917 - as of `prepare`
    source: Path, name: str, scratch: Path, hints: Hints, limits: SandboxSection, existing: str | None, step: str
) -> Request:
    kind = recognise(source)
    beside = kind.companions(source) if hasattr(kind, "companions") else ()
    sample = () if hints.sample is None else (hints.sample.absolute(),)
    for folder in ("home", "tmp"):
        (scratch / folder).mkdir(exist_ok=True)
    return Request(
        source=source.absolute(),
        name=name,
        scratch=scratch.resolve(),
        readable=tuple(path.absolute() for path in (source, *beside, *sidecars(source), *sample)),
        hints=hints,
        limits=Limits(limits.memory_mib, limits.seconds, limits.file_mib),
        hardware=Hardware.here(),
        existing=existing,
        step=step,
    )


@asynccontextmanager
async def _process(request: Request) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process, which is gone in the end, however it goes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway.repository.sandboxed",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(os.environ, request.scratch, _CODE),
        cwd=request.scratch,
        start_new_session=True,  # a group of its own, to be ended as one
        limit=_LONGEST_LINE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


class _Child:
    """One conversation with the process.

    Attributes:
        doing: the last that it said it was doing.
    """

    def __init__(self, request: Request, on_progress: OnProgress) -> None:
        self.doing = "starting the trial"
        self._request, self._on_progress = request, on_progress
        self._too_large = False
        self._log: deque[bytes] = deque(maxlen=_LOG_CHUNKS)

    @property
    def log(self) -> str:
        """The end of what it printed."""
        return b"".join(self._log).decode(errors="replace")

    async def talk(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        """Ask, and listen until there is an answer.

        Raises:
            ModelRefused: it refuses the model, or ends without an answer.
        """
        assert process.stdin is not None  # noqa: S101 - all three were asked for
        assert process.stdout is not None  # noqa: S101 - as above
        assert process.stderr is not None  # noqa: S101 - as above
        printed = asyncio.create_task(self._keep_log(process.stderr), name="log of the sandbox")
        watch = asyncio.create_task(self._watch_memory(process.pid), name="memory of the sandbox")
        try:
            with contextlib.suppress(ConnectionError):  # it died; how it did comes below
                process.stdin.write(self._request.as_json().encode() + b"\n")
                await process.stdin.drain()
            process.stdin.close()
            answer = await self._listen(process.stdout)
            if answer is None:
                status = await process.wait()
                await printed
                limits = self._request.limits
                if self._too_large:
                    raise ModelRefused(reasons.of_memory(self.doing, limits))
                raise ModelRefused(reasons.of_death(status, self.log, self.doing, limits))
            return answer
        finally:
            printed.cancel()
            watch.cancel()

    async def _listen(self, stdout: asyncio.StreamReader) -> dict[str, Any] | None:
        try:
            while line := await stdout.readline():
                message = json.loads(line)
                if "refused" in message:
                    raise ModelRefused(str(message["refused"]))
                if "prepared" in message:
                    return dict(message["prepared"])
                self.doing = str(message["progress"])[:_LONGEST_PROGRESS]
                self._on_progress(self.doing)
        except (ValueError, TypeError, KeyError):  # a line without an end too
            raise ModelRefused(f"the trial gave an answer that makes no sense while {self.doing}") from None
        return None

    async def _watch_memory(self, process: int) -> None:
        """End it when it has too much; the limit that it has set itself does not hold for shared memory."""
        while not self._too_large:
            await asyncio.sleep(_LOOK_SECONDS)
            self._too_large = _resident_mib(process) > self._request.limits.memory_mib
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)

    async def _keep_log(self, stderr: asyncio.StreamReader) -> None:
        while chunk := await stderr.read(_LOG_CHUNK):
            self._log.append(chunk)


def _resident_mib(process: int) -> int:
    """Memory of a process that is backed by no file; 0 if it is gone."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        return sum(map(int, re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", status, re.MULTILINE))) // 1024
    return 0


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _accept(answer: dict[str, Any], folder: Path) -> Prepared:
    """What the process says that it made, if it can be so."""
    if folder.is_symlink() or not folder.is_dir():
        raise ModelRefused("the trial left no model folder behind")
    check_links(folder)
    try:
        return prepared_from_dict(answer, folder)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ModelRefused("the trial gave a description that makes no sense") from None
