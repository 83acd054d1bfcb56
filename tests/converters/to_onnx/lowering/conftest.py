"""ONNX Runtime as the oracle, TensorRT-RTX as the builder, and trees made of random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest

from converters.arrays import Array
from converters.to_onnx.lowering.tensor_operators import TensorOperatorsFromOnnx

CLASSICAL = "ai.onnx.ml"
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")

Compare: TypeAlias = Callable[..., list[Array]]
Model: TypeAlias = Callable[..., onnx.ModelProto]
Build: TypeAlias = Callable[[onnx.ModelProto], None]
Trees: TypeAlias = Callable[..., dict[str, Any]]


def results(model: onnx.ModelProto, rows: Array) -> list[Array]:
    """What ONNX Runtime gives; a list of dictionaries as a matrix."""
    import onnxruntime  # noqa: PLC0415 - slow to import

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(None, {session.get_inputs()[0].name: rows})
    return [np.array([list(row.values()) for row in v]) if isinstance(v, list) else np.asarray(v) for v in values]


@pytest.fixture(scope="session")
def compare() -> Compare:
    """Asserts that a model gives the same when written out: labels exactly, scores within 1e-6. Gives the results."""

    def compared(model: onnx.ModelProto, rows: Array, tolerance: float = 1e-6) -> list[Array]:
        lowered = TensorOperatorsFromOnnx(model)()
        onnx.checker.check_model(lowered)
        assert {node.domain for node in lowered.graph.node} == {""}
        wanted, given = results(model, rows), results(lowered, rows)
        for before, after in zip(wanted, given, strict=True):
            assert before.shape == after.shape
            if before.dtype.kind == "f":
                np.testing.assert_allclose(after, before, rtol=2e-6, atol=tolerance)
            elif before.dtype.kind == "i":
                np.testing.assert_array_equal(after, before)
        return given

    return compared


@pytest.fixture(scope="session")
def classical() -> Model:
    """Makes a model of one operator of `ai.onnx.ml` over "rows" [batch, features]."""

    def made(
        operator: str,
        *outputs: int,
        features: int = 4,
        version: int = 3,
        kind: int = onnx.TensorProto.FLOAT,
        constants: Sequence[Array] = (),
        **attributes: Any,
    ) -> onnx.ModelProto:
        names = [f"constant{number}" for number in range(len(constants))]
        outs = [f"output{number}" for number in range(len(outputs))]
        node = onnx.helper.make_node(operator, ["rows", *names], outs, name="it", domain=CLASSICAL, **attributes)
        graph = onnx.helper.make_graph(
            [node],
            "classical",
            [onnx.helper.make_tensor_value_info("rows", kind, ["batch", features])],
            [
                onnx.helper.make_tensor_value_info(
                    name, out, ["batch", None] if out == onnx.TensorProto.FLOAT else ["batch"]
                )
                for name, out in zip(outs, outputs, strict=True)
            ],
            [onnx.numpy_helper.from_array(values, name) for values, name in zip(constants, names, strict=True)],
        )
        opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid(CLASSICAL, version)]
        return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)

    return made


@pytest.fixture(scope="session")
def random_trees() -> Trees:
    """Makes attributes of trees with random shapes, features, modes and thresholds of a few round numbers."""

    def made(
        rng: np.random.Generator,
        *,
        trees: int = 5,
        features: int = 4,
        modes: Sequence[str] = MODES,
        depth: int = 5,
        infinite: bool = True,
    ) -> dict[str, Any]:
        lists: dict[str, list[Any]] = {
            name: [] for name in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
        }
        missing, leaves = [], []
        thresholds = [-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, *((np.inf, -np.inf) if infinite else ())]
        for tree in range(trees):
            waiting, number = [(0, 0)], 1
            while waiting:
                node, level = waiting.pop()
                leaf = level >= depth or (level > 0 and rng.random() < 0.3)
                if leaf:
                    leaves.append((tree, node))
                else:
                    waiting += [(number, level + 1), (number + 1, level + 1)]
                true, false = (0, 0) if leaf else rng.permutation([number, number + 1]).tolist()
                number += 0 if leaf else 2
                mode = "LEAF" if leaf else str(rng.choice(modes))
                entry = (tree, node, int(rng.integers(features)), mode, float(rng.choice(thresholds)), true, false)
                for name, value in zip(lists, entry, strict=True):
                    lists[name].append(value)
                missing.append(int(rng.integers(2)))
        attributes: dict[str, Any] = {f"nodes_{name}": values for name, values in lists.items()}
        return attributes | {"nodes_missing_value_tracks_true": missing, "leaves": leaves}

    return made


@pytest.fixture(scope="session")
def awkward_rows() -> Array:
    """Rows of four features: round numbers that thresholds equal, zeros of both signs, infinities and NaN."""
    rng = np.random.default_rng(7)
    largest = np.finfo(np.float32).max
    values = [-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, np.inf, -np.inf, largest, -largest, np.nan, np.nan]
    return rng.choice(np.array(values, np.float32), size=(300, 4))


@pytest.fixture(scope="session")
def build() -> Build:
    """Asserts that TensorRT-RTX builds a written-out model for Turing and Blackwell; skips where it is missing."""
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx builds engines without a GPU, but is not installed")

    def built(model: onnx.ModelProto) -> None:
        builder = trt.Builder(logger := trt.Logger(trt.Logger.ERROR))
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, logger)
        parsed = parser.parse(TensorOperatorsFromOnnx(model)().SerializeToString())
        assert parsed, [parser.get_error(number).desc() for number in range(parser.num_errors)]
        config = builder.create_builder_config()
        config.num_compute_capabilities = 2
        for number, target in enumerate((trt.ComputeCapability.SM75, trt.ComputeCapability.SM120)):
            config.set_compute_capability(target, number)
        profile = builder.create_optimization_profile()
        for number in range(network.num_inputs):
            tensor = network.get_input(number)
            assert tensor.shape[0] == -1
            rest = tuple(tensor.shape)[1:]
            profile.set_shape(tensor.name, (1, *rest), (8, *rest), (16, *rest))
        config.add_optimization_profile(profile)
        assert builder.build_serialized_network(network, config) is not None

    return built
