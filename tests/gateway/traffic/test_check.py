import pytest

from gateway.traffic.check import Models, problems
from gateway.traffic.sections import TrafficSection

MODELS = {"classifier": {1, 3}, "other": set[int]()}


def told(section: dict[str, object], models: Models | None = MODELS) -> dict[tuple[str | int, ...], str]:
    found = problems(TrafficSection.model_validate(section), {"a", "gpu"}, models)
    return {problem.place: problem.message for problem in found}


def test_what_is_right_is_not_complained_of() -> None:
    routes = [
        {"model": "classifier", "name": "beta", "when": {"tenants": ["t"]}, "targets": [{"model": "other"}]},
        {"model": "classifier", "targets": [{"model": "classifier", "upstreams": "gpu"}]},
    ]
    assert told({"routes": routes, "aliases": {"stable": "classifier/3", "latest": "stable", "x": "other"}}) == {}


def test_an_unknown_model_is_told_with_the_nearest() -> None:
    route = {"model": "public", "targets": [{"model": "clasifier"}], "mirrors": [{"model": "nothing-like-it"}]}
    assert told({"routes": [route]}) == {
        ("routes", 0, "targets", 0, "model"): "there is no model 'clasifier'; did you mean 'classifier'?",
        ("routes", 0, "mirrors", 0, "model"): "there is no model 'nothing-like-it'; there are: classifier, other",
    }


def test_a_route_without_targets_is_for_a_model_that_there_is() -> None:
    [(place, message)] = told({"routes": [{"model": "clasifier"}]}).items()
    assert place == ("routes", 0, "model")
    assert message.startswith("there is no model 'clasifier'; did you mean 'classifier'?; correct it")


def test_nobody_who_knows_the_models_means_that_none_is_unknown() -> None:
    assert told({"routes": [{"model": "x"}], "aliases": {"y": "z"}}, models=None) == {}


def test_an_upstream_that_is_not_configured_is_told() -> None:
    route = {"model": "classifier", "targets": [{"model": "classifier", "upstreams": "cpu"}]}
    assert told({"routes": [route]}) == {
        ("routes", 0, "targets", 0, "upstreams"): "there is no upstream and no group of them called 'cpu'; "
        "there are: a, gpu"
    }


def test_a_route_that_is_never_reached_is_told() -> None:
    first, second = {"model": "classifier"}, {"model": "classifier", "name": "second"}
    [(place, message)] = told({"routes": [first, second]}).items()
    assert place == ("routes", 1)
    assert message.startswith("no request for 'classifier' gets here: route 'classifier' before it takes all")


def test_routes_have_names_of_their_own() -> None:
    beta = {"model": "classifier", "when": {"tenants": ["t"]}}
    assert told({"routes": [beta, {"model": "classifier"}]}) == {
        ("routes", 1): "route 1 is called 'classifier' already; give this one a `name` of its own"
    }


@pytest.mark.parametrize(
    ("aliases", "place", "part"),
    [
        ({"a": "b", "b": "c", "c": "a"}, "b", "lead back to where they began: b -> c -> a -> b; let one"),
        ({"a": "a"}, "a", "a -> a"),
        ({"a": "classifier/x"}, "a", "neither NAME nor NAME/VERSION"),
        ({"a": "classifier/0"}, "a", "neither NAME nor NAME/VERSION"),
        ({"public": "other"}, "public", "has a route already"),
        ({"other": "classifier"}, "other", "is a model itself"),
        ({"a": "classifier/2"}, "a", "there is no version 2 of 'classifier' yet, only 1, 3; publish it first"),
        ({"a": "clasifier"}, "a", "did you mean 'classifier'?"),
        ({"a": "b", "b": "c/1", "c": "b"}, "c", "c -> b -> c"),
    ],
)
def test_aliases_lead_somewhere(aliases: dict[str, str], place: str, part: str) -> None:
    route = {"model": "public", "targets": [{"model": "other"}]}
    assert part in told({"aliases": aliases, "routes": [route]})["aliases", place]


def test_an_alias_of_a_loop_of_others_is_not_blamed_for_it() -> None:
    assert set(told({"aliases": {"x": "a", "a": "b", "b": "a"}})) == {("aliases", "a"), ("aliases", "b")}


def test_a_version_that_was_not_published_is_told() -> None:
    targets = [{"model": "classifier", "version": 1, "weight": 50}, {"model": "classifier", "version": 2, "weight": 50}]
    assert told({"routes": [{"model": "classifier", "targets": targets}]}) == {
        ("routes", 0, "targets", 1, "version"): "there is no version 2 of 'classifier' yet, only 1, 3; "
        "publish it first: triton-gateway models publish classifier FILE"
    }


def test_the_version_of_a_model_that_is_still_to_come_is_not_doubted() -> None:
    assert told({"routes": [{"model": "other", "targets": [{"model": "other", "version": 2}]}]}) == {}
