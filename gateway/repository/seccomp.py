"""A filter of system calls: from now on this process has no network, starts no other process and reaches none.

The filter is a program of the kernel's classic BPF machine: for each system call one comparison of its number, and for
some one of an argument. What is not named stays allowed, since frameworks call hundreds of others.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Mapping
from dataclasses import dataclass

_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16  # offsets in the kernel's `struct seccomp_data`
_X32 = 0x40000000  # the numbers of x86-64's second table start here

_CLONE_THREAD = 0x00010000


@dataclass(frozen=True, slots=True)
class _Machine:
    """A processor architecture: the kernel's identifier of it, and the numbers of its system calls."""

    identifier: int
    calls: Mapping[str, int]


# The same on every architecture.
_NEW_CALLS = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "pidfd_open": 434,
    "clone3": 435,
    "pidfd_getfd": 438,
    "fchmodat2": 452,
    "setxattrat": 463,
    "removexattrat": 466,
}

_MACHINES: Mapping[str, _Machine] = {
    "x86_64": _Machine(
        0xC000003E,
        {
            "shmget": 29, "socket": 41, "clone": 56, "fork": 57, "vfork": 58, "kill": 62, "msgget": 68,
            "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "ptrace": 101,
            "rt_sigqueueinfo": 129, "utime": 132, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
            "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "tkill": 200, "tgkill": 234,
            "utimes": 235, "add_key": 248, "request_key": 249, "keyctl": 250, "fchownat": 260, "futimesat": 261,
            "fchmodat": 268, "unshare": 272, "utimensat": 280, "rt_tgsigqueueinfo": 297, "perf_event_open": 298,
            "prlimit64": 302, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "bpf": 321,
            "memfd_create": 319, "userfaultfd": 323, **_NEW_CALLS,
        },
    ),
    "aarch64": _Machine(
        0xC00000B7,
        {
            "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15,
            "fremovexattr": 16, "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "utimensat": 88,
            "unshare": 97, "ptrace": 117, "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138,
            "msgget": 186, "shmget": 194, "socket": 198, "add_key": 217, "request_key": 218, "keyctl": 219,
            "clone": 220, "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "prlimit64": 261, "setns": 268,
            "process_vm_readv": 270, "process_vm_writev": 271, "memfd_create": 279, "bpf": 280, "userfaultfd": 282,
            **_NEW_CALLS,
        },
    ),
}  # fmt: skip

_FORBIDDEN = {
    "socket": errno.ENETUNREACH,  # "Network is unreachable" is what a person reads then
    "clone3": errno.ENOSYS,  # its flags cannot be seen here; the C library falls back to `clone`
    **dict.fromkeys(
        (
            "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "pidfd_getfd",
            "pidfd_send_signal", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "io_uring_setup",
            "io_uring_enter", "io_uring_register", "unshare", "setns", "bpf", "perf_event_open", "userfaultfd",
            "add_key", "request_key", "keyctl", "shmget", "msgget", "memfd_create",
        ),
        errno.EPERM,
    ),
    # Landlock does not see changes of modes, owners, times and attributes. Code that copies files makes them by the
    # way, so they are answered with success and not made.
    **dict.fromkeys(
        (
            "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
            "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr",
            "lremovexattr", "fremovexattr", "removexattrat",
        ),
        0,
    ),
}  # fmt: skip


def restrict() -> bool:
    """Put the filter on this thread, and on everything that it starts from now on, for ever.

    Returns:
        whether it holds; False on a processor or a kernel that has no such filter.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    code = program(machine.identifier, machine.calls, os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    # `struct sock_fprog`: the number of instructions, and where they are.
    header = struct.pack("H6xQ", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(libc.prctl(_SET_SECCOMP, _MODE_FILTER, header, 0, 0) == 0)


def program(identifier: int, calls: Mapping[str, int], process: int) -> bytes:
    """The filter as the kernel takes it: 8 bytes an instruction.

    Args:
        identifier: the kernel's of the processor architecture.
        calls: the number of each system call on it.
        process: this process, which may send signals to itself alone.
    """
    refuse = _ERROR | errno.EPERM
    code = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_JUMP_EQUAL, identifier, 1, 0),
        _instruction(_RETURN, refuse),
        _instruction(_LOAD, _NUMBER),
        _instruction(_JUMP_AT_LEAST, _X32, 0, 1),
        _instruction(_RETURN, refuse),
    ]
    for name, error in _FORBIDDEN.items():
        if name in calls:
            code += [_instruction(_JUMP_EQUAL, calls[name], 0, 1), _instruction(_RETURN, _ERROR | error)]
    code += _only(calls["clone"], _JUMP_BITS, (_CLONE_THREAD,))
    for name in ("kill", "tgkill", "prlimit64"):
        code += _only(calls[name], _JUMP_EQUAL, (process, 0))
    code.append(_instruction(_RETURN, _ALLOW))
    return b"".join(code)


def _only(call: int, test: int, values: tuple[int, ...]) -> list[bytes]:
    """Allow a call only if its first argument passes the test with one of the values; others go on to what follows."""
    tests = [_instruction(test, value, len(values) - index, 0) for index, value in enumerate(values)]
    return [
        _instruction(_JUMP_EQUAL, call, 0, len(values) + 3),
        _instruction(_LOAD, _ARGUMENT),
        *tests,
        _instruction(_RETURN, _ERROR | errno.EPERM),
        _instruction(_RETURN, _ALLOW),
    ]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
