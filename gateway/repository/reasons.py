"""Why a trial failed, in words of the person whose model it was: from an exception, or from how the process died."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator

from gateway.core.errors import ModelRefused
from gateway.repository.confine import Limits

_LONGEST = 600
_LAST_WORDS = 200
_NO_NAME_LOOKUP = -3  # what the C library calls EAI_AGAIN
_NO_NETWORK = "a model has no network while it is tried out: put what it needs into its folder"
_NOT_ALLOWED = {
    errno.ENETUNREACH: _NO_NETWORK,
    _NO_NAME_LOOKUP: _NO_NETWORK,
    errno.EACCES: "a model may read only its own folder, and write only temporary files, while it is tried out",
    errno.EPERM: "a model may not start or signal other processes while it is tried out",
}
_NO_MEMORY = ("bad_alloc", "can't allocate memory", "cannot allocate memory", "memoryerror", "out of memory")


def of_exception(error: BaseException, doing: str, limits: Limits) -> str:
    """One line for an exception that nobody expected.

    Args:
        error: the exception.
        doing: what was being done, such as "loading the model".
        limits: what the process may use.
    """
    if isinstance(error, ModelRefused):
        return error.message
    causes = list(_chain(error))
    if any(isinstance(each, MemoryError) or _tells_of_memory(str(each)) for each in causes):
        return of_memory(doing, limits)
    told = next((said for each in causes if (said := _told(each, limits))), "")
    return f"{doing} failed: {_one_line(error)}{told and f'; {told}'}"


def of_death(status: int, log: str, doing: str, limits: Limits) -> str:
    """One line for a process that ended without an answer.

    Args:
        status: its exit status, or minus the number of the signal that ended it.
        log: the end of what it printed.
        doing: the last that it said it was doing.
        limits: what it was allowed.
    """
    if -status == signal.SIGXCPU:
        return f"{doing} took more processor time than a trial may; {_raise_seconds(limits)}"
    if -status == signal.SIGKILL:
        return f"the system ended the process while {doing}, as it does when memory runs out; {_raise_memory(limits)}"
    if _tells_of_memory(log):
        return of_memory(doing, limits)
    last = next((line for line in reversed(log.splitlines()) if line.strip()), "")
    said = f"; the last that it printed: {_short(last[-_LAST_WORDS:])}" if last else ""
    if status < 0:
        return (
            f"the framework crashed while {doing} ({_signal(-status)}); the file may be damaged, or made for another "
            f"version of the framework: export it again{said}"
        )
    return f"the model ended its process (exit status {status}) while {doing}; it must not call exit{said}"


def of_memory(doing: str, limits: Limits) -> str:
    """One line for a process that took too much memory."""
    return f"{doing} takes more memory than a trial may; {_raise_memory(limits)}"


def of_timeout(doing: str, limits: Limits) -> str:
    """One line for a process that was not done in time."""
    return f"{doing} wasn't done within {limits.seconds:g} s; {_raise_seconds(limits)}"


def _told(error: BaseException, limits: Limits) -> str:
    """What to do about one exception; empty if that is not known."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"install what it needs beside the gateway (the package of {error.name!r}), or do without it"
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return f"a file may have {limits.file_mib} MiB here; raise repository.sandbox.file_mib if it needs more"
    return _NOT_ALLOWED.get(error.errno or 0, "") if isinstance(error, OSError) else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _tells_of_memory(text: str) -> bool:
    lowered = text.lower()
    return any(each in lowered for each in _NO_MEMORY)


def _raise_memory(limits: Limits) -> str:
    return f"it may take {limits.memory_mib} MiB: raise repository.sandbox.memory_mib if the model needs more"


def _raise_seconds(limits: Limits) -> str:
    return f"raise repository.sandbox.seconds (now {limits.seconds:g}) if the model needs more"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _one_line(error: BaseException) -> str:
    text = _short(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
