from __future__ import annotations

import onnx

from converters.graph.opset import CLASSICAL
from converters.to_onnx.lowering.operators import LOWERINGS


def test_all_are_operators_of_onnx() -> None:
    known = {(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas()}
    assert set(LOWERINGS) <= known


def test_what_is_left_out_works_with_text_or_dictionaries() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == CLASSICAL}
    listed = {name for domain, name in LOWERINGS if domain == CLASSICAL}
    assert known - listed == {"CastMap", "CategoryMapper", "DictVectorizer"}
