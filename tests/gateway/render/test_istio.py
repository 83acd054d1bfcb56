from gateway.render.istio import virtual_service
from gateway.render.plan import TARGET_HEADER, plan
from gateway.render.service import Service
from tests.gateway.render.sections import BETA, CANARY, section

SERVICE = Service("gw", "ml", 8080, ("models.example.com",), "infra/edge")
DESTINATION = {"host": "gw", "port": {"number": 8080}}


def test_a_virtual_service_says_the_whole_split() -> None:
    resource = virtual_service(plan(section(BETA)), SERVICE)
    assert resource["apiVersion"] == "networking.istio.io/v1"
    assert resource["metadata"] == {"name": "gw", "namespace": "ml"}
    spec = resource["spec"]
    assert (spec["hosts"], spec["gateways"]) == (["models.example.com"], ["infra/edge", "mesh"])
    beta, rest = spec["http"]
    assert beta["match"][0] == {
        "uri": {"exact": "/p/v2/models/m/infer"},
        "method": {"exact": "POST"},
        "headers": {"x-beta": {"prefix": "y"}, "x-tenant": {"regex": "team\\-."}},
    }
    assert [(each["weight"], each["headers"]["request"]["set"]) for each in beta["route"]] == [
        (999, {TARGET_HEADER: "a"}),
        (1, {TARGET_HEADER: "b"}),
    ]
    assert beta["timeout"] == "2.5s"
    assert beta["headers"] == {
        "request": {"set": {"x-a": "b"}, "remove": ["traceparent"]},
        "response": {"set": {"x-c": "d"}},
    }
    assert rest["route"] == [{"destination": DESTINATION}]


def test_no_client_marks_its_own_requests() -> None:
    rest = virtual_service(plan(section(CANARY)), SERVICE)["spec"]["http"][-1]
    assert rest["headers"] == {"request": {"remove": [TARGET_HEADER]}}


def test_requests_are_sent_again_by_the_gateway_alone() -> None:
    assert virtual_service(plan(section(CANARY)), SERVICE)["spec"]["http"][0]["retries"] == {"attempts": 0}


def test_hosts_are_patterns_of_the_authority() -> None:
    route = BETA | {"when": {"hosts": ["*.beta.example.com", "b.example.com"]}}
    beta = virtual_service(plan(section(route)), Service("gw", "", 80, ("gw",), ""))["spec"]["http"][0]
    assert [match["authority"] for match in beta["match"][:2]] == [
        {"regex": ".*\\.beta\\.example\\.com"},
        {"exact": "b.example.com"},
    ]
    assert len(beta["match"]) == 6
