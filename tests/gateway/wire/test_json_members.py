import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.json_members import encode, members, raw, rows, slowly

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES))
def test_members_are_texts_and_together_the_same_object(value: dict[str, object]) -> None:
    text = json.dumps(value).encode()
    found = members(text)
    assert {name: json.loads(bytes(one)) for name, one in found.items()} == value
    assert json.loads(encode(found)) == value
    assert json.loads(encode(rows(b"[" + text + b"," + text + b"]"))) == [value, value]


def test_a_member_stays_the_text_that_it_is() -> None:
    found = members(b'{"a": [1.50,  2e3], "b":{"a" : "\\u0041"}}')
    assert [bytes(one) for one in found.values()] == [b"[1.50,  2e3]", b'{"a" : "\\u0041"}']


def test_what_triton_writes_beyond_json_is_read() -> None:
    found = members(b'{"a":[NaN,-Infinity,1],"b":"\xff"}')
    assert [bytes(one) for one in found.values()] == [b"[NaN,-Infinity,1]", b'"\xff"']
    assert encode(found) == b'{"a":[NaN,-Infinity,1],"b":"\xff"}'
    assert [bytes(one["a"]) for one in rows(b'[{"a":NaN}]')] == [b"NaN"]
    assert slowly(raw(math.inf)) == math.inf


@pytest.mark.parametrize("text", [b"", b"[]", b"1", b"{", b'{"a":}', b"[" * 100_000])
def test_what_is_no_object_is_told(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller says what it means
        members(text)
    with pytest.raises(ValueError):  # noqa: PT011
        rows(b"{}" if text == b"[]" else b"[" + text + b"]" if text else b"")
