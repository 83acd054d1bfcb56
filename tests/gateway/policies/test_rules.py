import json
from typing import Any

import pytest
from msgspec.structs import replace
from tritonclient.grpc import service_pb2

from gateway.core.call import Call, ClientStream, Metadata, Operation, Protocol, Reply
from gateway.core.errors import (
    ClientGone,
    DeadlineExceeded,
    Forbidden,
    GatewayError,
    RequestTooLarge,
    UpstreamUnavailable,
)
from gateway.core.policy import fold
from gateway.policies.rules import Headers, Rules
from gateway.traffic.sections import HeadersSection, TrafficSection
from gateway.upstreams.fake import FakeClient, FakeUpstream
from tests.gateway.conftest import MakeCall

GRPC_STREAM = {"protocol": Protocol.GRPC, "operation": Operation.STREAM_INFER}


def rules(**policies: Any) -> Rules:
    """The rules of a route "shop"."""
    return Rules(TrafficSection.model_validate({"routes": [{"model": "shop", "policies": policies}]}))


class Triton:
    """Keeps the calls, and answers what it is told to.

    Attributes:
        calls: every call that came.
    """

    def __init__(self, reply: Reply | None = None, *events: bytes) -> None:
        self.reply = reply or Reply(200, ((b"content-type", b"application/json"),), b"{}")
        self.events = events
        self.calls: list[Call] = []

    async def infer(self, call: Call) -> Reply:
        self.calls.append(call)
        return self.reply

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        self.calls.append(call)
        assert await client.receive() is None
        await client.start(self.reply.metadata)
        for event in self.events:
            await client.send(event)
        return self.reply


async def ask(policy: Rules, call: Call, triton: Triton | None = None) -> tuple[Reply, Call]:
    """The answer to `call` on the route, and the call that reached Triton."""
    triton = triton or Triton()
    reply = await fold([policy], triton).infer(replace(call, route="shop"))
    return reply, triton.calls[0]


def message(size: int, request_id: str) -> bytes:
    """A ModelInferRequest of `size` bytes."""
    asked = service_pb2.ModelInferRequest(model_name="shop", id=request_id)
    asked.raw_input_contents.append(b"x" * (size - asked.ByteSize() - 2))
    assert asked.ByteSize() == size < 128
    return bytes(asked.SerializeToString())


async def test_what_has_no_rules_passes_as_it_is(make_call: MakeCall) -> None:
    policy, triton, client = rules(max_body_bytes=1), Triton(), FakeClient()
    for route in ("", "other"):
        call = replace(make_call(body=b"long"), route=route)
        assert await policy(call, triton.infer) is triton.reply
        assert await policy.stream(call, client, triton.stream) is triton.reply
        assert triton.calls[-1] is triton.calls[-2] is call


def test_without_rules_it_is_empty() -> None:
    cors = {"cors": {"origins": ["*"]}}
    assert Rules(TrafficSection()).empty
    assert rules().empty
    assert rules(**cors).empty
    assert not rules(retry=False, **cors).empty


@pytest.mark.parametrize("operation", [Operation.INFER, Operation.MODEL_METADATA, Operation.MODEL_READY])
async def test_who_may_not_call_is_refused_whatever_it_calls(make_call: MakeCall, operation: Operation) -> None:
    policy, triton = rules(deny={"networks": ["10.0.0.0/8"]}), Triton()
    call = replace(make_call(operation=operation), route="shop", peer="10.0.0.1")
    for asked in (policy(call, triton.infer), policy.stream(call, FakeClient(), triton.stream)):
        with pytest.raises(Forbidden, match=r"takes no calls from your address"):
            await asked
    assert triton.calls == []
    assert (await policy(replace(call, peer="11.0.0.1"), triton.infer)).status == 200


async def test_a_request_that_is_too_large_is_refused(make_call: MakeCall) -> None:
    policy, triton = rules(max_body_bytes=10), Triton()
    assert (await ask(policy, make_call(body=b"x" * 10)))[0].status == 200
    call = replace(make_call(body=b"x" * 11), route="shop")
    for asked in (policy(call, triton.infer), policy.stream(call, FakeClient(), triton.stream)):
        with pytest.raises(RequestTooLarge, match="request of 11 bytes exceeds this route's maximum of 10 bytes"):
            await asked
    assert triton.calls == []


async def test_access_is_looked_at_before_size(make_call: MakeCall) -> None:
    policy = rules(max_body_bytes=1, allow={"tenants": ["a"]})
    with pytest.raises(Forbidden):
        await ask(policy, make_call(body=b"xx"))


async def test_a_large_message_is_answered_and_the_stream_goes_on(make_call: MakeCall) -> None:
    chain = fold([rules(max_body_bytes=50)], FakeUpstream("shop"))
    client = FakeClient(message(50, "1"), message(51, "2"), message(52, "3"), message(40, "4"))
    call = replace(make_call(model="shop", **GRPC_STREAM), route="shop")
    assert (await chain.stream(call, client)).status == 0
    first, *refused, last = client.received
    assert (first, last) == (message(50, "1"), message(40, "4"))
    told = [service_pb2.ModelStreamInferResponse.FromString(bytes(said)) for said in refused]
    assert [said.infer_response.id for said in told] == ["2", "3"]
    assert told[0].error_message.startswith("request of 51 bytes exceeds this route's maximum of 50 bytes; send less")


async def test_a_client_that_wants_errors_by_status_gets_them_so(make_call: MakeCall) -> None:
    chain = fold([rules(max_body_bytes=50)], FakeUpstream("shop"))
    metadata: Metadata = ((b"triton_grpc_error", b"true"),)
    call = replace(make_call(model="shop", metadata=metadata, **GRPC_STREAM), route="shop")
    with pytest.raises(RequestTooLarge):
        await chain.stream(call, FakeClient(message(51, "2")))


async def test_a_shorter_time_counts_and_a_longer_one_does_not(make_call: MakeCall) -> None:
    _, shorter = await ask(rules(timeout_seconds=2), make_call(seconds=10))
    assert 1 < shorter.deadline.remaining() <= 2
    call = make_call(seconds=1)
    _, same = await ask(rules(timeout_seconds=2), call)
    assert same.deadline == call.deadline
    triton = Triton()
    await rules(timeout_seconds=2).stream(replace(call, route="shop"), FakeClient(), triton.stream)
    await rules(timeout_seconds=0.5).stream(replace(call, route="shop"), FakeClient(), triton.stream)
    assert [asked.deadline == call.deadline for asked in triton.calls] == [True, False]


async def test_retrying_can_be_switched_off_and_not_on(make_call: MakeCall) -> None:
    assert (await ask(rules(retry=False), make_call()))[1].retry is False
    assert (await ask(rules(max_body_bytes=10), make_call()))[1].retry is True
    assert (await ask(rules(max_body_bytes=10), replace(make_call(), retry=False)))[1].retry is False


async def test_what_triton_is_told_is_changed(make_call: MakeCall) -> None:
    policy = rules(request_headers={"set": {"X-Team": "a", "traceparent": "00-1"}, "remove": ["X-Secret"]})
    metadata: Metadata = ((b"x-secret", b"s"), (b"x-team", b"forged"), (b"accept", b"*"), (b"x-team", b"again"))
    _, asked = await ask(policy, make_call(metadata=metadata))
    assert asked.metadata == ((b"accept", b"*"), (b"x-team", b"a"), (b"traceparent", b"00-1"))
    assert asked.added == ((b"x-team", b"a"), (b"traceparent", b"00-1"))


@pytest.mark.parametrize("status", [200, 404])
async def test_what_the_client_is_told_is_changed(make_call: MakeCall, status: int) -> None:
    policy = rules(reply_headers={"set": {"Cache-Control": "no-store"}, "remove": ["Endpoint-Load-Metrics"]})
    said: Metadata = ((b"endpoint-load-metrics", b"1"), (b"content-type", b"a"), (b"cache-control", b"x"))
    changed: Metadata = ((b"content-type", b"a"), (b"cache-control", b"no-store"))
    triton = Triton(Reply(status, said, b"{}", variant="v"))
    reply, asked = await ask(policy, make_call(), triton)
    assert reply == Reply(status, changed, b"{}", variant="v")
    assert asked.added == asked.metadata == ()
    client = FakeClient()
    ended = await policy.stream(replace(make_call(), route="shop"), client, triton.stream)
    assert client.metadata == ended.metadata == changed


async def test_errors_have_the_headers_of_the_route(make_call: MakeCall) -> None:
    policy = rules(
        max_body_bytes=3, deny={"networks": ["10.0.0.1"]}, reply_headers={"set": {"X-By": "us", "Retry-After": "9"}}
    )
    added: Metadata = ((b"x-by", b"us"), (b"retry-after", b"9"))
    for peer, code in (("11.0.0.1", 413), ("10.0.0.1", 403)):
        call = replace(make_call(body=b"long"), route="shop", peer=peer)
        reply = await policy(call, Triton().infer)
        assert await policy.stream(call, FakeClient(), Triton().stream) == reply
        assert (reply.status, reply.metadata[1:]) == (code, added)
        assert json.loads(reply.body)["error"]
        grpc = await policy(replace(call, protocol=Protocol.GRPC), Triton().infer)
        assert grpc.metadata == added
        assert grpc.message == json.loads(reply.body)["error"]
    reply = await policy(
        replace(make_call(), route="shop", peer="11.0.0.1"), Failing(UpstreamUnavailable("down")).infer
    )
    assert (reply.status, reply.metadata[1:]) == (503, added)


async def test_who_has_gone_is_told_nothing(make_call: MakeCall) -> None:
    policy = rules(reply_headers={"set": {"X-By": "us"}})
    with pytest.raises(ClientGone):
        await policy(replace(make_call(), route="shop"), Failing(ClientGone("gone")).infer)


async def test_a_grpc_stream_keeps_its_headers_and_its_life(make_call: MakeCall) -> None:
    policy, triton, client = rules(reply_headers={"set": {"X-By": "us"}}, timeout_seconds=1), Triton(), FakeClient()
    call = replace(make_call(**GRPC_STREAM), route="shop")
    assert await policy.stream(call, client, triton.stream) is triton.reply
    assert client.metadata == triton.reply.metadata
    assert triton.calls[0].deadline == call.deadline


async def test_a_request_on_a_grpc_stream_has_its_own_time(make_call: MakeCall) -> None:
    client = FakeClient(message(20, "1"))

    async def silent(call: Call, client: ClientStream) -> Reply:
        while await client.receive():
            pass
        return Reply(0)

    policy = rules(timeout_seconds=0.01)
    with pytest.raises(DeadlineExceeded):
        await policy.stream(replace(make_call(**GRPC_STREAM), route="shop"), client, silent)


class Failing:
    """Fails at every call."""

    def __init__(self, error: GatewayError) -> None:
        self.error = error

    async def infer(self, call: Call) -> Reply:
        raise self.error

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        raise self.error


SCORES = {"name": "scores", "datatype": "FP32", "shape": [1], "data": [0.123456]}
SECRET = {"name": "secret", "datatype": "INT32", "shape": [1], "data": [7]}


async def test_outputs_are_rewritten(make_call: MakeCall) -> None:
    policy = rules(
        outputs={"rename": {"scores": "y"}, "drop": ["secret"], "digits": {"scores": 2}},
        request_headers={"remove": ["y"]},
    )
    body = json.dumps({"model_name": "shop", "outputs": [SCORES, SECRET]}).encode()
    triton = Triton(Reply(200, ((b"content-type", b"application/json"),), body))
    metadata: Metadata = ((b"accept-encoding", b"gzip"), (b"x", b"y"))
    reply, asked = await ask(policy, make_call(metadata=metadata), triton)
    assert asked.metadata == ((b"x", b"y"),)
    assert asked.added == ()
    [output] = json.loads(bytes(reply.body))["outputs"]
    assert (output["name"], output["data"]) == ("y", [0.12])


async def test_outputs_of_generate_are_rewritten_whole_or_in_events(make_call: MakeCall) -> None:
    policy = rules(outputs={"drop": ["secret"]})
    triton = Triton(Reply(200, (), b'{"text":"a","secret":1}'))
    reply, _ = await ask(policy, make_call(operation=Operation.GENERATE), triton)
    assert json.loads(bytes(reply.body)) == {"text": "a"}
    triton.events = (b'data: {"text":"a","sec', b'ret":1}\n\n', b'data: {"text":"b"}')
    client = FakeClient()
    call = replace(make_call(operation=Operation.GENERATE_STREAM), route="shop")
    await policy.stream(call, client, triton.stream)
    events = b"".join([bytes(said) for said in client.received]).split(b"\n\n")
    assert [json.loads(event[6:]) for event in events] == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize(
    ("operation", "protocol", "status"),
    [
        (Operation.INFER, Protocol.GRPC, 0),
        (Operation.MODEL_METADATA, Protocol.HTTP, 200),
        (Operation.INFER, Protocol.HTTP, 400),
    ],
)
async def test_other_answers_keep_their_outputs(
    make_call: MakeCall, operation: Operation, protocol: Protocol, status: int
) -> None:
    triton = Triton(Reply(status, (), b"as it is"))
    call = make_call(operation=operation, protocol=protocol)
    assert (await ask(rules(outputs={"drop": ["x"]}), call, triton))[0] == triton.reply


async def test_messages_of_a_stream_are_left_alone_by_rules_for_outputs(make_call: MakeCall) -> None:
    client = FakeClient(message(40, "1"))
    chain = fold([rules(outputs={"drop": ["x"]})], FakeUpstream("shop"))
    assert (await chain.stream(replace(make_call(model="shop", **GRPC_STREAM), route="shop"), client)).status == 0
    assert len(client.received) == 1


def test_headers_are_set_once_and_in_lower_case() -> None:
    headers = Headers(HeadersSection(set={"A": "1"}, remove=("B",)))
    assert headers.changed(((b"a", b"0"), (b"b", b"0"), (b"c", b"0"), (b"a", b"9"))) == ((b"c", b"0"), (b"a", b"1"))
