"""Room for bytes that are about to be received."""

from __future__ import annotations

import ctypes

_allocate = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_char_p, ctypes.c_ssize_t)(
    ("PyByteArray_FromStringAndSize", ctypes.pythonapi)
)


def uninitialised(size: int) -> bytearray:
    """A bytearray of `size` bytes that holds anything: only for what is filled from end to end before it is read.

    `bytearray(size)` writes zeros first, one pass over the memory more, and makes the kernel provide all of it at once
    for a body that was only announced. The C API has the other way, Python itself has not.
    """
    room: bytearray = _allocate(None, size)
    return room
