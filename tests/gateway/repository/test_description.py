import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.repository.description import Description, Tensor

texts = st.text(max_size=8)
tensors = st.builds(
    Tensor,
    name=texts,
    datatype=st.sampled_from(["FP32", "BYTES", "INT64"]),
    shape=st.lists(st.integers(-1, 9), max_size=4).map(tuple),
    optional=st.booleans(),
    labels=texts,
)
several = st.lists(tensors, max_size=3).map(tuple)
descriptions = st.builds(
    Description,
    kind=texts,
    backend=texts,
    framework=st.none() | texts,
    inputs=several,
    outputs=several,
    batches=st.booleans(),
    filename=texts,
    size_bytes=st.integers(0, 2**40),
    opset=texts,
    parameters=st.dictionaries(texts, texts, max_size=3),
    ambiguous=st.lists(texts, max_size=3).map(tuple),
    origin=st.dictionaries(texts, texts, max_size=3),
)


@given(descriptions)
def test_a_description_survives_its_way_through_json(description: Description) -> None:
    assert Description.from_dict(json.loads(json.dumps(description.as_dict()))) == description
