import io
from typing import Any

import pytest
from rich.console import Console

from gateway.control.report import is_well, render

UPSTREAMS = [
    {"name": "", "http": "10.0.0.1:8000", "grpc": "10.0.0.1:8001"},
    {"name": "big", "http": "10.0.0.2:8000", "grpc": "10.0.0.2:8001"},
]


def seen(name: str, *, healthy: bool = True, ejected: float = 0.0) -> dict[str, Any]:
    return {
        "name": name, "healthy": healthy, "ejected_seconds": ejected, "in_flight": 3, "failures": 0, "models": 7
    }  # fmt: skip


def embedded(**triton: Any) -> dict[str, Any]:
    models = {
        "magika": {"state": "ready", "reason": "", "seconds": 0.4},
        "broken": {"state": "failed", "reason": "corrupt [weights]", "seconds": None},
    }
    return {
        "version": "1.2.3",
        "addresses": {"http": "0.0.0.0:8080", "grpc": "0.0.0.0:8081", "control": "127.0.0.1:8082"},
        "processes": {"launcher": 1, "control": 33},
        "workers": [{"name": "data-0", "pid": 22, "upstreams": [seen("embedded")]}, {"name": "data-1", "pid": 23}],
        "config": {"file": "gateway.yaml", "error": None, "waiting": []},
        "upstreams": [{"name": "embedded", "http": "127.0.0.1:8000", "grpc": "127.0.0.1:8001"}],
        "triton": {
            "state": "ready", "pid": 44, "restarts": 1, "heals": 2, "log_file": "/log/triton.log", "models": models
        } | triton,
    }  # fmt: skip


def external(*workers: list[dict[str, Any]]) -> dict[str, Any]:
    told = [{"name": f"data-{slot}", "pid": 22 + slot, "upstreams": each} for slot, each in enumerate(workers)]
    return embedded() | {"triton": None, "upstreams": UPSTREAMS, "workers": told}


def shown(status: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(render(status))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(text: str, name: str) -> list[str]:
    """The cells of the table's row that begins with `name`."""
    [line] = [line for line in text.splitlines() if line.startswith(f"│ {name} ")]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_all_that_an_operator_asks_first_is_there() -> None:
    text = shown(embedded())
    assert "triton-gateway 1.2.3" in text
    assert row(text, "data-0") == ["data-0", "ready", "22", "0.0.0.0:8080, 0.0.0.0:8081"]
    assert row(text, "data-1") == ["data-1", "ready", "23", "0.0.0.0:8080, 0.0.0.0:8081"]
    assert row(text, "control") == ["control", "ready", "33", "127.0.0.1:8082"]
    assert row(text, "Triton") == ["Triton", "ready (1 restarts, 2 heals)", "44", "127.0.0.1:8000, 127.0.0.1:8001"]
    assert row(text, "broken") == ["broken", "failed", "", "corrupt [weights]"]
    assert row(text, "magika") == ["magika", "ready", "0.4 s", ""]
    assert "/log/triton.log" in text


def test_external_tritons_are_shown_as_the_workers_see_them() -> None:
    text = shown(external([seen("10.0.0.1:8000"), seen("big")], [seen("10.0.0.1:8000"), seen("big", healthy=False)]))
    assert row(text, "10.0.0.1:8000")[1:] == ["ready", "7", "6", "10.0.0.1:8000, 10.0.0.1:8001"]
    assert row(text, "big")[1] == "down for some workers"


@pytest.mark.parametrize(
    ("workers", "state"),
    [
        ([[seen("big", healthy=False)]], "down"),
        ([[seen("big", ejected=2.5)]], "left out after failures"),
        ([[]], "unknown"),
    ],
)
def test_an_external_triton_that_is_not_well_is_told_apart(workers: list[list[dict[str, Any]]], state: str) -> None:
    assert row(shown(external(*workers)), "big")[1] == state


def test_a_worker_that_is_being_replaced_is_down() -> None:
    status = embedded()
    status["workers"][1]["pid"] = None
    assert row(shown(status), "data-1")[1:3] == ["down", ""]


def test_what_became_of_the_last_change_of_the_configuration_is_shown() -> None:
    config = {"file": "g.yaml", "error": "g.yaml:1: unknown key 'x'", "waiting": ["workers", "http.port"]}
    text = shown(embedded() | {"config": config})
    assert "The changed configuration was refused: g.yaml:1: unknown key 'x'" in text
    assert "Only at the next start: workers, http.port" in text


def test_well_is_when_everything_is_ready() -> None:
    ready = {"state": "ready", "reason": "", "seconds": 0.4}
    assert not is_well(embedded())
    assert is_well(embedded(models={"magika": ready}))
    assert is_well(embedded(models={"magika": ready | {"state": "unloaded"}}))
    assert not is_well(embedded(models={}, state="restarting"))


def test_well_is_when_every_worker_reaches_every_triton() -> None:
    assert is_well(external([seen("big")], [seen("big")]))
    assert not is_well(external([seen("big")], [seen("big", healthy=False)]))
    gone = external([seen("big")])
    gone["workers"][0]["pid"] = None
    assert not is_well(gone)
    assert not is_well(external())


def test_the_tap_process_is_shown_while_there_is_one() -> None:
    assert "tap" not in shown(embedded() | {"tap": None})
    assert row(shown(embedded() | {"tap": {"pid": 55}}), "tap")[1:3] == ["ready", "55"]
    assert row(shown(embedded() | {"tap": {"pid": None}}), "tap")[1] == "down"
    assert not is_well(external([seen("10.0.0.1:8000"), seen("big")]) | {"tap": {"pid": None}})
    assert is_well(external([seen("10.0.0.1:8000"), seen("big")]) | {"tap": {"pid": 55}})
