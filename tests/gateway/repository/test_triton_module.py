"""What a Python model finds instead of Triton's own module."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gateway.repository.triton_module import ModelError, OnlyInTriton, Request, Response, Tensor, TritonModule

CONFIG = {"output": [{"name": "y", "data_type": "TYPE_FP32"}], "model_transaction_policy": {"decoupled": True}}


@pytest.fixture
def module(tmp_path: Path) -> TritonModule:
    return TritonModule(tmp_path)


def test_tensors_are_found_by_name(module: TritonModule) -> None:
    x = Tensor("x", np.zeros((2, 3), np.float32))
    assert module.get_input_tensor_by_name(Request([x], ("y",)), "x") is x
    assert module.get_input_tensor_by_name(Request([x], ("y",)), "z") is None
    assert module.get_output_tensor_by_name(Response([x]), "x") is x
    assert (x.shape(), x.triton_dtype(), x.is_cpu()) == ([2, 3], "TYPE_FP32", True)


def test_configurations_are_found_by_name(module: TritonModule) -> None:
    assert module.get_output_config_by_name(CONFIG, "y") == {"name": "y", "data_type": "TYPE_FP32"}
    assert module.get_output_config_by_name(CONFIG, "z") is None
    assert module.get_input_config_by_name(CONFIG, "x") is None
    assert module.using_decoupled_model_transaction_policy(CONFIG)


def test_datatypes_have_numpy_types(module: TritonModule) -> None:
    assert module.triton_string_to_numpy("TYPE_FP32") is np.float32
    assert module.triton_string_to_numpy("TYPE_STRING") is np.object_
    assert module.triton_string_to_numpy("TYPE_BF16") is None


def test_responses_hold_outputs_or_an_error(module: TritonModule) -> None:
    failed = module.InferenceResponse(error=module.TritonError("no", module.TritonError.NOT_FOUND))
    assert failed.has_error()
    assert isinstance(failed.error, ModelError)
    assert failed.error.code_name() == "NOT_FOUND"
    good = Response([Tensor("y", np.zeros(1))], parameters={"a": 1})
    assert [tensor.name() for tensor in good.output_tensors()] == ["y"]
    assert json.loads(good.parameters()) == {"a": 1}


def test_a_decoupled_model_sends_its_responses() -> None:
    request = Request([], ())
    sender = request.get_response_sender()
    sender.send(Response())
    sender.send(flags=TritonModule.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
    assert len(sender.sent) == 1
    assert not sender.is_cancelled()
    assert not request.is_cancelled()


def test_a_request_tells_what_models_ask() -> None:
    request = Request([], ("y",))
    assert (request.request_id(), request.correlation_id(), request.flags(), request.timeout()) == ("trial", 0, 0, 0)
    assert json.loads(request.parameters()) == {}
    assert list(request.requested_output_names()) == ["y"]


def test_texts_are_serialized_behind_their_length(module: TritonModule) -> None:
    assert bytes(module.serialize_byte_tensor(np.array([b"ab"], object))) == b"\x02\x00\x00\x00ab"


def test_logging_reaches_no_triton(module: TritonModule) -> None:
    module.Logger.log_info("text")
    module.Logger.log("text", module.Logger.WARNING)


def test_what_only_triton_has_says_so(module: TritonModule) -> None:
    with pytest.raises(OnlyInTriton, match=r"pb_utils\.InferenceRequest"):
        module.InferenceRequest(model_name="other")
    assert not hasattr(module, "__path__")
