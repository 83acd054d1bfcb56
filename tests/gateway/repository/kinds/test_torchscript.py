from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="install the extra 'pytorch'")

import torch

from backends.pytorch import program
from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Tensor
from gateway.repository.hints import read_hints
from gateway.repository.kinds.torchscript import TorchScriptKind
from tests.backends.pytorch.torch_modules import Affine, Features, Nested, Words
from tests.backends.sample_models import exported_program, torchscript
from tests.gateway.repository.kinds.preparing import prepare, serve

KIND = TorchScriptKind()


class Net(torch.nn.Module):  # type: ignore[misc]
    """A small network of images: scores, and a map."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Conv2d(3, 4, 3, stride=2)
        self.classes = torch.nn.Linear(4, 5)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.features(image)
        return self.classes(found.mean((2, 3))), found


class OneRow(torch.nn.Module):  # type: ignore[misc]
    """Has a batch of one written into it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(1, 3) * 2


class Running(torch.nn.Module):  # type: ignore[misc]
    """The sums so far, along the time in front."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.cumsum(0)


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(1)
    return Net().eval()


@pytest.fixture(scope="module")
def dropped(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drops") / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch, about TorchScript as a whole
        torch.jit.trace(net, torch.zeros(1, 3, 32, 32)).save(str(path))
    return path


def image(*shape: int) -> Hints:
    return Hints(inputs=(Tensor("image", "FP32", shape),))


def test_files_are_recognised_by_their_suffix(dropped: Path, tmp_path: Path) -> None:
    assert KIND.recognise(dropped)
    assert not KIND.recognise(dropped.parent)
    assert not KIND.recognise(dropped.with_suffix(".onnx"))
    assert KIND.companions(dropped) == ()


def test_outputs_are_found_by_running_and_equal_the_networks(net: Any, dropped: Path, tmp_path: Path) -> None:
    version, found = prepare(KIND, dropped, tmp_path / "net", image(-1, 3, -1, -1))
    assert (found.backend, found.filename, found.batches, found.ambiguous) == ("pytorch", "model.pt", True, ())
    assert found.outputs == (Tensor("OUTPUT__0", "FP32", (-1, 5)), Tensor("OUTPUT__1", "FP32", (-1, 4, -1, -1)))
    assert (version / "model.pt").stat().st_size == found.size_bytes
    array = np.random.default_rng(1).random((3, 3, 40, 40), np.float32)
    reference = KIND.reference(version, found, {"image": array})
    with torch.inference_mode():
        expected = net(torch.from_numpy(array))
    served = serve(program, version, found, {"image": array})
    assert served.keys() == reference.keys()
    for name, given in served.items():
        np.testing.assert_allclose(given, reference[name], rtol=1e-5, atol=1e-6)
    for given, wanted in zip(reference.values(), expected, strict=True):
        np.testing.assert_allclose(given, wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_a_fixed_shape_does_not_batch(dropped: Path, tmp_path: Path) -> None:
    _, found = prepare(KIND, dropped, tmp_path / "net", image(1, 3, 64, 64))
    assert [tensor.shape for tensor in found.outputs] == [(1, 5), (1, 4, 31, 31)]
    assert not found.batches


def test_outputs_are_named_as_was_said_and_inputs_by_place(dropped: Path, tmp_path: Path) -> None:
    inputs = (Tensor("picture", "FP32", (-1, 3, 64, 64)),)
    hints = Hints(inputs=inputs, outputs=(Tensor("map__1", "FP32", (-1, 4, 31, 31)),))
    version, found = prepare(KIND, dropped, tmp_path / "net", hints)
    assert found.outputs == hints.outputs
    assert "the inputs picture go to the arguments image of forward by their place" in found.ambiguous[0]
    reference = KIND.reference(version, found, {"picture": np.zeros((1, 3, 64, 64), np.float32)})
    assert {name: array.shape for name, array in reference.items()} == {"map__1": (1, 4, 31, 31)}


def test_more_outputs_than_there_are_is_refused(dropped: Path, tmp_path: Path) -> None:
    outputs = tuple(Tensor(name, "FP32", ()) for name in "abc")
    hints = Hints(inputs=image(-1, 3, 32, 32).inputs, outputs=outputs)
    with pytest.raises(ModelRefused, match="3 outputs were said, but forward returns 2"):
        prepare(KIND, dropped, tmp_path / "net", hints)


def test_without_hints_it_says_what_forward_takes_and_three_ways_to_say_more(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused) as refusal:
        prepare(KIND, torchscript(tmp_path / "affine.pt", Affine()), tmp_path / "affine")
    message = refusal.value.message
    assert "forward takes 3 arguments (x: Tensor, scale: int, bias: Tensor)" in message
    assert "'affine.yaml' beside 'affine.pt'" in message
    assert "--input x:FP32:-1,3,224,224 --input scale:INT64:-1,1" in message
    assert "numpy.savez('affine.npz', x=..., scale=..., bias=...)" in message
    example = message[message.index("inputs:\n") : message.index("  2.")]
    (tmp_path / "affine.yaml").write_text(example, encoding="utf-8")
    assert [tensor.name for tensor in read_hints(tmp_path / "affine.pt").inputs] == ["x", "scale", "bias"]


def test_a_sample_tells_names_datatypes_and_shapes(dropped: Path, tmp_path: Path) -> None:
    source = tmp_path / "net.pt"
    source.write_bytes(dropped.read_bytes())
    np.savez(tmp_path / "net.npz", image=np.zeros((1, 3, 48, 48), np.float32))
    _, found = prepare(KIND, source, tmp_path / "net", read_hints(source))
    assert found.inputs == (Tensor("image", "FP32", (-1, 3, 48, 48)),)
    assert found.batches
    assert "taken as the batch" in found.ambiguous[0]


def test_a_sample_of_a_model_of_one_size_tells_that_size(tmp_path: Path) -> None:
    source = torchscript(tmp_path / "one.pt", OneRow())
    np.savez(tmp_path / "one.npz", x=np.zeros((1, 3), np.float32))
    _, found = prepare(KIND, source, tmp_path / "one", read_hints(source))
    assert (found.inputs[0].shape, found.outputs[0].shape, found.batches) == ((1, 3), (1, 3), False)
    assert "the sample's shape always" in found.ambiguous[0]


def test_a_batch_of_one_size_is_refused(tmp_path: Path) -> None:
    hints = Hints(inputs=(Tensor("x", "FP32", (-1, 3)),))
    with pytest.raises(ModelRefused, match="first dimension of 1, but not of 2"):
        prepare(KIND, torchscript(tmp_path / "one.pt", OneRow()), tmp_path / "one", hints)


def test_time_in_front_is_no_batch(tmp_path: Path) -> None:
    hints = Hints(inputs=(Tensor("x", "FP32", (-1, 3)),))
    _, found = prepare(KIND, torchscript(tmp_path / "sum.pt", Running()), tmp_path / "sum", hints)
    assert not found.batches
    assert "rows of the first dimension depend on each other" in found.ambiguous[0]


def test_plain_numbers_dictionaries_and_strings_are_served(tmp_path: Path) -> None:
    inputs = (Tensor("x", "FP32", (-1, 2)), Tensor("scale", "INT64", (-1, 1)))
    _, affine = prepare(KIND, torchscript(tmp_path / "a.pt", Affine()), tmp_path / "a", Hints(inputs=inputs))
    assert affine.batches
    pair = (Tensor("a", "FP32", (-1, 2)), Tensor("b", "FP32", (-1, 2)))
    _, features = prepare(KIND, torchscript(tmp_path / "f.pt", Features()), tmp_path / "f", Hints(inputs=pair))
    assert [tensor.name for tensor in features.outputs] == ["sum", "difference"]
    texts = Hints(inputs=(Tensor("words", "BYTES", (-1,)),))
    version, words = prepare(KIND, torchscript(tmp_path / "w.pt", Words()), tmp_path / "w", texts)
    assert [tensor.datatype for tensor in words.outputs] == ["BYTES", "INT64"]
    reference = KIND.reference(version, words, {"words": np.array([b"one"], object)})
    assert reference["OUTPUT__1"].tolist() == [3]


def test_what_no_tensor_can_feed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"argument 'tensors' of forward is List\[Tensor\]"):
        prepare(KIND, torchscript(tmp_path / "nested.pt", Nested()), tmp_path / "nested")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_is_refused_with_the_ways_out(net: Any, zipped: bool, tmp_path: Path) -> None:
    source = tmp_path / "weights.pth"
    torch.save(net.state_dict(), source, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ModelRefused, match=r"not the network(.|\n)*jit\.trace.*'weights\.pt'(.|\n)*torch\.export\.save"
    ):
        prepare(KIND, source, tmp_path / "weights")


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ModelRefused, match=r"'text\.pt' is neither TorchScript"):
        prepare(KIND, tmp_path / "text.pt", tmp_path / "text")
    exported = exported_program(tmp_path / "net.pt", OneRow(), (torch.zeros(1, 3),))
    with pytest.raises(ModelRefused, match=r"rename it to 'net\.pt2'"):
        prepare(KIND, exported, tmp_path / "net")
