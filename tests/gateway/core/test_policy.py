from gateway.core.call import Call, Reply
from gateway.core.policy import Next, fold
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


async def test_the_first_policy_is_the_outermost(make_call: MakeCall) -> None:
    notes: list[str] = []

    async def upstream(call: Call) -> Reply:
        notes.append(f"upstream {call.model}")
        return Reply(200)

    reply = await fold([Note("a", notes), Note("b", notes)], upstream)(make_call())

    assert reply == Reply(200)
    assert notes == ["a in", "b in", "upstream echo", "b out", "a out"]


async def test_a_policy_may_answer_without_going_on(make_call: MakeCall) -> None:
    async def refuse(call: Call, proceed: Next) -> Reply:
        return Reply(429)

    async def upstream(call: Call) -> Reply:
        raise AssertionError("must not be reached")

    assert await fold([refuse], upstream)(make_call()) == Reply(429)
