from dataclasses import FrozenInstanceError, replace

import pytest

from gateway.config import Config
from gateway.core.policy import fold
from gateway.frontends.serving import Current, Serving, prefixes
from gateway.traffic.sections import RouteSection, TrafficSection, WhenSection
from gateway.upstreams.fake import FakeUpstream


def serving() -> Serving:
    config = Config()
    return Serving(fold([], FakeUpstream()), config.http, config.grpc, config.limits, config.admin)


def test_what_is_served_with_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        serving().limits = Config().limits  # type: ignore[misc]


def test_a_request_that_began_keeps_what_it_began_with() -> None:
    current = Current(serving())
    mine = current.serving
    current.serving = replace(mine, admin=Config().admin.model_copy(update={"trace": True}))
    assert not mine.admin.trace
    assert current.serving.admin.trace


def test_what_may_stand_before_the_path_is_what_the_routes_ask_for() -> None:
    whens = (None, WhenSection(), WhenSection(path_prefix="/team-a"), WhenSection(path_prefix="/team-a"))
    routes = [RouteSection(name=f"r{number}", model="m", when=when) for number, when in enumerate(whens)]
    routes.append(RouteSection(model="m", when=WhenSection(path_prefix="/b/c")))
    assert prefixes(TrafficSection(routes=tuple(routes))) == {"/team-a", "/b/c"}
    assert prefixes(TrafficSection()) == frozenset()
