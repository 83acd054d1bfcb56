from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from converters.errors import BadData, BadSource, Unsupported
from converters.precision.base import Calibration
from converters.precision.fp8 import Fp8FromOnnx
from converters.verify import onnx_runner
from converters.verify.onnx_runner import OnnxRunner
from tests.converters.build.building import small_model
from tests.converters.verify.doubles import Batches, doubling, graph

FLOAT, BF16 = TensorProto.FLOAT, TensorProto.BFLOAT16


def test_runs_a_model_and_a_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(doubling(), path)
    for model in (doubling(), path):
        runner = OnnxRunner(model, threads=1)
        assert runner.name.startswith("onnxruntime 1.")
        np.testing.assert_array_equal(runner.run({"x": np.ones((2, 3), np.float32)})["y"], np.full((2, 3), 2))
        runner.close()


def test_model_too_large_for_a_message_goes_through_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    model = graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        {"x": (FLOAT, ["n", 1000])},
        {"y": FLOAT},
        {"w": np.arange(1000, dtype=np.float32)},
    )
    before = model.SerializeToString()
    monkeypatch.setattr(onnx_runner, "MESSAGE_LIMIT", 100)
    result = OnnxRunner(model).run({"x": np.zeros((1, 1000), np.float32)})
    np.testing.assert_array_equal(result["y"][0], np.arange(1000))
    assert model.SerializeToString() == before


def test_strings_pass() -> None:
    model = graph(
        [helper.make_node("Identity", ["x"], ["y"])], {"x": (TensorProto.STRING, ["n"])}, {"y": TensorProto.STRING}
    )
    assert OnnxRunner(model).run({"x": np.array(["a", "bc"])})["y"].tolist() == ["a", "bc"]


@pytest.mark.parametrize("kind", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_other_widths_of_floats_are_converted(kind: type) -> None:
    assert OnnxRunner(doubling()).run({"x": np.ones((1, 3), kind)})["y"].tolist() == [[2, 2, 2]]


@pytest.mark.parametrize(
    ("feeds", "told"),
    [
        ({}, r"has no x: FP32 \[n, 3\]"),
        ({"z": np.ones((1, 3), np.float32)}, "it has z FP32"),
        ({"x": np.ones((1, 3), np.float32), "z": np.ones(1)}, "has no input z"),
        ({"x": np.ones((1, 4), np.float32)}, r"input 'x' is FP32 \[1, 4\].*takes x: FP32 \[n, 3\]"),
        ({"x": np.ones(3, np.float32)}, r"input 'x' is FP32 \[3\]"),
        ({"x": np.ones((1, 3), np.int64)}, r"input 'x' is INT64 \[1, 3\]"),
        ({"x": np.ones((1, 3), np.complex64)}, r"input 'x' is complex64"),
    ],
)
def test_what_the_model_does_not_take(feeds: dict[str, np.ndarray], told: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(BadData, match=told):
        OnnxRunner(doubling()).run(feeds)


def test_shapes_that_do_not_fit_inside_name_the_node() -> None:
    model = graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="project")],
        {"x": (FLOAT, ["n", "k"])},
        {"y": FLOAT},
        {"w": np.ones((2, 2), np.float32)},
    )
    with pytest.raises(BadData, match=r"node project \(MatMul\): .* x FP32 \[1, 3\]") as told:
        OnnxRunner(model).run({"x": np.ones((1, 3), np.float32)})
    assert "/onnxruntime" not in str(told.value)


def test_operator_without_an_implementation_is_named() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=BF16),
        helper.make_node("Add", ["a", "a"], ["b"], name="low"),
        helper.make_node("Cast", ["b"], ["y"], to=FLOAT),
    ]
    with pytest.raises(Unsupported, match=r"node low \(Add\).*FP32"):
        OnnxRunner(graph(nodes, {"x": (FLOAT, [1])}, {"y": FLOAT}))


def test_node_of_mixed_types_is_named() -> None:
    node = helper.make_node("Add", ["x", "w"], ["y"], name="mixed")
    model = graph([node], {"x": (FLOAT, [1])}, {"y": FLOAT}, {"w": np.ones(1, np.float16)})
    with pytest.raises(BadSource, match=r"node mixed \(Add\)"):
        OnnxRunner(model)


@pytest.mark.parametrize("domain", ["", "own"])
def test_unknown_operator_is_named(domain: str) -> None:
    node = helper.make_node("Frobnicate", ["x"], ["y"], name="odd", domain=domain)
    with pytest.raises(Unsupported, match=r"node odd \(Frobnicate\).*operators of ONNX"):
        OnnxRunner(graph([node], {"x": (FLOAT, [1])}, {"y": FLOAT}))


def test_bf16_inputs_and_outputs_and_what_is_no_tensor() -> None:
    cast = [helper.make_node("Cast", ["x"], ["y"], to=BF16)]
    with pytest.raises(Unsupported, match="output 'y' is BF16"):
        OnnxRunner(graph(cast, {"x": (FLOAT, [1])}, {"y": BF16})).run({"x": np.ones(1, np.float32)})
    cast = [helper.make_node("Cast", ["x"], ["y"], to=FLOAT)]
    with pytest.raises(Unsupported, match="input 'x' is BF16"):
        OnnxRunner(graph(cast, {"x": (BF16, [1])}, {"y": FLOAT}))
    model = graph([helper.make_node("SequenceConstruct", ["x"], ["y"])], {"x": (FLOAT, [1])}, {})
    model.graph.output.append(helper.make_tensor_sequence_value_info("y", FLOAT, None))
    with pytest.raises(Unsupported, match="output 'y' is no plain tensor"):
        OnnxRunner(model).run({"x": np.ones(1, np.float32)})


def test_damaged_and_missing_files_and_invalid_graphs(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(doubling().SerializeToString()[:-7])
    dangling = graph([helper.make_node("Abs", ["none"], ["y"])], {"x": (FLOAT, [1])}, {"y": FLOAT})
    for model in (damaged, tmp_path / "none.onnx", dangling):
        with pytest.raises(BadSource, match="does not load the model"):
            OnnxRunner(model)


def test_fp8_is_computed_as_it_says_only_without_merging() -> None:
    feeds = {"x": np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)}
    quantised = Fp8FromOnnx(small_model(), Batches([feeds]), Calibration())()
    (expected,) = ReferenceEvaluator(quantised).run(None, feeds)
    np.testing.assert_allclose(OnnxRunner(quantised, fuse=False).run(feeds)["y"], expected, rtol=1e-4, atol=1e-5)
