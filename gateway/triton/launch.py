"""What Triton is started with: its arguments, its environment, and its limit on thread stacks. Decisions only."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.config import TritonSection
from gateway.triton.fetch import TritonInstall
from gateway.triton.ports import Ports, numeric
from gateway.triton.runtime import RuntimeFolder

# tritonserver 2.51 parses JSON by recursion and lists a request's buffers on the stack, 16 bytes each, in its HTTP
# threads: a 20 MB body in chunks of 10 bytes or an array 200,000 deep ends the whole server with a segmentation fault.
# glibc gives a new thread the soft limit as its stack. 1 GiB is what 64 MiB in chunks of one byte need by calculation.
# It is address space, not memory: measured RSS is the same as with 8 MiB.
_STACK_BYTES = 2**30
# Each backend process has a region of shared memory for tensors, which grows by itself; Triton's own default.
_SHARED_MEMORY_BYTES = 2**20


def arguments(
    section: TritonSection, ports: Ports, install: TritonInstall, runtime: RuntimeFolder, *, auto_complete: bool
) -> list[str]:
    """The command line of tritonserver.

    Completing starts a backend process for a moment before every load, whether or not there is anything to complete:
    1.1 s for each, measured. So it is left out where no model needs it.
    """
    host = numeric(section.host)
    # The HTTP services take an IPv6 address with this prefix (and without it, listen somewhere else), gRPC in brackets.
    http_host, grpc_host = (f"ipv6:{host}", f"[{host}]") if ":" in host else (host, host)
    python = {
        "shm-region-prefix-name": runtime.shared_memory_prefix,
        "shm-default-byte-size": _SHARED_MEMORY_BYTES,
        "shm-growth-byte-size": _SHARED_MEMORY_BYTES,
        "stub-timeout-seconds": math.ceil(section.load_timeout_seconds),
    }
    return [
        str(install.server),
        f"--model-repository={runtime.models}",
        f"--backend-directory={runtime.backends}",
        f"--cache-directory={install.caches}",
        "--model-control-mode=explicit",
        "--exit-on-error=false",  # a broken model must not end the others
        "--strict-readiness=false",
        f"--exit-timeout-secs={math.ceil(section.stop_timeout_seconds)}",
        f"--http-address={http_host}",
        f"--http-port={ports.http}",
        f"--grpc-address={grpc_host}",
        f"--grpc-port={ports.grpc}",
        f"--metrics-address={http_host}",
        f"--metrics-port={ports.metrics}",
        # Otherwise environment variables of other products would open further ports.
        "--allow-sagemaker=false",
        "--allow-vertex-ai=false",
        *(() if auto_complete else ("--disable-auto-complete-config",)),
        *(f"--backend-config=python,{key}={value}" for key, value in python.items()),
    ]


def environment(env: Mapping[str, str], install: TritonInstall, runtime: RuntimeFolder) -> dict[str, str]:
    """The environment of tritonserver and so of every backend process.

    The first `python3` on `PATH` decides which packages the backends find, so it is this interpreter's. The user's own
    settings stay, such as numbers of threads, except those that would change how a backend process starts.
    """
    kept = {key: value for key, value in env.items() if key not in _DROPPED}
    bin_folder = str(Path(sys.executable).parent)
    libraries = [str(runtime.lib), str(install.libraries), env.get("LD_LIBRARY_PATH", "")]
    return {
        **kept,
        "PATH": ":".join(part for part in (bin_folder, env.get("PATH", "/usr/bin:/bin")) if part),
        "LD_LIBRARY_PATH": ":".join(part for part in libraries if part),
    }


_DROPPED = frozenset(
    {
        "BASH_ENV",  # each backend process is started through bash, which would run that file first
        "ENV",
        "PYTHONHOME",  # names another interpreter's standard library
        "PYTHONPATH",
        "PYTHONSTARTUP",
    }
)


def stack_limit(hard: int, address_space_is_counted: bool) -> int | None:
    """The soft limit on stacks to start Triton with, in bytes; None leaves it as it is.

    Args:
        hard: the hard limit in bytes, or -1 for none.
        address_space_is_counted: the process may not have more address space than memory, or than a limit; a hundred
            threads would no longer fit.
    """
    if address_space_is_counted:
        return None
    return _STACK_BYTES if hard < 0 else min(_STACK_BYTES, hard)
