from pathlib import Path

import pytest

from gateway.repository.versions import latest


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name in ("1", "10", "9", "0", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "11").touch()
    return tmp_path


def test_the_highest_version_is_served(model: Path) -> None:
    assert latest(model) == 10


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("version_policy { latest { num_versions: 1 } }", 10),
        ("version_policy: { all { } }", 10),
        ("version_policy: { specific: { versions: [9] } }", None),
    ],
)
def test_a_policy_that_names_versions_may_choose_another(model: Path, policy: str, expected: int | None) -> None:
    (model / "config.pbtxt").write_text(policy)
    assert latest(model) == expected


def test_a_folder_without_versions_or_that_is_gone_says_nothing(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    assert latest(tmp_path / "gone") is None
