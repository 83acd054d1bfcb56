"""The CI files in `docs/ci` are for copying: what they name must be there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "docs/ci").glob("*.yml"))
WRITTEN = {"report.html", "report.md", "junit.xml", "logs", "repository", "cache"}


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [each for inner in value.values() for each in strings(inner)]
    return [each for inner in value for each in strings(inner)] if isinstance(value, list) else [str(value)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_it_names_is_there(path: Path) -> None:
    text = "\n".join(strings(yaml.safe_load(path.read_text("utf-8"))))
    targets = re.findall(r"\bmake (\w+)", text)
    assert targets == ["engines"]
    assert re.search(r"^engines:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"build/engines/([\w.]+)", text)) <= WRITTEN
    for pattern in re.findall(r"^([\w/]+(?:/\*\*(?:/\*)?|\.yaml))$", text, re.MULTILINE):
        assert (ROOT / pattern.partition("/*")[0]).exists(), pattern


def test_both_services_are_served() -> None:
    assert [path.name for path in FILES] == ["github-actions.yml", "gitlab-ci.yml"]
