from typing import Any

import pytest

from gateway.repository.description import Tensor
from gateway.repository.examples.schemas import schemas
from tests.gateway.repository.examples.models import ALL, EVERY_DATATYPE, EVERYTHING, IRIS, model


def references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"]} if "$ref" in schema else set()
        return own.union(*(references(part) for part in schema.values()))
    return set().union(*(references(part) for part in schema)) if isinstance(schema, list) else set()


@pytest.mark.parametrize("entry", ALL.values(), ids=ALL)
def test_every_reference_leads_somewhere(entry: Any) -> None:
    found = schemas(entry)
    assert references(found) <= {f"#/components/schemas/{name}" for name in found}


def test_name_datatype_and_shape_are_exact() -> None:
    tensor = schemas(IRIS)["Input1"]
    assert tensor["required"] == ["name", "datatype", "shape", "data"]
    assert tensor["properties"]["name"] == {"const": "x"}
    assert tensor["properties"]["datatype"] == {"const": "FP32"}
    assert tensor["properties"]["shape"] == {
        "type": "array", "minItems": 2, "maxItems": 2,
        "prefixItems": [{"type": "integer", "minimum": 0}, {"const": 4}], "items": False,
    }  # fmt: skip


def test_the_elements_are_what_the_datatype_has() -> None:
    found = schemas(EVERYTHING)
    elements = {each: found[f"Data{each}"]["items"]["anyOf"][0] for each in EVERY_DATATYPE if f"Data{each}" in found}
    assert elements["UINT8"] == {"type": "integer", "minimum": 0, "maximum": 255}
    assert elements["INT64"] == {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
    assert elements["BOOL"] == {"type": "boolean"}
    assert elements["BYTES"] == {"type": "string"}
    assert elements["FP64"] == {"type": "number"}
    assert not elements.keys() & {"FP16", "BF16"}


def test_sixteen_bit_numbers_have_a_size_instead_of_data() -> None:
    half = schemas(EVERYTHING)["Output1"]
    assert half["required"] == ["name", "datatype", "shape", "parameters"]
    assert half["properties"]["parameters"]["required"] == ["binary_data_size"]


def test_every_input_must_be_there_unless_it_is_optional() -> None:
    entry = model(Tensor("x", "FP32", ()), Tensor("mask", "BOOL", (2,), optional=True))
    inputs = schemas(entry)["Request"]["properties"]["inputs"]
    assert (inputs["minItems"], inputs["maxItems"]) == (1, 2)
    assert [part["contains"]["properties"]["name"]["const"] for part in inputs["allOf"]] == ["x"]


def test_an_output_of_a_known_size_has_that_many_elements() -> None:
    entry = model(Tensor("x", "FP32", ()), outputs=(Tensor("y", "INT8", (2, 3)),))
    data = schemas(entry)["Output1"]["properties"]["data"]
    assert (data["minItems"], data["maxItems"]) == (6, 6)
