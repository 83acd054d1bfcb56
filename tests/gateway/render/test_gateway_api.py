import pytest

from gateway.core.errors import ConfigError
from gateway.render.gateway_api import http_routes
from gateway.render.plan import TARGET_HEADER, plan
from gateway.render.service import Service
from tests.gateway.render.sections import BETA, CANARY, section

SERVICE = Service("gw", "ml", 8080, ("models.example.com",), "infra/edge")


def test_an_http_route_says_the_whole_split() -> None:
    [resource] = http_routes(plan(section(BETA)), SERVICE)
    assert (resource["apiVersion"], resource["kind"]) == ("gateway.networking.k8s.io/v1", "HTTPRoute")
    spec = resource["spec"]
    assert spec["parentRefs"] == [{"name": "edge", "namespace": "infra"}]
    assert spec["hostnames"] == ["models.example.com"]
    beta, rest = spec["rules"]
    assert beta["matches"][0] == {
        "path": {"type": "Exact", "value": "/p/v2/models/m/infer"},
        "method": "POST",
        "headers": [
            {"type": "RegularExpression", "name": "X-Beta", "value": "y.*"},
            {"type": "RegularExpression", "name": "x-tenant", "value": "team\\-."},
        ],
    }
    assert beta["timeouts"] == {"request": "2500ms"}
    assert [each["weight"] for each in beta["backendRefs"]] == [999, 1]
    assert beta["backendRefs"][1]["filters"] == [
        {
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": {"set": [{"name": TARGET_HEADER, "value": "b"}]},
        }
    ]
    assert rest["backendRefs"] == [{"name": "gw", "port": 8080}]
    assert rest["filters"][0]["requestHeaderModifier"] == {"remove": [TARGET_HEADER]}


def test_without_a_gateway_the_mesh_takes_the_service_as_the_parent() -> None:
    [resource] = http_routes(plan(section(CANARY)), Service("gw", "", 8080, ("gw",), ""))
    assert resource["spec"]["parentRefs"] == [{"group": "", "kind": "Service", "name": "gw"}]
    assert "hostnames" not in resource["spec"]


def test_no_resource_has_more_rules_than_it_may() -> None:
    routes = [CANARY | {"name": f"r{n}", "when": {"headers": {"x-n": str(n)}}} for n in range(40)]
    resources = http_routes(plan(section(*routes)), SERVICE)
    assert [len(each["spec"]["rules"]) for each in resources] == [16, 16, 9]
    assert [each["metadata"]["name"] for each in resources] == ["gw", "gw-2", "gw-3"]


def test_a_route_for_hosts_of_its_own_gets_a_resource_of_its_own() -> None:
    route = BETA | {"name": "Beta_1", "when": {"hosts": ["*.beta.example.com"]}}
    common, own = http_routes(plan(section(route, CANARY)), SERVICE)
    assert own["metadata"]["name"] == "gw-beta-1"
    assert own["spec"]["hostnames"] == ["*.beta.example.com"]
    assert len(common["spec"]["rules"]) == 2


def test_a_host_that_it_cannot_match_is_refused() -> None:
    route = BETA | {"when": {"hosts": ["beta-*.example.com"]}}
    with pytest.raises(ConfigError, match="an HTTPRoute cannot match the host"):
        http_routes(plan(section(route)), SERVICE)
