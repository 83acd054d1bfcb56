from gateway.core.call import Operation
from gateway.upstreams.fake_faults import Answer, Fail, Refuse, follow
from tests.gateway.conftest import MakeCall


def test_a_script_is_for_inferences_and_goes_round(make_call: MakeCall) -> None:
    fault = follow([Refuse(), Fail(500)])
    assert isinstance(fault(make_call(operation=Operation.REPOSITORY_INDEX)), Answer)
    assert [fault(make_call()) for _ in range(3)] == [Refuse(), Fail(500), Refuse()]


def test_a_function_decides_about_every_call(make_call: MakeCall) -> None:
    fault = follow(lambda call: Fail(500) if call.operation is Operation.SERVER_LIVE else Answer())
    assert fault(make_call(operation=Operation.SERVER_LIVE)) == Fail(500)
    assert fault(make_call()) == Answer()


def test_no_script_is_no_fault(make_call: MakeCall) -> None:
    assert follow(())(make_call()) == Answer()
