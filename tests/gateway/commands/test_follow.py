import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gateway.commands import follow
from gateway.commands.follow import Follower, Outcome, unfollowed
from gateway.config import Config, load
from gateway.core.errors import ModelRefused, SetupError
from gateway.repository import drops
from gateway.repository.holdings import fingerprint_of
from gateway.repository.store import Store
from tests.gateway.repository.store_models import make_prepared

Told = Mapping[str, Any]


class Gateway:
    """Tells one thing after the other, the last one for ever."""

    def __init__(self) -> None:
        self.statuses: list[Told | Callable[[], Told | None] | None] = []

    def __call__(self, _: Config) -> Told | None:
        each = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        told = each() if callable(each) else each
        return told if told is None else {"models": {"m": told} if told else {}}


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    gateway = Gateway()
    monkeypatch.setattr(follow, "followed_status", gateway)
    monkeypatch.setattr(follow, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(follow, "_GONE_SECONDS", 0.02)
    return gateway


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def follower(repository: Path, said: io.StringIO) -> Follower:
    return Follower(load(None, (f"repository.path={repository}",)), Console(file=said, width=200), "m")


def publish(repository: Path) -> str:
    prepared = make_prepared(repository.parent / "prepared", "m", "first")
    Store(repository).publish("m", prepared, source="m.onnx")
    return fingerprint_of(repository / "m")


def site(state: str, *versions: int, reason: str = "", tries: int = 0) -> dict[str, Any]:
    return {"state": state, "versions": list(versions), "reason": reason, "tries": tries}


def model(fingerprint: str, *sites: dict[str, Any], **more: Any) -> dict[str, Any]:
    found = {str(number): each for number, each in enumerate(sites)}
    return {"state": "ready", "reason": "", "fingerprint": fingerprint, "sites": found} | more


def dropped(repository: Path) -> Path:
    folder = repository / drops.INBOX / "m"
    folder.mkdir(parents=True)
    (folder / "m.onnx").write_bytes(b"x")
    return folder


class TestUntilPublished:
    def test_the_version_is_told_when_the_drop_is_gone(
        self, gateway: Gateway, follower: Follower, repository: Path
    ) -> None:
        drop = dropped(repository)

        def take() -> Told:
            publish(repository)
            (drop / "m.onnx").unlink()
            drop.rmdir()
            return {}

        gateway.statuses = [{}, {"state": "preparing", "drop": "m.onnx", "step": "loading"}, take, {}]
        assert follower.until_published(drop) == 1

    def test_a_refusal_is_passed_on(self, gateway: Gateway, follower: Follower, repository: Path) -> None:
        drop = dropped(repository)
        mark = drops.mark(drops.signature([drop]))
        gateway.statuses = [{"state": "refused", "drop": "m.onnx", "mark": mark, "reason": "a pickle"}]
        with pytest.raises(ModelRefused, match="a pickle"):
            follower.until_published(drop)

    def test_the_refusal_of_an_earlier_drop_is_not(
        self, gateway: Gateway, follower: Follower, repository: Path
    ) -> None:
        drop = dropped(repository)
        old = {"state": "refused", "drop": "m.onnx", "mark": "another", "reason": "old"}
        new = {**old, "mark": drops.mark(drops.signature([drop])), "reason": "new"}
        gateway.statuses = [old, new]
        with pytest.raises(ModelRefused, match="new"):
            follower.until_published(drop)

    def test_a_drop_that_somebody_takes_away_ends_it(
        self, gateway: Gateway, follower: Follower, repository: Path
    ) -> None:
        gateway.statuses = [{}]
        with pytest.raises(ModelRefused, match="somebody took"):
            follower.until_published(repository / drops.INBOX / "m")


class TestUntilServed:
    def test_every_triton_must_serve_it(self, gateway: Gateway, follower: Follower, repository: Path) -> None:
        now = publish(repository)
        gateway.statuses = [
            {},
            model("before", site("ready", 1)),
            model(now, site("ready", 2), site("loading", 1)),
            model(now, site("ready", 2), site("ready", 1, 2)),
        ]
        assert follower.until_served(2) == Outcome("m", 2, "served")
        assert len(gateway.statuses) == 1

    def test_a_failure_is_told_with_its_triton(self, gateway: Gateway, follower: Follower, repository: Path) -> None:
        gateway.statuses = [model(publish(repository), site("ready", 1), site("failed", reason="no memory", tries=1))]
        assert follower.until_served(1) == Outcome("m", 1, "failed", "1: no memory")

    def test_a_failure_of_before_is_not(self, gateway: Gateway, follower: Follower, repository: Path) -> None:
        now = publish(repository)
        gateway.statuses = [
            model("before", site("failed", reason="old", tries=3)),
            model(now, site("failed", reason="old")),
            model(now, site("waiting", reason="Triton does not answer")),
            model(now, site("ready", 1)),
        ]
        assert follower.until_served(1).state == "served"

    def test_a_model_that_may_not_be_served_is_told(
        self, gateway: Gateway, follower: Follower, repository: Path
    ) -> None:
        gateway.statuses = [model("", state="refused", reason="no Triton holds it")]
        assert follower.until_served(1) == Outcome("m", 1, "failed", "no Triton holds it")


def test_a_model_is_gone_when_no_triton_has_it(gateway: Gateway, follower: Follower) -> None:
    gateway.statuses = [model("now", site("ready", 1)), model("", state="refused", drop="m.onnx")]
    follower.until_gone()


def test_a_gateway_that_goes_away_for_good_ends_it(gateway: Gateway, follower: Follower) -> None:
    gateway.statuses = [model("now", site("ready", 1)), None]
    with pytest.raises(SetupError, match="start it again, and it goes on where it stopped"):
        follower.until_gone()


def test_stopping_says_that_the_gateway_goes_on(gateway: Gateway, follower: Follower, said: io.StringIO) -> None:
    def stop() -> Told:
        raise KeyboardInterrupt

    gateway.statuses = [stop]
    with pytest.raises(KeyboardInterrupt):
        follower.until_gone()
    assert "the gateway goes on with m; `triton-gateway models show m`" in said.getvalue()


def test_without_a_gateway_the_outcome_says_so() -> None:
    assert unfollowed("m", 2) == Outcome("m", 2, "published", "no gateway follows this repository now")
