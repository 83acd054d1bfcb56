import numpy as np
import onnx
import pytest

from converters.errors import ConfigError, Unsupported
from converters.precision.emulated import EmulatedFromMixed
from converters.precision.low import BF16, FP16, LOW_FLOATS, LowFloat
from converters.precision.mixed import mixed
from tests.converters.precision.graphs_in_text import conv_net, graph, inputs_of, operators, run, type_of

CHAIN = "(float[2] x) => (float[2] y) { a = Relu(x) b = Neg(a) c = Exp(a) y = Add(b, c) }"


def test_casts_stand_at_the_boundaries_once() -> None:
    found = mixed(graph(CHAIN), FP16, keep_io=True, keep=frozenset({"a"}))
    assert operators(found.model) == ["Relu", "Cast", "Neg", "Exp", "Add", "Cast"]
    assert inputs_of(found.model, "b") == inputs_of(found.model, "c") == ["FLOAT16"]
    assert found.low == ("b", "c", "y")
    assert found.kept == {"a": "it was asked for"}


def test_inputs_and_outputs_can_change_too() -> None:
    model = mixed(graph(CHAIN), FP16, keep_io=False).model
    assert operators(model) == ["Relu", "Neg", "Exp", "Add"]
    assert (type_of(model, "x"), type_of(model, "y")) == ("FLOAT16", "FLOAT16")
    assert run(model, {"x": np.array([1, -1], np.float16)})["y"].dtype == np.float16


def test_changed_inputs_and_outputs_of_kept_nodes_are_cast() -> None:
    model = mixed(graph(CHAIN), FP16, keep_io=False, keep=frozenset({"a", "y"})).model
    assert (type_of(model, "x"), type_of(model, "y")) == ("FLOAT16", "FLOAT16")
    assert inputs_of(model, "a") == ["FLOAT"]
    assert inputs_of(model, "y") == ["FLOAT", "FLOAT"]
    x = np.array([0.5, -1], np.float16)
    assert np.allclose(run(model, {"x": x})["y"], run(graph(CHAIN), {"x": x.astype(np.float32)})["y"], atol=1e-3)


def test_a_shared_weight_is_there_in_each_type_that_is_read() -> None:
    model = graph(
        "(float[2] x) => (float[2] y) { a = Mul(x, w) b = Add(a, w) y = Sub(b, w) }",
        weights={"w": np.array([0.5, 2], np.float32)},
    )
    found = mixed(model, FP16, keep_io=True, keep=frozenset({"b"})).model
    assert inputs_of(found, "b") == ["FLOAT", "FLOAT"]
    assert inputs_of(found, "a") == inputs_of(found, "y") == ["FLOAT16", "FLOAT16"]
    assert sorted(tensor.name for tensor in found.graph.initializer) == ["w", "w_fp16"]
    assert [tensor.name for tensor in mixed(model, FP16, keep_io=True).model.graph.initializer] == ["w_fp16"]


def test_attributes_that_say_a_type_follow() -> None:
    model = graph(
        """(int64[2] i, float[2] x) => (float[2] y) {
        f = Cast<to = 1>(i)
        k = ConstantOfShape<value = float[1] {3.0}>(n)
        a = Mul(f, k)
        y = Add(a, x)
    }""",
        weights={"n": np.array([2])},
    )
    found = mixed(model, FP16, keep_io=True).model
    assert inputs_of(found, "a") == ["FLOAT16", "FLOAT16"]
    result = run(found, {"i": np.array([1, 2]), "x": np.array([0, 1], np.float32)})
    assert result["y"].tolist() == [3, 7]


def test_an_empty_attribute_of_made_constants_follows() -> None:
    model = graph("(int64[1] n, float[2] x) => (float[2] y) { k = ConstantOfShape(n) y = Add(k, x) }")
    found = mixed(model, FP16, keep_io=True).model
    assert run(found, {"n": np.array([2]), "x": np.array([1, 2], np.float32)})["y"].tolist() == [1, 2]


BODIES = """(bool c, float[2] x) => (float[2] z) {
    a = Exp(x)
    y = If(c) <then_branch = yes () => (float[2] p) { p = Mul(a, x) },
        else_branch = no () => (float[2] q) { q = Neg(x) }>
    z = Add(y, a)
}"""


@pytest.mark.parametrize("keep_io", [True, False])
def test_bodies_go_on_in_fp32(keep_io: bool) -> None:
    found = mixed(graph(BODIES), FP16, keep_io=keep_io)
    assert found.kept == {"y": "it holds a graph of its own"}
    x = np.array([0.5, 1], np.float16)
    for condition in (True, False):
        wanted = run(graph(BODIES), {"c": np.array(condition), "x": x.astype(np.float32)})["z"]
        result = run(found.model, {"c": np.array(condition), "x": x.astype(np.float32 if keep_io else np.float16)})
        assert np.allclose(result["z"], wanted, rtol=2e-3)


def test_masks_stay_finite() -> None:
    mask = np.array([0, np.finfo(np.float32).min], np.float32)
    model = mixed(graph("(float[2] x) => (float[2] y) { a = Add(x, m) y = Softmax(a) }", weights={"m": mask}), FP16,
                  keep_io=True).model  # fmt: skip
    assert run(EmulatedFromMixed(model)(), {"x": np.array([1, 1], np.float32)})["y"].tolist() == [1, 0]


@pytest.mark.parametrize("low", LOW_FLOATS, ids=lambda low: low.name)
@pytest.mark.parametrize("opset", [13, 18, 22])
def test_a_convolutional_net_stays_the_same_net(low: LowFloat, opset: int) -> None:
    model, feeds = conv_net(opset)
    found = mixed(model, low, keep_io=True)
    assert set(found.low) == {node.name for node in model.graph.node} - {"shape"}
    assert found.kept == {}
    assert operators(found.model).count("Cast") == 2
    result = run(EmulatedFromMixed(found.model)(), feeds)["scores"]
    assert np.max(np.abs(result - run(model, feeds)["scores"])) < (2e-3 if low is FP16 else 2e-2)


@pytest.mark.parametrize(("low", "target"), [(FP16, "SM75"), (BF16, "SM86")], ids=["fp16", "bf16"])
def test_tensorrt_takes_it(low: LowFloat, target: str) -> None:
    tensorrt = pytest.importorskip("tensorrt_rtx")
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, logger)
    model, _ = conv_net()
    assert parser.parse(mixed(model, low, keep_io=True, keep=frozenset({"both"})).model.SerializeToString())
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(tensorrt.ComputeCapability, target), 0)
    profile = builder.create_optimization_profile()
    profile.set_shape("image", (1, 3, 16, 16), (4, 3, 16, 16), (8, 3, 16, 16))
    config.add_optimization_profile(profile)
    assert builder.build_serialized_network(network, config) is not None


def test_the_original_is_left_alone_and_the_result_is_always_the_same() -> None:
    model, _ = conv_net()
    before = model.SerializeToString()
    first = mixed(model, FP16, keep_io=False).model
    assert model.SerializeToString() == before
    assert mixed(model, FP16, keep_io=False).model == first
    onnx.checker.check_model(first, full_check=True)


def test_a_model_without_anything_to_gain_is_refused() -> None:
    with pytest.raises(Unsupported, match="fp16: no node of this model can compute in FP16; use fp32"):
        mixed(graph("(int64[2] x) => (int64[2] y) { y = Neg(x) }"), FP16, keep_io=True)


def test_a_model_that_is_all_control_flow_is_refused_with_the_reason() -> None:
    model = graph(
        """(bool c, float[2] x) => (float[2] y) {
        y = If(c) <then_branch = a () => (float[2] p) { p = Neg(x) }, else_branch = b () => (float[2] q) { q = Abs(x) }>
    }"""
    )
    with pytest.raises(Unsupported, match=r"nodes inside y \(If\) stay in FP32: export the model without control flow"):
        mixed(model, FP16, keep_io=True)


def test_unknown_nodes_are_refused() -> None:
    with pytest.raises(ConfigError, match="there is no node 'nowhere'"):
        mixed(graph(CHAIN), FP16, keep_io=True, keep=frozenset({"nowhere"}))
