from pathlib import Path

import pytest

from gateway.commands.running import followed_status, repository_status, required_status_of, status_of
from gateway.config import Config, load
from gateway.core.errors import SetupError
from tests.gateway.commands.rig import Rig, Running


def config(rig: Rig, repository: Path | None = None) -> Config:
    return load(None, (f"control.port={rig.port}", f"repository.path={repository or rig.repository}"))


def test_without_a_gateway_there_is_no_status(rig: Rig) -> None:
    assert status_of(config(rig)) is None
    assert repository_status(config(rig)) is None
    with pytest.raises(SetupError, match=f"no gateway answers at 127.0.0.1:{rig.port} "):
        required_status_of(config(rig))


def test_a_running_gateway_tells_of_its_repository(rig: Rig, running: Running) -> None:
    assert required_status_of(config(rig))["addresses"]["http"] == "127.0.0.1:8000"
    told = followed_status(config(rig))
    assert told is not None
    assert told["models"] == {}


def test_the_same_folder_by_another_way_is_the_same(rig: Rig, running: Running, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(rig.repository)
    assert repository_status(config(rig, Path("models"))) is not None
    assert repository_status(config(rig, tmp_path / "link")) is not None


def test_a_gateway_of_another_repository_says_nothing_of_this_one(rig: Rig, running: Running, tmp_path: Path) -> None:
    assert status_of(config(rig, tmp_path)) is not None
    assert repository_status(config(rig, tmp_path)) is None


def test_a_gateway_that_does_not_watch_tells_but_does_not_follow(rig: Rig) -> None:
    with Running(rig, {"watch": False}):
        assert repository_status(config(rig)) is not None
        assert followed_status(config(rig)) is None
