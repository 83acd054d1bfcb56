from pathlib import Path

import click
import pytest

from gateway.commands import steering
from gateway.commands.steering import Asked, ask, below, change, complete_route, say
from gateway.config import load
from gateway.core.errors import SetupError
from tests.gateway.commands.rig import free_port
from tests.gateway.commands.steered import Steered, write_config
from tests.gateway.control.traffic.rig import Rig


def test_names_are_quoted_in_paths() -> None:
    assert below("routes", "a/../b", "/weights") == "/v1/routes/a%2F..%2Fb/weights"


def test_without_a_gateway_it_is_said_what_to_do() -> None:
    port = free_port()
    with pytest.raises(SetupError, match=f"no gateway answers at 127.0.0.1:{port} .*triton-gateway up"):
        ask(load(None, (f"control.port={port}",)), "/v1/routes")


def test_workers_that_do_not_follow_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steering, "_FOLLOW_SECONDS", 0.0)
    rig = Rig(tmp_path)
    rig.worker("a")
    with Steered(rig, follows=False) as steered:
        asked = Asked(load(None, (f"control.port={steered.port}",)), False, "slow")
        told = change(asked, "POST", "/v1/routes/iris/switch", {"target": "iris-new"})
        say(asked, "switched", told | {"unsaved": "disk full"})
    said = capsys.readouterr().out
    assert said.startswith("! switched; 0 of 1 data workers go by it yet\n")
    assert "It is lost at a restart" in said


def test_routes_are_completed_from_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    context = click.Context(click.Command("show"))
    context.params = {"path": None, "overrides": ()}
    write_config(tmp_path, Rig(tmp_path).section)
    assert complete_route(context, click.Argument(["name"]), "") == ["iris", "fraud"]
    assert complete_route(context, click.Argument(["name"]), "f") == ["fraud"]
    (tmp_path / "configs" / "gateway.yaml").write_text("nonsense: 1")
    assert complete_route(context, click.Argument(["name"]), "") == []
