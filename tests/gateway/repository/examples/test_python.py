import asyncio
import sys
from typing import Any

import pytest

from gateway.repository.examples.python import python_call
from tests.gateway.repository.examples.conftest import Called, run
from tests.gateway.repository.examples.models import ALL, IRIS, LONG, check_received


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("called", ALL.values(), ids=ALL, indirect=True)
async def test_the_call_sends_what_the_model_wants(
    called: Called, protocol: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code = compile(python_call(called.entry, getattr(called, protocol), protocol), "call.py", "exec")
    await asyncio.to_thread(exec, code, {})
    check_received(called.entry, called.received)
    printed = "".join(capsys.readouterr().out.split())
    for output in called.entry.outputs:
        assert f"{output.name}:[[1.5-2" in printed


@pytest.mark.parametrize("called", [IRIS], indirect=True)
async def test_it_is_a_script_of_its_own(called: Called) -> None:
    assert "out" in await run(sys.executable, "-", text=python_call(IRIS, called.http, "http"))


def test_short_values_can_be_read_and_changed() -> None:
    assert "np.array([[5.1, 3.5, 1.4, 0.2]], dtype=np.float32)" in python_call(IRIS, "localhost:8080", "http")


def test_no_long_tensor_is_written_out() -> None:
    text = python_call(LONG, "localhost:8080", "http")
    assert max(len(line) for line in text.splitlines()) < 120
    assert "rng.uniform(0, 1, (1, 10, 12)).astype(np.float32)" in text
