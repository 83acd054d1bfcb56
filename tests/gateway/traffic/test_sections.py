from pathlib import Path

import pytest

from gateway.config import load
from gateway.core.errors import ConfigError
from gateway.traffic.sections import RouteSection, TargetSection


def refusal(route: str, tmp_path: Path) -> str:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"traffic:\n  routes:\n    - {route}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    return caught.value.message.removeprefix(f"{path}:")


@pytest.mark.parametrize(
    ("route", "message"),
    [
        (
            "{model: m, targets: [{model: a, weight: 90}, {model: b, weight: 20}]}",
            "3: traffic.routes.0: the weights of a route sum to 100, and these to 110 (90 + 20)",
        ),
        (
            "{model: m, targets: [{model: a, weight: 90}, {model: b}]}",
            "3: traffic.routes.0: target 'b' has no weight; give every target one, 100 in sum",
        ),
        (
            "{model: m, targets: [{model: a, weight: 50}, {model: a, weight: 50}]}",
            "3: traffic.routes.0: two targets are called 'a'; give each a `name` of its own",
        ),
        (
            "{model: m, targets: [{model: a}, {model: b}], canary: {candidate: c}}",
            "3: traffic.routes.0: canary.candidate: no target is called 'c'; there are: a, b",
        ),
        (
            "{model: m, targets: [{model: a}], canary: {candidate: a}}",
            "3: traffic.routes.0: a canary needs exactly two targets: "
            "the baseline, and the candidate that may replace it",
        ),
        (
            "{model: m, targets: [{model: a, weight: 100}, {model: b}], canary: {candidate: b}}",
            "3: traffic.routes.0: the steps of the canary are its targets' weights; leave `weight` out",
        ),
        (
            "{model: m, policies: {allow: {networks: [10.0.0.1/8]}}}",
            "3: traffic.routes.0.policies.allow.networks.0: 10.0.0.1/8 has host bits set; "
            "write a network as 10.0.0.0/8, or one address",
        ),
        (
            "{model: m, policies: {cors: {origins: ['*'], credentials: true}}}",
            "3: traffic.routes.0.policies.cors: credentials may not be sent from every origin; "
            "name the origins instead of *",
        ),
        (
            '{model: m, policies: {request_headers: {set: {x-a: "b\\nc"}}}}',
            "3: traffic.routes.0.policies.request_headers.set.x-a: 'b\\nc' cannot be the value of a header; "
            "use printable ASCII without spaces around it",
        ),
        (
            "{model: m, policies: {reply_headers: {set: {Content-Length: '1'}}}}",
            "3: traffic.routes.0.policies.reply_headers.set.Content-Length: header 'content-length' belongs to the "
            "protocol and cannot be changed; leave it out",
        ),
        (
            "{model: m, policies: {request_headers: {set: {'a b': c}}}}",
            "3: traffic.routes.0.policies.request_headers.set.a b: 'a b' cannot be the name of a header; "
            "use letters, digits, '-', '_' and '.'",
        ),
        (
            "{model: m, policies: {outputs: {rename: {a: c, b: c}}}}",
            "3: traffic.routes.0.policies.outputs: rename: two outputs would get one name; give each its own",
        ),
        (
            "{model: m, policies: {outputs: {drop: [a], digits: {a: 1}}}}",
            "3: traffic.routes.0.policies.outputs: 'a' is left out, so it can be neither renamed nor rounded; "
            "decide for one",
        ),
        (
            "{model: m, polices: {}}",
            "3: unknown key 'traffic.routes.0.polices'; did you mean 'policies'?",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_the_fix(route: str, message: str, tmp_path: Path) -> None:
    assert refusal(route, tmp_path) == message


def test_what_a_client_can_be_told_apart_by(tmp_path: Path) -> None:
    assert "traffic.routes.0.sticky.0" in refusal("{model: m, sticky: [user]}", tmp_path)
    assert RouteSection(model="m", sticky=("header:x-user", "cookie:session", "tenant", "sequence", "peer")).sticky


def test_what_has_no_name_is_called_by_what_it_is() -> None:
    assert TargetSection(model="m").label == "m"
    assert TargetSection(model="m", version=3).label == "m-3"
    assert TargetSection(model="m", name="stable").label == "stable"
    assert (RouteSection(model="m").label, RouteSection(model="m", name="n").label) == ("m", "n")


def test_the_digest_changes_with_what_is_said() -> None:
    one = RouteSection(model="m", targets=(TargetSection(model="a"),))
    same = RouteSection(model="m", targets=(TargetSection(model="a"),))
    other = RouteSection(model="m", targets=(TargetSection(model="a", version=1),))
    assert one.digest == same.digest != other.digest


def test_weights_may_have_fractions() -> None:
    targets = [{"model": "a", "weight": 99.9}, {"model": "b", "weight": 0.1}]
    assert RouteSection.model_validate({"model": "m", "targets": targets}).targets[1].weight == 0.1
