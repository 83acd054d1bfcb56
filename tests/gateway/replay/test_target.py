from typing import Any

import grpc
import pytest

from gateway.core.errors import SetupError
from gateway.replay.target import GrpcTarget, HttpTarget, target_of
from gateway.tap.datatypes import DecodedRequest
from gateway.upstreams.fake_triton import FakeTriton
from tests.gateway.replay.model import Doubles, asked, recorded

REQUEST = recorded(1.0).request


def url_of(protocol: str, triton: FakeTriton) -> str:
    return f"http://{triton.http}" if protocol == "http" else f"grpc://{triton.grpc}"


@pytest.fixture(params=["http", "grpc"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_server_answers(protocol: str) -> None:
    model = Doubles(fails=(7.0,))
    async with FakeTriton(model) as triton:
        target = target_of(url_of(protocol, triton), 10.0, 2)
        await target.check("echo", "")
        await target.check("echo", "1")
        answer = await target.infer("echo", "1", REQUEST)
        assert target.failure(answer) == ""
        assert answer.seconds > 0
        assert (model.calls[-1].model, model.calls[-1].version) == ("echo", "1")
        assert asked(model.calls[-1]).tensors[0].data.tolist() == [[1, 2]]
        refused = await target.infer("echo", "", recorded(7.0).request)
        assert "no such thing" in target.failure(refused)
        await target.aclose()


async def test_a_model_or_a_version_that_is_not_there(protocol: str) -> None:
    async with FakeTriton(Doubles()) as triton:
        target = target_of(url_of(protocol, triton), 10.0, 2)
        with pytest.raises(SetupError, match=f"{url_of(protocol, triton)} does not serve the model nope .*--model"):
            await target.check("nope", "")
        with pytest.raises(SetupError, match="does not serve the model echo version 7"):
            await target.check("echo", "7")
        await target.aclose()


async def test_a_server_that_is_not_there_is_named_as_the_user_named_it(protocol: str) -> None:
    async with FakeTriton(Doubles()) as triton:
        await triton.refuse()
        target = target_of(url_of(protocol, triton), 10.0, 2)
        with pytest.raises(SetupError, match=f"{url_of(protocol, triton)} cannot be reached: "):
            await target.check("echo", "")
        answer = await target.infer("echo", "", REQUEST)
        assert target.failure(answer)
        await target.aclose()


async def test_a_model_that_is_not_ready_over_grpc() -> None:
    class NotReady(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
            async def answer(_message: bytes, _context: object) -> bytes:
                return b""

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((NotReady(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    target = target_of(f"grpc://127.0.0.1:{port}", 10.0, 1)
    with pytest.raises(SetupError, match="it is not ready"):
        await target.check("echo", "")
    await target.aclose()
    await server.stop(None)


async def test_a_generate_request_over_http() -> None:
    model = Doubles()
    async with FakeTriton(model) as triton:
        target = target_of(f"http://{triton.http}", 10.0, 1)
        await target.infer("echo", "", DecodedRequest((), {"a": 1}, (), generate=True))
        assert model.calls[-1].operation.value == "generate"
        await target.aclose()


async def test_names_of_models_are_quoted() -> None:
    async with FakeTriton(Doubles()) as triton:
        target = target_of(f"http://{triton.http}/", 10.0, 1)
        with pytest.raises(SetupError, match="does not serve the model a/b"):
            await target.check("a/b", "")
        await target.aclose()


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x:1", "grpc://x", "http://", "grpc://x:high", ""])
async def test_what_names_no_server(url: str) -> None:
    with pytest.raises(SetupError, match="names no server; write it as http://HOST:PORT or grpc://HOST:PORT"):
        target_of(url, 1.0, 1)


@pytest.mark.parametrize(("url", "kind"), [("https://x", HttpTarget), ("grpcs://x:1", GrpcTarget)])
async def test_encrypted(url: str, kind: type) -> None:
    target = target_of(url, 1.0, 1)
    assert isinstance(target, kind)
    await target.aclose()
