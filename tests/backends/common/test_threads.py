from pathlib import Path

import pytest

from backends.common.threads import share_of_cores, usable_cores


@pytest.mark.parametrize(
    ("text", "cores"), [("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8)]
)
def test_a_containers_quota_counts_as_cores(tmp_path: Path, text: str, cores: int) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(text)
    assert usable_cores(8, quota) == cores


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cores(8, tmp_path / "missing") == 8
    assert usable_cores() >= 1


@pytest.mark.parametrize(("instances", "share"), [(1, 8), (2, 4), (3, 2), (20, 1), (0, 8)])
def test_the_instances_of_a_model_share_the_cores(instances: int, share: int) -> None:
    assert share_of_cores(instances, 8) == share
