"""Room for bytes that are about to be received."""

from __future__ import annotations

import ctypes

_allocate = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_char_p, ctypes.c_ssize_t)(
    ("PyByteArray_FromStringAndSize", ctypes.pythonapi)
)

# Parameters of glibc's mallopt(3). Setting one of them ends that the library adapts the other, so both are set.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 32 * 2**20  # bytes of a body that may come from what was kept: all that glibc allows
_KEPT = 64 * 2**20


def uninitialised(size: int) -> bytearray:
    """A bytearray of `size` bytes that holds anything: only for what is filled from end to end before it is read.

    `bytearray(size)` writes zeros first, one pass over the memory more, and makes the kernel provide all of it at once
    for a body that was only announced. The C API has the other way, Python itself has not.
    """
    room: bytearray = _allocate(None, size)
    return room


def keep_freed(size: int = _KEPT) -> None:
    """Have the C library keep up to `size` bytes that were freed for the next body, and not give them back at once.

    Memory that comes from the kernel costs a page fault every 4 KiB: a fifth of the CPU time of a request of 600 KB.
    Affects the whole process, for as long as it lives; does nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, size)
