import numpy as np
import pytest
import torch

from converters.errors import BadData, ConfigError, Unsupported
from converters.graph.opset import opset_of
from converters.graph.signature import signature_of
from converters.to_onnx.module import OnnxFromModule, arguments
from converters.to_onnx.simplify import SimplifiedFromOnnx
from tests.converters.framework_models import answers
from tests.converters.torch_models import Decomposing, FixedBatch, Listing, Looping, Pair, Weighted


def rows(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_the_onnx_gives_what_the_module_gives_for_any_batch() -> None:
    module = Weighted()
    # A sample of one row, in another order than forward's arguments.
    model = SimplifiedFromOnnx(OnnxFromModule(module, {"mask": rows(1, 3), "x": rows(1, 4)}))()
    assert opset_of(model) == 18
    assert [str(tensor) for tensor in signature_of(model).inputs] == ["x: FP32 [batch, 4]", "mask: FP32 [batch, 3]"]
    for batch in (1, 3):
        feeds = {"x": rows(batch, 4), "mask": rows(batch, 3)}
        with torch.no_grad():
            expected = module(**{name: torch.from_numpy(array) for name, array in feeds.items()})
        found = answers(model, feeds)
        assert list(found) == ["scores", "sums"]
        for name, tensor in expected.items():
            np.testing.assert_allclose(found[name], tensor.numpy(), atol=1e-6)


def test_further_axes_can_be_dynamic_and_outputs_named() -> None:
    model = SimplifiedFromOnnx(
        OnnxFromModule(Pair(), {"x": rows(2, 1)}, dynamic={"x": {1: "length"}}, outputs=("double", "running"))
    )()
    signature = signature_of(model)
    assert [str(each) for each in (*signature.inputs, *signature.outputs)] == [
        "x: FP32 [batch, length]", "double: FP32 [batch, length]", "running: FP32 [batch, length]",
    ]  # fmt: skip
    np.testing.assert_allclose(answers(model, {"x": np.ones((1, 5), np.float32)})["running"], [[1, 2, 3, 4, 5]])


def test_a_fixed_batch_is_refused() -> None:
    with pytest.raises(Unsupported, match=r"for any batch size: .*batch.*constant \(2\)"):
        OnnxFromModule(FixedBatch(), {"x": rows(2, 4)})()


def test_branches_on_values_are_refused() -> None:
    with pytest.raises(Unsupported, match="cannot follow the module"):
        OnnxFromModule(Looping(), {"x": rows(2, 4)})()


def test_operators_without_a_counterpart_are_named_with_their_node() -> None:
    with pytest.raises(Unsupported, match=r"ONNX has no operator for aten\._linalg_svd") as caught:
        OnnxFromModule(Decomposing(), {"x": rows(2, 3, 3)})()
    assert "aten._linalg_svd" in caught.value.place.node


def test_results_that_are_no_tensors_are_refused() -> None:
    with pytest.raises(Unsupported, match="result 0 of the program is a number and no tensor"):
        OnnxFromModule(Listing(), {"x": rows(2, 3)})()


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        (None, "there is no sample"),
        ({"y": rows(2, 4)}, "'y', which is no argument"),
        (
            {"x": rows(2, 7), "mask": rows(2, 3)},
            r"does not take the sample \(x float32 \[2, 7\], mask float32 \[2, 3\]\)",
        ),
    ],
)
def test_a_sample_that_does_not_fit_is_told(
    sample: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] | None, told: str
) -> None:
    with pytest.raises(BadData, match=told):
        OnnxFromModule(Weighted(), sample)()


def test_as_many_names_as_outputs() -> None:
    with pytest.raises(ConfigError, match="1 output names are given"):
        OnnxFromModule(Pair(), {"x": rows(2, 4)}, outputs=("one",))()


def test_arguments_of_any_name_are_taken() -> None:
    class Any_(torch.nn.Module):  # type: ignore[misc] # PyTorch has no types here  # noqa: N801 - a test's
        def forward(self, x: torch.Tensor, *, y: torch.Tensor, **more: torch.Tensor) -> torch.Tensor:
            return x + y + sum(more.values())

    assert arguments(Any_(), {"z": rows(1), "x": rows(1)}) == ["x", "y", "z"]


def test_nodes_are_named_after_their_modules() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    model = OnnxFromModule(module, {"input": rows(2, 4)})()
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert {name.partition("/")[0] for name in names} >= {"0", "2"}


class Squashed(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        embedding = torch.tanh(x)
        return embedding / embedding.norm(dim=1, keepdim=True)


def test_an_output_may_be_called_as_a_value_inside_is() -> None:
    plain = OnnxFromModule(Squashed(), {"x": rows(2, 4)})()
    inner = plain.graph.node[0].output[0]
    model = SimplifiedFromOnnx(OnnxFromModule(Squashed(), {"x": rows(2, 4)}, outputs=(inner,)))()
    feeds = {"x": rows(3, 4)}
    expected = Squashed()(torch.from_numpy(feeds["x"])).numpy()
    np.testing.assert_allclose(answers(model, feeds)[inner], expected, atol=1e-6)
