from gateway.core.call import Protocol
from gateway.upstreams.endpoint import Endpoint, Member
from gateway.upstreams.fake import FakeUpstream
from gateway.upstreams.health import PENALTY, Health


def member() -> Member:
    upstream = FakeUpstream()
    return Member(Endpoint("a", upstream, upstream), Health(5, 5))


async def test_endpoints_are_the_same_if_name_and_upstreams_are() -> None:
    http, grpc = FakeUpstream(), FakeUpstream()
    assert Endpoint("a", http, grpc) == Endpoint("a", http, grpc)
    assert Endpoint("a", http, grpc, "group") == Endpoint("a", http, grpc)
    assert len({Endpoint("a", http, grpc), Endpoint("b", http, grpc), Endpoint("a", grpc, grpc)}) == 3


async def test_both_upstreams_are_closed() -> None:
    class Counting(FakeUpstream):
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    http, grpc = Counting(), Counting()
    await Endpoint("a", http, grpc).aclose()
    await Endpoint("b", http, http).aclose()
    assert (http.closed, grpc.closed) == (2, 1)


async def test_what_is_not_known_may_be_there() -> None:
    one = member()
    assert one.has("m", "1")
    one.ready = frozenset({("m", "")})
    assert one.has("m", "")
    assert not one.has("m", "1")
    assert one.has("", "")


async def test_load_counts_calls_and_failures() -> None:
    one = member()
    one.in_flight = 3
    assert one.load(0) == 3
    one.health.failed(Protocol.HTTP, 0)
    assert one.load(0) == 3 + PENALTY


async def test_who_leaves_is_done_when_nothing_is_in_flight() -> None:
    busy, idle = member(), member()
    busy.in_flight = 1
    busy.leave()
    idle.leave()
    assert (busy.emptied.is_set(), idle.emptied.is_set()) == (False, True)
