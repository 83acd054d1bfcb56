from gateway.core.call import Call, ClientStream, Reply
from gateway.core.policy import Next, NextStream, fold
from gateway.upstreams.fake import FakeClient
from tests.gateway.conftest import MakeCall


class Note:
    """Writes down when a call passes on its way in and out."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        self.notes.append(f"{self.name} in")
        reply = await proceed(call)
        self.notes.append(f"{self.name} out")
        return reply

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        self.notes.append(f"{self.name} stream in")
        reply = await proceed(call, client)
        self.notes.append(f"{self.name} stream out")
        return reply


class Refuse:
    """Answers everything itself."""

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        return Reply(429)

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        return Reply(430)


class Innermost:
    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    async def infer(self, call: Call) -> Reply:
        self.notes.append(f"infer {call.model}")
        return Reply(200)

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        self.notes.append(f"stream {call.model}")
        return Reply(201)


async def test_the_first_policy_is_the_outermost(make_call: MakeCall) -> None:
    notes: list[str] = []
    chain = fold([Note("a", notes), Note("b", notes)], Innermost(notes))
    assert await chain.infer(make_call()) == Reply(200)
    assert notes == ["a in", "b in", "infer echo", "b out", "a out"]


async def test_streams_pass_the_same_policies_in_the_same_order(make_call: MakeCall) -> None:
    notes: list[str] = []
    chain = fold([Note("a", notes), Note("b", notes)], Innermost(notes))
    assert await chain.stream(make_call(), FakeClient()) == Reply(201)
    assert notes == ["a stream in", "b stream in", "stream echo", "b stream out", "a stream out"]


async def test_a_policy_may_answer_without_going_on(make_call: MakeCall) -> None:
    notes: list[str] = []
    chain = fold([Refuse(), Note("never", notes)], Innermost(notes))
    assert await chain.infer(make_call()) == Reply(429)
    assert await chain.stream(make_call(), FakeClient()) == Reply(430)
    assert notes == []


async def test_without_policies_there_is_the_upstream_alone(make_call: MakeCall) -> None:
    assert await fold([], Innermost([])).infer(make_call()) == Reply(200)
