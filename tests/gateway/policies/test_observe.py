from typing import Literal

import pytest

from gateway.core.call import Call, Protocol, Reply
from gateway.core.errors import UpstreamUnavailable
from gateway.policies.observe import Observe
from tests.gateway.conftest import MakeCall


async def lines(
    which: Literal["off", "failures", "all"], call: Call, reply: Reply, caplog: pytest.LogCaptureFixture
) -> list[str]:
    async def upstream(_: Call) -> Reply:
        return reply

    with caplog.at_level("INFO", "gateway.access"):
        assert await Observe(which)(call, upstream) is reply
    return caplog.messages


async def test_all_means_all(make_call: MakeCall, caplog: pytest.LogCaptureFixture) -> None:
    [line] = await lines("all", make_call(body=b"12345"), Reply(200), caplog)
    assert line.startswith("http infer model='echo' version='' status=200 ms=")
    assert line.endswith("bytes=5 request_id=a-request")


async def test_failures_means_failures(make_call: MakeCall, caplog: pytest.LogCaptureFixture) -> None:
    assert await lines("failures", make_call(), Reply(200), caplog) == []
    [line] = await lines("failures", make_call(protocol=Protocol.GRPC), Reply(5, message="not found"), caplog)
    assert "status=5" in line
    assert "error='not found'" in line


async def test_off_means_off(make_call: MakeCall, caplog: pytest.LogCaptureFixture) -> None:
    assert await lines("off", make_call(), Reply(500), caplog) == []


async def test_an_error_is_seen_and_goes_on(make_call: MakeCall, caplog: pytest.LogCaptureFixture) -> None:
    async def down(_: Call) -> Reply:
        raise UpstreamUnavailable("Triton cannot be reached")

    with caplog.at_level("INFO", "gateway.access"), pytest.raises(UpstreamUnavailable):
        await Observe("failures")(make_call(), down)
    [line] = caplog.messages
    assert "status=UpstreamUnavailable" in line


async def test_a_line_says_which_target_it_was(make_call: MakeCall, caplog: pytest.LogCaptureFixture) -> None:
    [line] = await lines("all", make_call(), Reply(200, variant="next"), caplog)
    assert "version='' target=next status=200" in line


async def test_a_model_name_cannot_write_its_own_line(make_call: MakeCall, caplog: pytest.LogCaptureFixture) -> None:
    [line] = await lines("all", make_call(model="a\nfaked line"), Reply(404), caplog)
    assert "\n" not in line


async def test_triton_s_words_are_shown_whatever_the_protocol(
    make_call: MakeCall, caplog: pytest.LogCaptureFixture
) -> None:
    [line] = await lines("failures", make_call(), Reply(404, body=b'{"error":"no such model"}'), caplog)
    assert line.endswith("""error='{"error":"no such model"}'""")


async def test_many_failures_alike_are_counted_instead_of_written(
    make_call: MakeCall, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [100.0]
    observe = Observe("failures", now=lambda: clock[0])

    async def down(_: Call) -> Reply:
        return Reply(503)

    with caplog.at_level("INFO", "gateway.access"):
        for _ in range(500):
            await observe(make_call(model="a"), down)
        await observe(make_call(model="b"), down)
        clock[0] += 1
        await observe(make_call(model="a"), down)

    assert len(caplog.messages) == 10 + 1 + 1 + 1
    assert caplog.messages[11] == "http infer model='a' version='' status=503: 490 more like it within a second"
