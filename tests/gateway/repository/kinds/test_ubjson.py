from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.repository.kinds.ubjson import is_whole
from tests.backends.fil import tree_models as trees

WHOLE = b"{i\x01a[$d#L" + (2).to_bytes(8, "big") + bytes(8) + b"i\x01b{}i\x01cSi\x02xyi\x01d[TFZ]}"


def test_a_document_is_whole_and_no_part_of_it_is() -> None:
    assert is_whole(WHOLE)
    assert not any(is_whole(WHOLE[:end]) for end in range(len(WHOLE)))
    assert not is_whole(WHOLE + b"Z")


def test_what_xgboost_writes_is_whole(tmp_path: Path) -> None:
    pytest.importorskip("xgboost")
    trees.xgboost(tmp_path / "m.ubj", trees.REGRESSION)
    content = (tmp_path / "m.ubj").read_bytes()
    assert is_whole(content)
    assert not any(is_whole(content[:-cut]) for cut in (1, 2, 7, 200, len(content) // 2))


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(content: bytes) -> None:
    assert is_whole(content) in (True, False)


def test_depth_without_end_is_answered() -> None:
    assert not is_whole(b"[" * 100_000)
