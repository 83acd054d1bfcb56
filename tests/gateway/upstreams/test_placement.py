import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstreams.placement import Ready, holders, ready_models


def test_only_what_is_ready_counts_and_any_version_of_it() -> None:
    index = [
        {"name": "a", "version": "1", "state": "READY"},
        {"name": "a", "version": "2", "state": "UNAVAILABLE", "reason": "unloaded"},
        {"name": "b"},
    ]
    assert ready_models(json.dumps(index).encode()) == frozenset({("a", "1"), ("a", "")})
    assert ready_models(b"[]") == frozenset()


@pytest.mark.parametrize("body", [b"", b"{}x", b'{"error":"no"}', b"[1]", b'[{"state":"READY"}]', b"null", b"\xff"])
def test_what_is_no_index_says_nothing(body: bytes) -> None:
    assert ready_models(body) is None


@dataclass(eq=False)
class One:
    ready: Ready | None


@given(st.lists(st.none() | st.frozensets(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "1"])))))
def test_exactly_those_who_have_it_hold_it(known: list[Ready | None]) -> None:
    everybody = [One(ready) for ready in known]
    table = holders(everybody)
    for key in {(model, version) for model in "abc" for version in ("", "1")}:
        who = [one for one in everybody if one.ready is not None and key in one.ready]
        assert list(table.get(key, ())) == who
        assert (key in table) == bool(who)
