"""A process that has confined itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.repository import landlock
from gateway.repository.confine import environment
from tests.gateway.repository.alone import run_alone


def confined(action: str, tmp_path: Path, *, seconds: int = 60) -> str:
    """What comes of an action in a confined process; `scratch` is its folder."""
    return run_alone(
        f"""
        import mmap, resource
        from gateway.repository.confine import Limits, confine
        scratch = Path(sys.argv[1])
        told = confine(Limits(512, {seconds}, 1), [], scratch)
        try:
            print(attempt(lambda: {action}))
        except MemoryError:
            print("no memory")
        """,
        str(tmp_path),
    )


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        ("bytearray(2**30)", "no memory"),
        ("mmap.mmap(-1, 2**30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)", "Cannot allocate memory"),
        ("__import__('numpy').ones(2**27)", "no memory"),
        ("__import__('numpy').ones(2**20)", "allowed"),
        ("(scratch / 'file').write_bytes(bytes(2**21))", "File too large"),
        ("(scratch / 'file').write_bytes(bytes(2**19))", "allowed"),
        ("os.fork()", "Operation not permitted"),
        ("__import__('socket').socket()", "Network is unreachable"),
        ("__import__('json.tool')", "allowed"),
        ("__import__('multiprocessing').cpu_count()", "allowed"),
        ("Path('/proc/self/status').read_text()", "allowed"),
        ("open('/dev/null', 'w').write('text')", "allowed"),
    ],
)
def test_it_gets_what_it_may_have_and_no_more(action: str, outcome: str, tmp_path: Path) -> None:
    assert confined(action, tmp_path) == outcome


@pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")
@pytest.mark.parametrize(
    "action",
    [
        "(Path.home() / '.ssh' / 'id_ed25519').read_bytes()",
        "(scratch.parent / 'other').write_text('text')",
        "Path('/etc/shadow').read_bytes()",
        "Path('/dev/shm/region').write_bytes(b'text')",
        "list(Path('.').iterdir())",
    ],
)
def test_other_files_are_out_of_reach(action: str, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    assert confined(action, tmp_path / "scratch") in ("Permission denied", "No such file or directory")


def test_it_leaves_no_core_file_and_has_its_processor_time_limited(tmp_path: Path) -> None:
    limits = confined(
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_CPU)[0])", tmp_path
    )
    assert limits.split() == ["0", "120", "allowed"]


def test_the_signal_at_the_limit_of_processor_time_tells_what_it_was(tmp_path: Path) -> None:
    code = """
        import signal
        from gateway.repository.confine import Limits, confine
        confine(Limits(512, 0.4, 1), [], Path(sys.argv[1]))
        signal.signal(signal.SIGXCPU, lambda *_: (print("SIGXCPU", flush=True), os._exit(0)))
        while True:
            pass
    """
    assert run_alone(code, str(tmp_path)) == "SIGXCPU"


def test_a_kernel_that_offers_nothing_is_told_of(tmp_path: Path) -> None:
    told = run_alone(
        """
        from gateway.repository import confine, landlock, seccomp
        landlock.restrict = lambda *_: 0
        seccomp.restrict = lambda: False
        print(*confine.confine(confine.Limits(512, 60, 1), [], Path(sys.argv[1])), sep="\\n")
        """,
        str(tmp_path),
    )
    assert "other files" in told
    assert "network is not blocked on this kernel" in told


def test_a_process_with_threads_is_not_confined_by_half(tmp_path: Path) -> None:
    said = run_alone(
        """
        import threading
        from gateway.repository.confine import Limits, confine
        done = threading.Event()
        threading.Thread(target=done.wait).start()
        try:
            confine(Limits(512, 60, 1), [], Path(sys.argv[1]))
        except RuntimeError as error:
            print(error)
        done.set()
        """,
        str(tmp_path),
    )
    assert "has threads" in said


def test_no_secret_is_passed_on(tmp_path: Path) -> None:
    given = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "secret", "HOME": "/home/somebody", "LANG": "C.UTF-8"}
    passed = environment(given, tmp_path, Path("/code"))
    assert "secret" not in passed.values()
    assert passed["HOME"] == str(tmp_path / "home")
    assert passed["TMPDIR"] == str(tmp_path / "tmp")
    assert passed["PATH"] == "/bin"
    assert passed["PYTHONPATH"] == "/code"
    assert environment({"PYTHONPATH": "/own"}, tmp_path, Path("/code"))["PYTHONPATH"] == "/code:/own"
    assert int(passed["OMP_NUM_THREADS"]) <= 2
