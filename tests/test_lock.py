"""The lock file pins everything that the project asks for, exactly, and names no place to get it from."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = [
    Requirement(text)
    for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in texts
]
LINES = [
    line for line in (ROOT / "requirements.lock").read_text().splitlines() if line.strip() and not line.startswith("#")
]
LOCKED = {canonicalize_name(name): pin for name, _, pin in (line.partition("==") for line in LINES)}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_one_exact_version(line: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_what_the_project_asks_for_is_locked_to_a_version_that_will_do(requirement: Requirement) -> None:
    assert LOCKED[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_what_is_installed_is_what_is_locked(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    try:
        installed = version(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    assert installed.partition("+")[0] == LOCKED[name]  # PyTorch's CPU build is 2.13.0+cpu
