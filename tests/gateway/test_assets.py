import tomllib
from pathlib import Path

import pytest

from gateway import assets
from gateway.assets import asset


def test_a_checkout_has_them_at_its_root() -> None:
    assert asset("backends") == Path(__file__).parents[2] / "backends"
    assert asset("examples").is_dir()


def test_an_installed_gateway_has_them_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_assets" / "backends").mkdir(parents=True)
    monkeypatch.setattr(assets, "_PACKAGE", tmp_path)
    assert asset("backends") == tmp_path / "_assets" / "backends"


def test_the_installed_examples_are_all_the_examples() -> None:
    """The list in pyproject.toml names files, so that fetched data beside them stays out of the wheel."""
    root = Path(__file__).parents[2]
    included = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    named = {Path(path).name for path in included["force-include"] if path.startswith("examples/")}
    assert named == {path.name for path in (root / "examples").iterdir() if path.is_file() and path.name[0] != "."}
