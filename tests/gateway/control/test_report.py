import io
from typing import Any

from rich.console import Console

from gateway.control.report import is_well, render


def status(**triton: Any) -> dict[str, Any]:
    models = {
        "magika": {"state": "ready", "reason": "", "seconds": 0.4},
        "broken": {"state": "failed", "reason": "corrupt [weights]", "seconds": None},
    }
    return {
        "version": "1.2.3",
        "addresses": {"http": "0.0.0.0:8080", "grpc": "0.0.0.0:8081", "control": "127.0.0.1:8082"},
        "processes": {"launcher": 1, "data": 22, "control": 33},
        "upstream": {"http": "127.0.0.1:8000", "grpc": "127.0.0.1:8001"},
        "triton": {
            "state": "ready", "pid": 44, "restarts": 1, "heals": 2, "log_file": "/log/triton.log", "models": models
        } | triton,
    }  # fmt: skip


def shown(status: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(render(status))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_all_that_an_operator_asks_first_is_there() -> None:
    text = shown(status())
    for part in ("triton-gateway 1.2.3", "0.0.0.0:8080, 0.0.0.0:8081", "127.0.0.1:8082", "22", "33", "44"):
        assert part in text
    assert "ready (1 restarts, 2 heals)" in text
    assert "/log/triton.log" in text
    assert "corrupt [weights]" in text
    assert "0.4 s" in text


def test_an_external_triton_is_named_and_no_more() -> None:
    text = shown(status() | {"triton": None})
    assert "external" in text
    assert "127.0.0.1:8000, 127.0.0.1:8001" in text


def test_well_is_when_everything_is_ready() -> None:
    assert not is_well(status())
    assert is_well(status(models={"magika": {"state": "ready", "reason": "", "seconds": 0.4}}))
    assert not is_well(status(models={}, state="restarting"))
    assert is_well(status() | {"triton": None})
