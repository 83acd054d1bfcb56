"""Every source file has its test file at the same path, and every test file its source file."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [
    path.relative_to(ROOT)
    for room in ("gateway", "backends", "converters", "typed_yaml", "atomic", "examples")
    for path in sorted((ROOT / room).rglob("*.py"))
    if path.name != "__init__.py"
]
TESTS = [
    path.relative_to(ROOT / "tests")
    for room in ("gateway", "backends", "converters", "typed_yaml", "atomic", "examples")
    for path in sorted((ROOT / "tests" / room).rglob("test_*.py"))
]


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_every_source_file_has_its_test_file(source: Path) -> None:
    assert (ROOT / "tests" / source.parent / f"test_{source.name}").is_file()


@pytest.mark.parametrize("test", TESTS, ids=str)
def test_every_test_file_has_its_source_file(test: Path) -> None:
    assert (ROOT / test.parent / test.name.removeprefix("test_")).is_file()


def test_modules_own_one_thing() -> None:
    long = {str(s): n for s in SOURCES if (n := len((ROOT / s).read_text(encoding="utf-8").splitlines())) > 320}
    assert long == {}
