import json
from pathlib import Path

import pytest

from gateway.repository.examples.curl import curl_call
from tests.gateway.repository.examples.conftest import Called, run
from tests.gateway.repository.examples.models import ALL, IRIS, LONG, NAMED_AWKWARDLY, check_received


@pytest.mark.parametrize("called", ALL.values(), ids=ALL, indirect=True)
async def test_the_call_sends_what_the_model_wants(called: Called, tmp_path: Path) -> None:
    printed = await run("bash", "-eu", "-c", curl_call(called.entry, called.http), cwd=tmp_path)
    check_received(called.entry, called.received)
    if not printed:
        body = (tmp_path / "answer.bin").read_bytes()
        head, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
        assert len(body) == end + 8
    else:
        head = json.loads(printed)
    assert [output["name"] for output in head["outputs"]] == [output.name for output in called.entry.outputs]


def test_short_values_can_be_read_and_changed() -> None:
    text = curl_call(IRIS, "localhost:8080")
    assert '"data": [[5.1, 3.5, 1.4, 0.2]]' in text
    assert text.startswith("curl -sS http://localhost:8080/v2/models/iris/infer ")


def test_no_long_tensor_is_written_out() -> None:
    assert max(len(line) for line in curl_call(LONG, "localhost:8080").splitlines()) < 250


@pytest.mark.parametrize("called", [NAMED_AWKWARDLY], indirect=True)
async def test_nothing_of_a_name_or_a_value_is_run(called: Called, tmp_path: Path) -> None:
    await run("bash", "-eu", "-c", curl_call(called.entry, called.http), cwd=tmp_path)
    assert await run("ls", "-A", cwd=tmp_path) == ""
