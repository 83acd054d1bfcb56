import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.rename_words import rename


@pytest.mark.parametrize(
    ("words", "renamed"),
    [
        ("Request for unknown model: 'm-2' is not found", "Request for unknown model: 'public' is not found"),
        (
            "[request id: x] unexpected inference input 'm-2' for model 'm-2'",
            "[request id: x] unexpected inference input 'm-2' for model 'public'",
        ),
        (
            "in ensemble 'm-2', failed for model instance 'm-2_0_1'",
            "in ensemble 'public', failed for model instance 'public_0_1'",
        ),
        (r'{"error":"model \"m-2\" is not ready"}', r'{"error":"model \"public\" is not ready"}'),
        ("model 'm-20', model 'xm-2', model 'mx2', model m-2", "model 'm-20', model 'xm-2', model 'mx2', model m-2"),
        ("model 'm-2_0'", "model 'm-2_0'"),  # another model's name
        ("first\\nmodel 'm-2'", "first\\nmodel 'public'"),
    ],
)
def test_the_name_is_changed_where_it_is_the_models(words: str, renamed: str) -> None:
    assert rename(words.encode(), "m-2", "public").decode() == renamed


@given(st.binary(), st.text(), st.text())
def test_other_words_stay_as_they_are(words: bytes, real: str, model: str) -> None:
    if b"model" not in words and b"ensemble" not in words:
        assert rename(words, real, model) == words
    assert rename(words, real, real) is words


@given(st.text(min_size=1), st.text())
def test_any_name_is_found_and_any_is_put_in_its_place(real: str, model: str) -> None:
    assert rename(f"for model '{real}'".encode(), real, model) == f"for model '{model}'".encode()
