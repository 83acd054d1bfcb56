import pytest

from gateway.render.plan import TARGET_HEADER, Share, plan
from gateway.traffic.sections import RouteSection, TrafficSection
from tests.gateway.render.sections import BETA, CANARY, section


def test_weights_become_whole_numbers_of_the_same_proportion() -> None:
    [rule] = plan(section(BETA)).rules
    assert rule.shares == (Share("a", 999), Share("b", 1))


def test_a_rule_is_for_inference_over_http_and_for_what_the_route_is_for() -> None:
    [rule] = plan(section(BETA)).rules
    assert rule.paths == tuple(f"/p/v2/models/m/{what}" for what in ("infer", "generate", "generate_stream"))
    assert rule.headers == {"X-Beta": "y*", "x-tenant": "team-?"}


def test_the_gateway_goes_by_the_mark_and_by_its_own_weights_without_one() -> None:
    routes = [RouteSection.model_validate(route) for route in plan(section(BETA)).routes]
    assert [route.label for route in routes] == ["beta.a", "beta.b", "beta"]
    marked, last = routes[:2], routes[2]
    assert [route.when.headers for route in marked if route.when] == [{TARGET_HEADER: "a"}, {TARGET_HEADER: "b"}]
    assert [(route.targets[0].version, route.targets[0].upstreams) for route in marked] == [(1, ""), (2, "gpu")]
    assert last == section(BETA).routes[0]


def test_what_the_mesh_does_the_gateway_does_not_do_again() -> None:
    marked = RouteSection.model_validate(plan(section(BETA)).routes[0])
    assert marked.policies.max_body_bytes == 100
    assert (marked.policies.timeout_seconds, marked.policies.request_headers.set) == (None, {})


def test_the_routes_that_are_rendered_are_a_configuration() -> None:
    routes = plan(section(BETA, CANARY)).routes
    assert TrafficSection.model_validate({"routes": routes}).routes[-1].canary is not None


def test_a_canary_stands_at_its_first_step_or_where_it_is_said() -> None:
    shared = plan(section(CANARY))
    assert shared.rules[0].shares == (Share("m-1", 99), Share("next", 1))
    assert "its canary is at 1 % here and stays there" in shared.notes[0]
    assert plan(section(CANARY), 25).rules[0].shares == (Share("m-1", 75), Share("next", 25))


def test_mirrors_stay_with_the_gateway() -> None:
    routes = [RouteSection.model_validate(route) for route in plan(section(CANARY)).routes]
    assert [len(route.mirrors) for route in routes] == [1, 1, 1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sticky": ["tenant"]}, "it keeps each client at one target"),
        ({"targets": [{"model": "m"}]}, "it has one target and nothing to share out"),
        ({"when": {"tenants": ["a", "b"]}}, "it is for several patterns of tenants"),
    ],
)
def test_what_a_mesh_cannot_do_stays_with_the_gateway(change: dict[str, object], reason: str) -> None:
    shared = plan(section(BETA | change))
    assert shared.rules == ()
    assert reason in shared.notes[0]
    assert len(shared.routes) == 1


def test_tenants_without_a_header_stay_with_the_gateway() -> None:
    assert plan(TrafficSection.model_validate({"routes": [BETA]})).rules == ()
