"""What goes in and out of the sandbox, through JSON and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.repository.confine import Limits
from gateway.repository.description import Check, Description, Hints, Prepared, Tensor
from gateway.repository.hardware import Hardware
from gateway.repository.sandbox_messages import Request, prepared_as_dict, prepared_from_dict

TENSOR = Tensor("x", "FP32", (-1, 4))


@pytest.mark.parametrize(
    "hints",
    [
        Hints(),
        Hints(inputs=(TENSOR,), sample=Path("/a.npz"), labels={"y": ("cat", "dog")}, batches=False, tolerance=0.5),
    ],
)
def test_a_request_comes_back_as_it_was(hints: Hints) -> None:
    request = Request(
        source=Path("/models/my.onnx"),
        name="my",
        scratch=Path("/scratch"),
        readable=(Path("/models/my.onnx"), Path("/models/my.yaml")),
        hints=hints,
        limits=Limits(100, 2.5, 10),
        hardware=Hardware(2, 1),
        existing="max_batch_size: 4\n",
        step="validate",
    )
    line = request.as_json()
    assert "\n" not in line
    assert Request.from_json(line) == request


def test_an_answer_comes_back_as_it_was() -> None:
    description = Description("onnx", "onnxruntime", "onnx", (TENSOR,), (TENSOR,), batches=True, filename="model.onnx")
    prepared = Prepared(Path("/model"), description, (Check("load", "quick", 0.1),), ({"name": "x", "data": [1.0]},))
    assert prepared_from_dict(json.loads(json.dumps(prepared_as_dict(prepared))), Path("/model")) == prepared


@pytest.mark.parametrize("answer", [{}, {"description": 1}, {"description": {}, "checks": [], "sample": []}])
def test_an_answer_that_makes_no_sense_is_no_prepared_model(answer: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        prepared_from_dict(answer, Path("/model"))
