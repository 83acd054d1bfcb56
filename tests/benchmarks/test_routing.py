import pytest

from benchmarks import routing
from gateway.core.policy import fold
from gateway.policies.route import Route


def test_each_case_takes_the_way_that_its_name_says() -> None:
    found = {}
    chain = routing.chains(routing.section(3))["route"]
    [route] = [policy for policy in chain if isinstance(policy, Route)]
    for case in routing.cases(3):
        way = route._find(routing._call("binary", case.models[-1], routing.BODY))
        found[case.name] = None if way is None else way.route
    assert found == {
        "no route": None,
        "split": "model-2",
        "split, 1 MiB": "model-2",
        "sticky by header": "sticky",
        "third of three by headers": "when-3",
        "alias of a split": "model-0",
    }


async def test_every_call_is_answered_in_the_name_that_it_called() -> None:
    for policies in routing.chains(routing.section(1)).values():
        for kind in ("binary", "grpc"):
            upstream = routing._Answers(kind, routing.BODY)
            reply = await fold(policies, upstream).infer(routing._call(kind, "model-0", routing.BODY))
            assert (b"model-0" in reply.body) is (len(policies) > 3)


def test_it_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert routing.main(["--routes", "1", "--calls", "2", "--rounds", "1"]) == 0
    assert "alias of a split" in capsys.readouterr().out
