import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from tritonclient.grpc import service_pb2

from gateway.config import LimitsSection
from gateway.core.call import Call, ClientStream, Operation, Protocol, Reply, Sequence
from gateway.core.errors import ClientGone, InvalidRequest, SequenceLost, UpstreamBroken, UpstreamUnavailable
from gateway.core.policy import Chain, fold
from gateway.policies.route import Route
from gateway.traffic.sections import TrafficSection
from gateway.traffic.sequences import Sequences
from gateway.traffic.snapshot import Override, Snapshot
from gateway.traffic.table import Table
from gateway.upstreams.fake import FakeClient, FakeUpstream
from gateway.upstreams.fake_triton import FakeTriton
from gateway.upstreams.grpc import GrpcUpstream
from gateway.upstreams.http import HttpUpstream
from gateway.wire import status, unknown_model
from tests.gateway.conftest import MakeCall

TARGETS = [{"model": "fraud-a", "weight": 80}, {"name": "b", "model": "fraud-b", "version": 1, "weight": 20}]
FRAUD: dict[str, Any] = {"model": "fraud", "targets": TARGETS}
TENSOR = bytes(range(256)) * 40
TO_A, TO_B = 0.1, 0.9
HTTP, GRPC = Protocol.HTTP, Protocol.GRPC


def traffic(**section: Any) -> TrafficSection:
    return TrafficSection.model_validate({"routes": [FRAUD], **section})


def route(
    at: float = TO_B,
    section: TrafficSection | None = None,
    snapshot: Snapshot | None = None,
    sequences: Sequences | None = None,
) -> Route:
    table = Table.compile(section or traffic(), snapshot or Snapshot())
    return Route(table, sequences or Sequences(600), now=lambda: 0.0, random=lambda: at)


def upstream(**options: Any) -> FakeUpstream:
    made = FakeUpstream(**options)
    made.ready = {"fraud", "fraud-a", "fraud-b", "echo"}
    return made


def message(model: str, version: str = "", request_id: str = "7") -> bytes:
    """A request, which the fake answers with itself; as such it names the model where an answer does."""
    told = service_pb2.ModelInferRequest(model_name=model, model_version=version, id=request_id)
    told.inputs.add(name="x", datatype="UINT8", shape=[len(TENSOR)])
    told.raw_input_contents.append(TENSOR)
    return told.SerializeToString()  # type: ignore[no-any-return]


def document(model: str) -> tuple[bytes, int]:
    """The same over HTTP, and the length of its head."""
    parameters = {"binary_data_size": len(TENSOR)}
    inputs = [{"name": "x", "datatype": "UINT8", "shape": [len(TENSOR)], "parameters": parameters}]
    head = json.dumps({"id": "7", "model_name": model, "inputs": inputs}, separators=(",", ":")).encode()
    return head + TENSOR, len(head)


@pytest.fixture
async def triton() -> AsyncIterator[FakeTriton]:
    async with FakeTriton(upstream()) as running:
        yield running


async def test_over_http_the_target_gets_the_same_bytes_and_the_reply_names_the_public_model(
    make_call: MakeCall, triton: FakeTriton
) -> None:
    body, head_len = document("fraud-b")
    metadata = ((b"inference-header-content-length", b"%d" % head_len), (b"accept-encoding", b"gzip"))
    to = HttpUpstream(triton.http, LimitsSection())
    call = replace(make_call(model="fraud", body=body, metadata=metadata), head_len=head_len)
    reply = await fold([route()], to).infer(call)
    await to.aclose()
    [asked] = triton.upstream.calls
    assert (asked.line, asked.body, asked.head_len) == (b"POST /v2/models/fraud-b/versions/1/infer", body, head_len)
    assert b"accept-encoding" not in dict(asked.metadata)
    assert (reply.status, reply.variant) == (200, "b")
    assert bytes(reply.body) == document("fraud")[0]


async def test_over_grpc_the_target_gets_the_same_tensors_and_the_reply_names_the_public_model(
    make_call: MakeCall, triton: FakeTriton
) -> None:
    to = GrpcUpstream(triton.grpc, LimitsSection())
    reply = await fold([route()], to).infer(make_call(protocol=GRPC, model="fraud", body=message("fraud")))
    await to.aclose()
    [asked] = triton.upstream.calls
    assert (asked.model, asked.version) == ("fraud-b", "1")
    told = service_pb2.ModelInferRequest.FromString(bytes(asked.body))
    assert told == service_pb2.ModelInferRequest.FromString(message("fraud-b", "1"))
    assert told.raw_input_contents[0] == TENSOR
    assert (reply.status, reply.variant) == (0, "b")
    assert service_pb2.ModelInferRequest.FromString(bytes(reply.body)).model_name == "fraud"


async def test_an_http_stream_names_the_public_model(make_call: MakeCall, triton: FakeTriton) -> None:
    to, client = HttpUpstream(triton.http, LimitsSection()), FakeClient()
    body = b'{"model_name":"fraud-b","model_version":"1","text_output":"fraud-b says: hello"}'
    call = make_call(operation=Operation.GENERATE_STREAM, model="fraud", body=body)
    reply = await fold([route()], to).stream(call, client)
    await to.aclose()
    [asked] = triton.upstream.calls
    assert (asked.model, asked.body) == ("fraud-b", body)
    assert b"".join(client.received) == b"data: " + body.replace(b'"fraud-b"', b'"fraud"') + b"\n\n"
    assert (reply.status, reply.variant) == (200, "b")


class Streaming:
    """Answers streams as Triton does: each request with a response in its model's name, or an error about it."""

    def __init__(self, error: str = "") -> None:
        self.calls: list[Call] = []
        self.heard: list[service_pb2.ModelInferRequest] = []
        self.error = error

    async def infer(self, call: Call) -> Reply:
        raise AssertionError

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        self.calls.append(call)
        await client.start(())
        while (said := await client.receive()) is not None:
            request = service_pb2.ModelInferRequest.FromString(bytes(said))
            self.heard.append(request)
            answer = service_pb2.ModelInferResponse(model_name=request.model_name, id=request.id)
            answer.raw_output_contents.extend(request.raw_input_contents)
            response = service_pb2.ModelStreamInferResponse(error_message=self.error, infer_response=answer)
            await client.send(response.SerializeToString())
        return Reply(status.OK)


async def test_every_message_of_a_grpc_stream_is_about_the_target_and_answered_in_the_public_name(
    make_call: MakeCall,
) -> None:
    to, client = Streaming(), FakeClient(*[message("fraud", request_id=str(number)) for number in range(3)])
    call = make_call(protocol=GRPC, operation=Operation.STREAM_INFER, model="fraud")
    reply = await fold([route()], to).stream(call, client)
    assert [(asked.model, asked.version) for asked in to.calls] == [("fraud-b", "1")]
    assert [(told.model_name, told.model_version, told.id) for told in to.heard] == [
        ("fraud-b", "1", str(number)) for number in range(3)
    ]
    assert {bytes(told.raw_input_contents[0]) for told in to.heard} == {TENSOR}
    heard = [service_pb2.ModelStreamInferResponse.FromString(bytes(each)).infer_response for each in client.received]
    assert [(told.model_name, told.id, told.raw_output_contents[0]) for told in heard] == [
        ("fraud", str(number), TENSOR) for number in range(3)
    ]
    assert (reply.status, reply.variant, client.metadata) == (0, "b", ())


async def test_an_error_in_a_stream_is_about_the_public_model(make_call: MakeCall) -> None:
    to, client = Streaming("unexpected input 'x' for model 'fraud-b'"), FakeClient(message("fraud"))
    await fold([route()], to).stream(make_call(protocol=GRPC, operation=Operation.STREAM_INFER, model="fraud"), client)
    [said] = [service_pb2.ModelStreamInferResponse.FromString(bytes(each)) for each in client.received]
    assert said.error_message == "unexpected input 'x' for model 'fraud'"


async def test_a_version_alone_is_put_into_the_messages_of_a_stream(make_call: MakeCall) -> None:
    section = traffic(routes=[{"model": "echo", "targets": [{"model": "echo", "version": 1}]}])
    to, client = Streaming(), FakeClient(message("echo"))
    call = make_call(protocol=GRPC, operation=Operation.STREAM_INFER, model="echo")
    await fold([route(section=section)], to).stream(call, client)
    assert [(told.model_name, told.model_version) for told in to.heard] == [("echo", "1")]
    assert len(client.received) == 1


async def test_what_needs_no_other_name_goes_on_as_it_is(make_call: MakeCall) -> None:
    section = traffic(routes=[{"model": "echo"}])
    for protocol, body in ((HTTP, b"{}"), (GRPC, message("echo"))):
        to, metadata = upstream(), ((b"accept-encoding", b"gzip"),)
        call = make_call(protocol=protocol, body=body, metadata=metadata)
        reply = await fold([route(section=section)], to).infer(call)
        assert to.calls == [replace(call, route="echo", variant="echo")]
        assert to.calls[0].body is body
        assert reply.variant == "echo"
    client = FakeClient(b"\x0a\x04echo")
    call = make_call(protocol=GRPC, operation=Operation.STREAM_INFER)
    assert (await fold([route(section=section)], upstream()).stream(call, client)).variant == "echo"
    call = make_call(operation=Operation.GENERATE_STREAM, body=b"{}")
    assert (await fold([route(section=section)], upstream()).stream(call, client)).variant == "echo"


@pytest.mark.parametrize("operation", [Operation.INFER, Operation.MODEL_CONFIG, Operation.TRACE_SETTING])
async def test_what_has_no_route_passes_untouched(make_call: MakeCall, operation: Operation) -> None:
    to, call = upstream(), make_call(operation=operation)
    reply = await fold([route()], to).infer(call)
    assert to.calls[0] is call
    assert reply.variant == ""
    client = FakeClient()
    assert (await fold([route()], to).stream(call, client)).variant == ""


@pytest.mark.parametrize(
    "operation",
    [
        Operation.LOAD_MODEL,
        Operation.UNLOAD_MODEL,
        Operation.TRACE_SETTING,
        Operation.REPOSITORY_INDEX,
        Operation.SERVER_METADATA,
        Operation.SYSTEM_SHARED_MEMORY,
    ],
)
async def test_what_is_no_question_to_a_model_is_not_routed(make_call: MakeCall, operation: Operation) -> None:
    to, call = upstream(), make_call(operation=operation, model="fraud", protocol=GRPC)
    await fold([route()], to).infer(call)
    assert to.calls[0] is call


class Knowing(FakeUpstream):
    """Knows whatever it is asked about."""

    async def infer(self, call: Call) -> Reply:
        self.calls.append(call)
        if call.protocol is HTTP:
            body = {"name": call.model, "model_stats": [{"name": call.model, "version": "1"}]}
            return Reply(200, body=b"" if call.operation is Operation.MODEL_READY else json.dumps(body).encode())
        name = b"\x0a\x07" + call.model.encode()
        told = {
            Operation.MODEL_METADATA: name,
            Operation.MODEL_CONFIG: b"\x0a\x09" + name,
            Operation.MODEL_STATISTICS: b"\x0a\x09" + name,
            Operation.MODEL_READY: b"\x08\x01",
        }
        return Reply(0, body=told[call.operation])


@pytest.mark.parametrize(
    "operation",
    [Operation.MODEL_METADATA, Operation.MODEL_CONFIG, Operation.MODEL_READY, Operation.MODEL_STATISTICS],
)
@pytest.mark.parametrize("protocol", Protocol)
async def test_questions_about_the_model_go_to_the_heaviest_target(
    make_call: MakeCall, protocol: Protocol, operation: Operation
) -> None:
    to = Knowing()
    body = message("fraud") if protocol is GRPC else b""
    reply = await fold([route(TO_B)], to).infer(
        make_call(protocol=protocol, operation=operation, model="fraud", body=body)
    )
    [asked] = to.calls
    assert (asked.model, asked.variant, reply.variant) == ("fraud-a", "fraud-a", "fraud-a")
    told = json.loads(reply.body or b"{}") if protocol is HTTP else {}
    if operation is Operation.MODEL_STATISTICS and protocol is HTTP:
        assert [row["name"] for row in told["model_stats"]] == ["fraud"]
    elif operation is Operation.MODEL_READY:
        assert reply.body in (b"", b"\x08\x01")
    else:
        assert told.get("name", "fraud") == "fraud"
        assert b"fraud" in reply.body
        assert protocol is HTTP or b"fraud-a" not in reply.body


async def test_the_parts_of_a_call_that_say_where_it_goes(make_call: MakeCall) -> None:
    section = traffic(routes=[{"name": "r", "model": "fraud", "targets": [{"model": "echo", "upstreams": "gpu"}]}])
    to = upstream()
    call = replace(
        make_call(model="fraud", version="1", target="cpu", body=b"{}"),
        principal="anna",
        peer="192.0.2.1",
        prefix="/a",
        retry=False,
        added=((b"x", b"y"),),
    )
    await fold([route(section=section)], to).infer(call)
    await fold([route()], to).infer(call)
    expected = replace(call, model="echo", target="gpu", route="r", variant="echo")
    assert to.calls[0] == expected
    assert (to.calls[1].target, to.calls[1].version) == ("cpu", "1")


async def test_an_alias_leads_on_and_is_named_in_the_reply(make_call: MakeCall) -> None:
    section = traffic(aliases={"stable": "fraud", "pinned": "echo/1"})
    to = upstream()
    chain = fold([route(section=section)], to)
    reply = await chain.infer(make_call(model="stable", body=b'{"model_name":"fraud-b"}'))
    assert (to.calls[0].model, to.calls[0].route, reply.body) == ("fraud-b", "fraud", b'{"model_name":"stable"}')
    reply = await chain.infer(make_call(protocol=GRPC, model="pinned", body=message("pinned")))
    assert (to.calls[1].model, to.calls[1].version, to.calls[1].route) == ("echo", "1", "")
    assert service_pb2.ModelInferRequest.FromString(bytes(reply.body)).model_name == "pinned"


@pytest.mark.parametrize("protocol", Protocol)
async def test_triton_s_refusals_are_about_the_public_model(make_call: MakeCall, protocol: Protocol) -> None:
    to = upstream()
    to.ready.clear()
    call = make_call(protocol=protocol, model="fraud", body=message("fraud") if protocol is GRPC else b"{}")
    reply = await fold([route()], to).infer(call)
    said = reply.message or bytes(reply.body).decode()
    assert "Request for unknown model: 'fraud' version 1 is not found" in said
    assert reply.variant == "b"
    operation = Operation.STREAM_INFER if protocol is GRPC else Operation.GENERATE_STREAM
    reply = await fold([route()], to).stream(replace(call, operation=operation), FakeClient())
    assert "unknown model: 'fraud' version 1" in (reply.message or bytes(reply.body).decode())
    assert reply.variant == "b"


async def test_failures_say_at_which_target_and_name_the_public_model(make_call: MakeCall) -> None:
    class Lost(FakeUpstream):
        async def infer(self, call: Call) -> Reply:
            raise SequenceLost(f"the state of sequence 5 of model {call.model} is lost; it is a model no more")

    with pytest.raises(SequenceLost, match="sequence 5 of model fraud is lost; it is a model no more") as lost:
        await fold([route()], Lost()).infer(make_call(model="fraud"))
    assert lost.value.variant == "b"
    to = upstream()
    to.down = True
    with pytest.raises(UpstreamUnavailable) as down:
        await fold([route(TO_A)], to).stream(
            make_call(model="fraud", operation=Operation.GENERATE_STREAM), FakeClient()
        )
    assert down.value.variant == "fraud-a"


async def test_an_event_that_is_cut_off_is_not_sent_on(make_call: MakeCall) -> None:
    class Broken(FakeUpstream):
        async def stream(self, call: Call, client: ClientStream) -> Reply:
            await client.start(())
            assert await client.receive() is None
            await client.send(b'data: {"model_name":"fraud-b","n":1}\n\ndata: {"model_n')
            raise UpstreamBroken("the connection broke")

    client = FakeClient()
    with pytest.raises(UpstreamBroken):
        await fold([route()], Broken()).stream(make_call(model="fraud", operation=Operation.GENERATE_STREAM), client)
    assert client.received == [b'data: {"model_name":"fraud","n":1}\n\n']


async def test_a_version_that_the_route_does_not_have_reaches_nobody(make_call: MakeCall) -> None:
    section = traffic(routes=[{"model": "fraud", "targets": [{"model": "echo", "version": 1}]}])
    to = upstream()
    with pytest.raises(InvalidRequest, match="no version '2'; there are: 1"):
        await fold([route(section=section)], to).infer(make_call(model="fraud", version="2"))
    assert to.calls == []


def weights(section: TrafficSection, **percent: float) -> Snapshot:
    return Snapshot(1, {"fraud": Override(section.routes[0].digest, percent)})


async def test_a_sequence_stays_where_it_began(make_call: MakeCall) -> None:
    section, sequences = traffic(), Sequences(600)
    to = upstream()

    async def ask(sequence: Sequence, snapshot: Snapshot) -> str:
        call = make_call(model="fraud", sequence=sequence, body=b"{}")
        reply = await fold([route(section=section, snapshot=snapshot, sequences=sequences)], to).infer(call)
        assert reply.status == 200
        return reply.variant

    all_a, all_b = weights(section, **{"fraud-a": 100}), weights(section, b=100)
    assert await ask(Sequence("1", start=True), all_a) == "fraud-a"
    assert await ask(Sequence("1"), all_b) == "fraud-a"
    assert await ask(Sequence("2", start=True), all_b) == "b"
    assert await ask(Sequence("1", end=True), all_b) == "fraud-a"
    assert sequences.find("fraud", "1", 0) is None
    assert await ask(Sequence("1", start=True), all_b) == "b"  # another one of this name
    assert await ask(Sequence("2", start=True), all_a) == "fraud-a"


async def test_a_sequence_that_was_forgotten_goes_by_its_id_and_one_whose_target_is_gone(make_call: MakeCall) -> None:
    section, sequences = traffic(), Sequences(600)
    chain = fold([route(section=section, sequences=sequences)], upstream())
    variants = {}
    for number in range(40):
        call = make_call(model="fraud", sequence=Sequence(str(number), start=True), body=b"{}")
        variants[number] = (await chain.infer(call)).variant
    assert set(variants.values()) == {"fraud-a", "b"}
    again = fold([route(section=section)], upstream())
    for number, variant in variants.items():
        call = make_call(model="fraud", sequence=Sequence(str(number)), body=b"{}")
        assert (await again.infer(call)).variant == variant
    fewer = traffic(
        routes=[{"model": "fraud", "targets": [{**TARGETS[0], "weight": 60}, {"model": "echo", "weight": 40}]}]
    )
    chain = fold([route(section=fewer, sequences=sequences)], upstream())
    for number in range(40):
        call = make_call(model="fraud", sequence=Sequence(str(number)), body=b"{}")
        assert (await chain.infer(call)).variant in ("fraud-a", "echo")


async def test_a_client_that_goes_away_is_no_error_of_the_policy(make_call: MakeCall) -> None:
    class Gone(FakeClient):
        async def send(self, message: bytes | bytearray) -> None:
            raise ClientGone("gone")

    with pytest.raises(ClientGone):
        await fold([route()], Streaming()).stream(
            make_call(protocol=GRPC, operation=Operation.STREAM_INFER, model="fraud"), Gone(message("fraud"))
        )


async def test_weights_that_change_while_requests_are_in_flight_drop_nothing(make_call: MakeCall) -> None:
    """What `DataPlane` does when a snapshot comes: the next request takes another chain, those under way stay."""
    section, sequences, to = traffic(), Sequences(600), upstream()
    table: Table | None = None
    chains: list[Chain] = []

    def swap(percent: float) -> None:
        nonlocal table
        snapshot = weights(section, **{"fraud-a": 100 - percent, "b": percent})
        table = Table.compile(section, snapshot, table)
        chains.append(fold([Route(table, sequences)], to))

    async def answered(chain: Chain, call: Call) -> Reply:
        return await chain.infer(call)

    async with asyncio.TaskGroup() as tasks:
        running: list[asyncio.Task[Reply]] = []
        for round_ in range(20):
            swap(5.0 * round_)
            to.gate.clear() if round_ % 2 else to.gate.set()
            for number in range(20):
                body = b'{"model_name":"?","number":%d}' % (20 * round_ + number)
                running.append(tasks.create_task(answered(chains[-1], make_call(model="fraud", body=body))))
            await asyncio.sleep(0)
        to.gate.set()
    replies = [task.result() for task in running]
    assert [reply.status for reply in replies] == [200] * 400
    assert [json.loads(reply.body) for reply in replies] == [{"model_name": "fraud", "number": n} for n in range(400)]
    assert Counter(json.loads(call.body)["number"] for call in to.calls) == Counter(range(400))
    assert {call.variant for call in to.calls[:20]} == {"fraud-a"}
    assert Counter(call.variant for call in to.calls) == Counter(reply.variant for reply in replies)


def public_alone(**section: Any) -> Route:
    """A route for nothing but public names."""
    return Route(Table.compile(traffic(**section), Snapshot()), Sequences(600), only_public=True)


@pytest.mark.parametrize("operation", [Operation.INFER, Operation.MODEL_METADATA, Operation.MODEL_READY])
@pytest.mark.parametrize("protocol", [HTTP, GRPC])
async def test_a_model_without_a_public_name_can_be_hidden(
    make_call: MakeCall, protocol: Protocol, operation: Operation
) -> None:
    to, policy = upstream(), public_alone(aliases={"also": "echo"})
    for model in ("echo", "fraud-a"):  # a target's real name is no public one
        call = make_call(protocol, operation, model)
        assert await fold([policy], to).infer(call) == unknown_model.reply(call)
    assert to.calls == []
    body = message("fraud") if protocol is GRPC else b""
    for model in ("fraud", "also"):
        await fold([policy], to).infer(make_call(protocol, operation, model, body=body))
    assert len(to.calls) == 2


@pytest.mark.parametrize("operation", [Operation.SERVER_METADATA, Operation.MODEL_STATISTICS, Operation.LOAD_MODEL])
async def test_what_is_asked_of_the_server_is_not_hidden(make_call: MakeCall, operation: Operation) -> None:
    to, call = upstream(), make_call(operation=operation, model="echo" if operation is Operation.LOAD_MODEL else "")
    await fold([public_alone()], to).infer(call)
    assert to.calls == [call]


async def test_a_hidden_model_is_hidden_from_streams(make_call: MakeCall) -> None:
    to, client = upstream(), FakeClient(message("echo", request_id="1"), message("echo", request_id="2"))
    chain = fold([public_alone()], to)
    call = make_call(GRPC, Operation.STREAM_INFER, metadata=((b"triton_grpc_error", b"true"),))
    assert await chain.stream(call, client) == Reply(0)
    told = [service_pb2.ModelStreamInferResponse.FromString(bytes(said)) for said in client.received]
    assert [(said.infer_response.id, said.error_message) for said in told] == [
        (number, "Request for unknown model: 'echo' is not found") for number in ("1", "2")
    ]
    call = make_call(operation=Operation.GENERATE_STREAM)
    assert await chain.stream(call, client) == unknown_model.reply(call)
    assert to.calls == []


async def test_a_name_whose_routes_are_for_others_can_be_hidden(make_call: MakeCall) -> None:
    routes = [{"model": "echo", "when": {"hosts": ["a.example"]}, "targets": [{"model": "fraud-a"}]}]
    chain = fold([public_alone(routes=routes, aliases={"also": "echo"})], upstream())
    for name in ("echo", "also"):  # an alias is no way past the routes
        assert (await chain.infer(make_call(model=name))).status == 404
        there = make_call(model=name, metadata=((b"host", b"a.example"),))
        assert (await chain.infer(there)).variant == "fraud-a"
