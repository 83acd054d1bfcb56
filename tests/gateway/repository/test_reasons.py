"""From exceptions and deaths to what a data scientist is told."""

from __future__ import annotations

import errno
import os
import signal

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository import reasons
from gateway.repository.confine import Limits

LIMITS = Limits(memory_mib=100, seconds=5, file_mib=10)


def os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code), "file")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("bad\n  weights"), "loading failed: ValueError: bad weights"),
        (KeyboardInterrupt(), "loading failed: KeyboardInterrupt"),
        (MemoryError(), "loading takes more memory than a trial may; it may take 100 MiB"),
        (RuntimeError("std::bad_alloc"), "raise repository.sandbox.memory_mib"),
        (os_error(errno.ENETUNREACH), "no network"),
        (os_error(errno.EACCES), "may read only its own folder"),
        (os_error(errno.EPERM), "may not start or signal other processes"),
        (os_error(errno.EFBIG), "a file may have 10 MiB here"),
        (ModuleNotFoundError("No module named 'x'", name="x"), "the package of 'x'"),
        (ModelRefused("say this"), "say this"),
    ],
)
def test_an_exception_is_one_line_with_what_to_do(error: BaseException, said: str) -> None:
    told = reasons.of_exception(error, "loading", LIMITS)
    assert said in told
    assert "\n" not in told


def test_the_cause_is_what_tells() -> None:
    try:
        try:
            raise os_error(errno.ENETUNREACH)
        except OSError as error:
            raise RuntimeError("the download failed") from error
    except RuntimeError as error:
        told = reasons.of_exception(error, "loading", LIMITS)
    assert told.startswith("loading failed: RuntimeError: the download failed; a model has no network")


def test_a_long_message_is_cut() -> None:
    assert len(reasons.of_exception(ValueError("x" * 10_000), "loading", LIMITS)) < 1000


@pytest.mark.parametrize(
    ("status", "log", "said"),
    [
        (3, "", "exit status 3"),
        (-signal.SIGSEGV, "a\nlast words\n", "crashed while loading (SIGSEGV)"),
        (-signal.SIGSEGV, "a\nlast words\n", "the last that it printed: last words"),
        (-signal.SIGABRT, "terminate called after 'std::bad_alloc'", "repository.sandbox.memory_mib"),
        (-signal.SIGKILL, "", "as it does when memory runs out"),
        (-signal.SIGXCPU, "", "more processor time"),
        (-63, "", "signal 63"),
    ],
)
def test_a_death_is_explained(status: int, log: str, said: str) -> None:
    assert said in reasons.of_death(status, log, "loading", LIMITS)


def test_a_timeout_says_how_long_it_was() -> None:
    assert "within 5 s" in reasons.of_timeout("loading", LIMITS)
