import shutil

import pytest

from gateway.repository.description import Tensor
from gateway.repository.examples.javascript import javascript_call
from tests.gateway.repository.examples.conftest import Called, run
from tests.gateway.repository.examples.models import ALL, IRIS, NAMED_AWKWARDLY, check_received, model


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to run it with")
@pytest.mark.parametrize("called", ALL.values(), ids=ALL, indirect=True)
async def test_the_call_sends_what_the_model_wants(called: Called) -> None:
    printed = await run("node", "-", text=javascript_call(called.entry, called.http))
    check_received(called.entry, called.received)
    for output in called.entry.outputs:
        assert f"name: '{output.name}'" in printed
    assert printed.count("data: [ 1.5, -2 ]") == len(called.entry.outputs)


def test_short_values_can_be_read_and_changed() -> None:
    text = javascript_call(IRIS, "localhost:8080")
    assert '{ name: "x", shape: [1, 4], datatype: "FP32", data: [[5.1, 3.5, 1.4, 0.2]] },' in text


def test_it_can_stand_in_a_page() -> None:
    assert "</script" not in javascript_call(NAMED_AWKWARDLY, "localhost:8080")


def test_whole_numbers_are_those_that_javascript_has() -> None:
    sample = {"name": "id", "datatype": "UINT64", "shape": [2], "data": [2**64 - 1, 5]}
    entry = model(Tensor("id", "UINT64", (-1,)), sample=(sample,))
    assert "data: [9007199254740991, 5]" in javascript_call(entry, "localhost:8080")
