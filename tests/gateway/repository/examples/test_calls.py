from gateway.repository.catalog import Entry
from gateway.repository.examples.calls import LANGUAGES, calls
from tests.gateway.repository.examples.models import IRIS


def test_the_same_call_is_there_in_every_language() -> None:
    texts = calls(IRIS, "host:1", "host:2")
    assert tuple(texts) == LANGUAGES
    assert {language for language, text in texts.items() if "host:2" in text} == {"python-grpc"}
    assert all("host:1" in text for language, text in texts.items() if language != "python-grpc")
    assert all("iris" in text for text in texts.values())


def test_a_model_whose_inputs_are_not_known_has_none() -> None:
    assert calls(Entry("adopted"), "host:1", "host:2") == {}
