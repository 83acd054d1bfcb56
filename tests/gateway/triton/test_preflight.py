from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.errors import SetupError
from gateway.triton.fetch import TritonInstall
from gateway.triton.preflight import Facts, check, check_libraries, find_libpython, gather, missing_libraries, problem

GOOD = Facts(
    system="Linux",
    machine="x86_64",
    glibc=(2, 36),
    python="3.11",
    implementation="CPython",
    executable="/venv/bin/python",
    python3="/venv/bin/python3",
    same_python=True,
    numpy="1.26.4",
    libpython=Path("/usr/lib/libpython3.11.so.1.0"),
    bash=True,
)


def test_an_ordinary_machine_has_no_problem() -> None:
    assert problem(GOOD) is None
    assert problem(replace(GOOD, python="3.12", glibc=(2, 34))) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"system": "Darwin"}, "this is Darwin"),
        ({"machine": "aarch64"}, "on aarch64"),
        ({"glibc": (2, 31)}, "needs glibc 2.34 or newer, and this system has 2.31"),
        ({"glibc": ()}, "has another C library"),
        ({"python": "3.13"}, "needs CPython 3.11 or 3.12"),
        ({"implementation": "PyPy"}, "this is PyPy 3.11"),
        ({"numpy": None}, "run `/venv/bin/python -m pip install numpy==1.26.4`"),
        ({"numpy": "2.1.0"}, "silently return empty outputs: run `/venv/bin/python -m pip install numpy==1.26.4`"),
        ({"libpython": None}, "apt install libpython3.11"),
        ({"bash": False}, "install bash"),
        ({"same_python": False, "python3": None}, "is missing, another interpreter"),
    ],
)
def test_each_problem_says_what_to_do(change: dict[str, object], says: str) -> None:
    message = problem(replace(GOOD, **change))  # type: ignore[arg-type]
    assert message is not None
    assert says in message
    assert "\n" not in message


def test_the_facts_of_this_machine_are_gathered() -> None:
    facts = gather({"PATH": "/usr/bin:/bin"})
    assert facts.system == "Linux"
    assert facts.python in facts.executable or facts.same_python


def test_the_first_library_that_exists_is_taken(tmp_path: Path) -> None:
    (tmp_path / "b.so").touch()
    assert find_libpython([tmp_path / "a.so", tmp_path / "b.so"]) == tmp_path / "b.so"
    assert find_libpython([tmp_path / "a.so"]) is None


def test_missing_and_old_libraries_are_read_from_the_loader_s_listing() -> None:
    listing = """\
\tlinux-vdso.so.1 (0x00007fbb19ab6000)
\tlibnuma.so.1 => not found
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007fbb17d2c000)
\tlibnuma.so.1 => not found
/x/stub: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /x/stub)
"""
    assert missing_libraries(listing) == ["libnuma.so.1", "GLIBC_2.38"]


def test_a_program_with_all_its_libraries_passes() -> None:
    check_libraries([Path("/bin/sh")], {})


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stub").write_text("nothing to run")
    with pytest.raises(SetupError, match="stub"):
        check_libraries([tmp_path / "stub"], {})


def test_an_incomplete_installation_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=f"remove {tmp_path} so that Triton is fetched again"):
        check({"PATH": "/usr/bin:/bin"}, TritonInstall(tmp_path, "2.51.0"))
