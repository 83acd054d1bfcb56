import pytest
from msgspec.structs import replace

from gateway.core.call import Reply
from tests.gateway.conftest import MakeCall


def test_a_call_is_frozen_and_closed(make_call: MakeCall) -> None:
    call = make_call()
    with pytest.raises(AttributeError, match="immutable"):
        call.model = "other"  # type: ignore[misc]
    assert not hasattr(call, "__dict__")


def test_a_changed_call_shares_the_body(make_call: MakeCall) -> None:
    body = b"tensor bytes"
    call = make_call(body=body)
    renamed = replace(call, model="other")
    assert renamed.body is body
    assert (renamed.model, call.model) == ("other", "echo")


def test_a_reply_says_ok_with_a_status_alone() -> None:
    assert Reply(0) == Reply(0, metadata=(), body=b"", message="")
