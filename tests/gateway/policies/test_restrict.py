import pytest

from gateway.config import AdminSection
from gateway.core.call import Call, Operation, Reply
from gateway.core.errors import Forbidden
from gateway.core.policy import fold
from gateway.policies.restrict import Restrict
from gateway.upstreams.fake import FakeClient, FakeUpstream
from tests.gateway.conftest import MakeCall

SWITCHES = {
    Operation.REPOSITORY_INDEX: "repository_index",
    Operation.LOAD_MODEL: "repository",
    Operation.UNLOAD_MODEL: "repository",
    Operation.TRACE_SETTING: "trace",
    Operation.LOG_SETTING: "logging",
    Operation.SYSTEM_SHARED_MEMORY: "shared_memory",
    Operation.CUDA_SHARED_MEMORY: "shared_memory",
}


async def answer(call: Call) -> Reply:
    return Reply(200)


@pytest.mark.parametrize("operation", SWITCHES)
async def test_a_call_whose_switch_is_off_is_refused_with_the_way_out(
    make_call: MakeCall, operation: Operation
) -> None:
    section = AdminSection(repository_index=False)
    with pytest.raises(Forbidden, match=rf"{operation.value} is switched off .* admin\.{SWITCHES[operation]}: true"):
        await Restrict(section)(make_call(operation=operation), answer)


@pytest.mark.parametrize("operation", SWITCHES)
async def test_one_switch_opens_its_own_calls_alone(make_call: MakeCall, operation: Operation) -> None:
    section = AdminSection(**{"repository_index": False, SWITCHES[operation]: True})
    opened = []
    for other in SWITCHES:
        try:
            await Restrict(section)(make_call(operation=other), answer)
            opened.append(other)
        except Forbidden:
            pass
    assert operation in opened
    assert {SWITCHES[other] for other in opened} == {SWITCHES[operation]}


@pytest.mark.parametrize("operation", [o for o in Operation if o not in SWITCHES])
async def test_everything_else_needs_no_switch(make_call: MakeCall, operation: Operation) -> None:
    section = AdminSection(repository_index=False)
    assert await Restrict(section)(make_call(operation=operation), answer) == Reply(200)


async def test_streams_are_held_to_the_same_switches(make_call: MakeCall) -> None:
    chain = fold([Restrict(AdminSection())], FakeUpstream())
    with pytest.raises(Forbidden):
        await chain.stream(make_call(operation=Operation.LOAD_MODEL), FakeClient())
