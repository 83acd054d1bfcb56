import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Protocol
from gateway.core.errors import UpstreamUnavailable
from gateway.upstreams.endpoint import Endpoint, Member
from gateway.upstreams.fake import FakeUpstream
from gateway.upstreams.health import Health
from gateway.upstreams.picking import eligible
from gateway.upstreams.subsets import Subset, subsets

TARGETS = st.sampled_from(["a", "b", "blue", "green"])


def member(name: str, group: str = "", *models: str) -> Member:
    upstream = FakeUpstream()
    one = Member(Endpoint(name, upstream, upstream, group), Health(1, 5))
    if models:
        one.ready = frozenset({(model, version) for model in models for version in ("", "1")})
    return one


def failed(one: Member) -> Member:
    one.health.failed(Protocol.HTTP, 0)
    return one


def names(subset: Subset, model: str = "m", version: str = "") -> str:
    return "".join(one.name for one in subset.candidates(model, version))


@given(st.lists(st.tuples(TARGETS, st.just("") | TARGETS), min_size=1, max_size=6))
async def test_a_target_means_whose_name_or_group_it_is(placed: list[tuple[str, str]]) -> None:
    members = [member(name, group) for name, group in placed]
    found = subsets(members, 50)
    without = [one for one, (_, group) in zip(members, placed, strict=True) if not group]
    assert list(found.pop("").members) == (without or members)
    assert set(found) == {target for pair in placed for target in pair if target}
    for target, subset in found.items():
        assert list(subset.members) == [one for one, pair in zip(members, placed, strict=True) if target in pair]


async def test_a_model_is_sought_within_the_target_alone() -> None:
    found = subsets(
        [member("a", "", "m"), member("b", "blue", "m"), member("c", "blue", "x"), member("d", "blue", "m")], 50
    )
    assert names(found[""]) == "a"
    assert names(found["blue"]) == "bd"
    assert names(found["blue"], "m", "1") == "bd"
    assert names(found["blue"], "nobody has it") == "bcd"
    assert names(found["c"]) == "c"
    assert found["c"].only is found["c"].members[0]
    assert found["blue"].only is None


async def test_health_and_panic_are_judged_within_the_target() -> None:
    members = [member("a"), failed(member("b", "blue")), member("c", "blue"), failed(member("d", "green"))]
    found = subsets(members, 50)
    assert [names(found[target]) for target in ("", "blue", "green", "b")] == ["a", "c", "d", "b"]
    for subset in found.values():
        assert subset.candidates("m", "") == eligible(subset.members, 50)
    strict = subsets(members, 0)
    with pytest.raises(UpstreamUnavailable):
        strict["green"].candidates("m", "")
