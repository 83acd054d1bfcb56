"""Landlock of the kernel that the tests run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.repository import landlock
from tests.gateway.repository.alone import run_alone

needs_landlock = pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")


def restricted(action: str, tmp_path: Path) -> str:
    """What comes of an action on `readable` and `writable`, two folders below the test's own."""
    for name in ("readable", "writable"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("text", encoding="utf-8")
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    return run_alone(
        f"""
        from gateway.repository.landlock import restrict
        import shutil, socket, json
        base = Path(sys.argv[1])
        readable, writable = base / "readable", base / "writable"
        restrict([readable], [writable])
        print(attempt(lambda: {action}))
        """,
        str(tmp_path),
    )


@needs_landlock
@pytest.mark.parametrize(
    "action",
    [
        "(readable / 'file').read_text()",
        "list(readable.iterdir())",
        "(writable / 'file').write_text('new')",
        "(writable / 'folder').mkdir()",
        "(writable / 'file').rename(writable / 'other')",
    ],
)
def test_what_was_named_stays_allowed(action: str, tmp_path: Path) -> None:
    assert restricted(action, tmp_path) == "allowed"


@needs_landlock
@pytest.mark.parametrize(
    "action",
    [
        "(base / 'secret').read_text()",
        "list(base.iterdir())",
        "(readable / 'file').write_text('new')",
        "(readable / 'file').unlink()",
        "(base / 'new').mkdir()",
        "((writable / 'link').symlink_to(base / 'secret'), (writable / 'link').read_text())",
        "Path(f'/proc/{os.getppid()}/environ').read_bytes()",
    ],
)
def test_everything_else_is_refused(action: str, tmp_path: Path) -> None:
    assert restricted(action, tmp_path) == "Permission denied"


@needs_landlock
def test_a_path_that_is_not_there_is_passed_over(tmp_path: Path) -> None:
    said = run_alone(
        """
        from gateway.repository.landlock import restrict
        print(restrict([Path(sys.argv[1]) / "missing"], []) > 0)
        """,
        str(tmp_path),
    )
    assert said == "True"


def test_a_kernel_without_it_confines_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert landlock.restrict([], []) == 0
    assert Path(__file__).read_text(encoding="utf-8")
