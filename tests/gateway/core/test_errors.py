import pytest

from gateway.core import errors


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (errors.MalformedMessage, errors.InvalidRequest),
        (errors.UnknownRoute, errors.InvalidRequest),
        (errors.RequestTooLarge, errors.InvalidRequest),
        (errors.UnsupportedFeature, errors.InvalidRequest),
        (errors.Forbidden, errors.InvalidRequest),
        (errors.SequenceLost, errors.UpstreamError),
        (errors.UpstreamUnavailable, errors.UpstreamError),
        (errors.UpstreamBroken, errors.UpstreamError),
        (errors.ConfigError, errors.SetupError),
    ],
)
def test_each_error_tells_whose_fault_it_is(kind: type[errors.GatewayError], parent: type[Exception]) -> None:
    error = kind("what was wrong")
    assert isinstance(error, parent)
    assert error.message == "what was wrong"


def test_a_refused_method_says_which_one_is_allowed() -> None:
    error = errors.MethodNotAllowed("Method Not Allowed", allowed="POST")
    assert (error.message, error.allowed) == ("Method Not Allowed", "POST")


def test_an_error_without_words_still_has_a_message() -> None:
    assert errors.UpstreamBroken().message == "UpstreamBroken"


def test_a_time_that_was_too_short_comes_with_advice() -> None:
    assert errors.DeadlineExceeded("it was late").message.startswith("it was late; give it more time")
