import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Metadata, Operation, Reply
from gateway.wire.rename_http import Events, reply_for

JSON = ((b"content-type", b"application/json"),)
NASTY = [
    '","model_name":"x","',
    '\\","model_name":"x","',
    '"model_name":"x"',
    "\\",
    '\\"',
    '"},{"model_name":"x',
    "\n\0\u2028ü",
    'a" , "model_name" : "b',
]
IDS = (
    st.sampled_from(NASTY)
    | st.text()
    | st.lists(st.sampled_from(["\\", '"', ",", ":", "model_name", "{"])).map("".join)
)


def answer(request_id: str, model: str, **more: Any) -> dict[str, Any]:
    """As Triton orders it."""
    head = {"id": request_id} if request_id else {}
    return {**head, "model_name": model, "model_version": "1", **more}


def text(value: object, **how: Any) -> bytes:
    return json.dumps(value, **{"separators": (",", ":"), **how}).encode("utf-8", "surrogatepass")


@given(IDS, st.booleans(), st.text(), st.binary())
def test_only_the_models_name_changes_whatever_the_id_says(
    request_id: str, ascii_only: bool, public: str, blob: bytes
) -> None:
    output = {"name": "model_name", "datatype": "BYTES", "shape": [1], "data": ['"model_name":"m"']}
    before = text(answer(request_id, "m", outputs=[output]), ensure_ascii=ascii_only)
    after = text(answer(request_id, public, outputs=[output]), ensure_ascii=ascii_only)
    renamed = reply_for(Operation.INFER, Reply(200, JSON, before), "m", public)
    assert json.loads(renamed.body) == json.loads(after)
    metadata = (*JSON, (b"inference-header-content-length", b"%d" % len(before)))
    renamed = reply_for(Operation.INFER, Reply(200, metadata, bytearray(before + blob)), "m", public)
    length = int(dict(renamed.metadata)[b"inference-header-content-length"])
    assert json.loads(renamed.body[:length]) == json.loads(after)
    assert renamed.body[length:] == blob
    assert renamed.metadata[0] == JSON[0]


@given(IDS, st.permutations(["id", "model_name", "parameters", "outputs"]), st.booleans())
def test_in_any_order_only_the_outermost_name_is_changed(request_id: str, order: list[str], spaced: bool) -> None:
    values = {
        "id": request_id,
        "model_name": "m",
        "parameters": {"model_name": "m", "model": [{"model_name": "m"}]},
        "outputs": [],
    }
    before = {name: values[name] for name in order}
    separators = (" , ", " : ") if spaced else (",", ":")
    renamed = reply_for(Operation.INFER, Reply(200, JSON, text(before, separators=separators)), "m", "public")
    assert json.loads(renamed.body) == {**before, "model_name": "public"}


def test_all_but_the_name_stays_byte_for_byte() -> None:
    before = b'{"id":"7","model_name":"m","model_version":"1","outputs":[{"data":[NaN,1.50]}]}'
    renamed = reply_for(Operation.INFER, Reply(200, JSON, before, variant="v"), "m", "p")
    assert renamed == Reply(200, JSON, before.replace(b'"m"', b'"p"'), variant="v")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"outputs":[]}', b"\xff", b'{"model_name":7', b"{}"])
@pytest.mark.parametrize(
    "operation", [Operation.INFER, Operation.GENERATE, Operation.MODEL_CONFIG, Operation.MODEL_STATISTICS]
)
def test_what_names_no_model_stays_as_it_is(operation: Operation, body: bytes) -> None:
    assert reply_for(operation, Reply(200, JSON, body), "m", "p").body == body


def test_what_is_compressed_or_of_no_model_stays_as_it_is() -> None:
    packed = Reply(200, ((b"content-encoding", b"gzip"),), b'{"model_name":"m"}')
    assert reply_for(Operation.INFER, packed, "m", "p") is packed
    same = Reply(200, JSON, b'{"model_name":"m"}')
    assert reply_for(Operation.INFER, same, "m", "m") is same
    assert reply_for(Operation.SERVER_METADATA, same, "m", "p") is same


def test_generate_answers_are_renamed_and_not_their_texts() -> None:
    before = b'{"model_name":"m","model_version":"1","text_output":"\\"model_name\\":\\"m\\""}'
    renamed = reply_for(Operation.GENERATE, Reply(200, JSON, before), "m", "p")
    assert renamed.body == before.replace(b'"m"', b'"p"', 1)


def test_metadata_and_configuration_are_renamed_and_not_their_tensors() -> None:
    before = b'{"platform":"x","name":"m","inputs":[{"name":"m","shape":[-1, 4]}],"parameters":{"name":"m"}}'
    wanted = json.loads(before) | {"name": "p"}
    for operation in (Operation.MODEL_METADATA, Operation.MODEL_CONFIG):
        assert json.loads(reply_for(operation, Reply(200, JSON, before), "m", "p").body) == wanted


def test_statistics_are_renamed_row_by_row() -> None:
    before = {
        "model_stats": [{"name": "m", "version": version, "inference_count": 2**63} for version in "12"],
        "more": 1,
    }
    renamed = reply_for(Operation.MODEL_STATISTICS, Reply(200, JSON, text(before)), "m", "p")
    assert json.loads(renamed.body) == {
        "model_stats": [{"name": "p", "version": version, "inference_count": 2**63} for version in "12"],
        "more": 1,
    }


def test_errors_name_the_public_model() -> None:
    body = text({"error": "[request id: m] unexpected inference input 'm' for model 'm'"})
    renamed = reply_for(Operation.INFER, Reply(400, JSON, body), "m", "p")
    assert json.loads(renamed.body) == {"error": "[request id: m] unexpected inference input 'm' for model 'p'"}
    assert renamed.status == 400


EVENTS = (
    b'data: {"model_name":"m","OUT":"\\"model_name\\":\\"m\\""}\n\ndata: {"error":"no, model \'m\'"}\n\ndata: x\n\n'
)
RENAMED = (
    b'data: {"model_name":"p","OUT":"\\"model_name\\":\\"m\\""}\n\ndata: {"error":"no, model \'p\'"}\n\ndata: x\n\n'
)


@given(st.lists(st.integers(0, len(EVENTS))))
def test_each_event_is_renamed_however_it_arrives(cuts: list[int]) -> None:
    events = Events("m", "p")
    places: Any = [0, *sorted(cuts), len(EVENTS)]
    pieces = [events.feed(EVENTS[a:b]) for a, b in pairwise(places)]
    assert b"".join(pieces) + events.rest() == RENAMED


def test_the_metadata_of_a_reply_is_as_long_as_its_head() -> None:
    metadata: Metadata = ((b"inference-header-content-length", b"18"),)
    renamed = reply_for(Operation.INFER, Reply(200, metadata, b'{"model_name":"m"}'), "m", "longer")
    assert renamed.body == b'{"model_name":"longer"}'
    assert int(renamed.metadata[0][1]) == len(renamed.body)
