from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="install the extra 'pytorch'")

import torch

from backends.pytorch import program
from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Tensor
from gateway.repository.kinds.exported import ExportedKind
from tests.backends.pytorch.torch_modules import Exported, Pair
from tests.backends.sample_models import exported_program, torchscript
from tests.gateway.repository.kinds.preparing import prepare, serve

KIND = ExportedKind()


def doubled(path: Path, **batch: int) -> Path:
    shapes = ({0: torch.export.Dim("batch", **batch)},)
    return exported_program(path, torch.nn.Linear(3, 2), (torch.zeros(2, 3),), shapes)


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    return doubled(tmp_path_factory.mktemp("drops") / "linear.pt2")


def test_the_signature_is_the_programs(dropped: Path, tmp_path: Path) -> None:
    assert KIND.recognise(dropped)
    assert not KIND.recognise(dropped.parent)
    assert KIND.companions(dropped) == ()
    version, found = prepare(KIND, dropped, tmp_path / "linear")
    assert (found.backend, found.filename, found.batches, found.ambiguous) == ("pytorch", "model.pt2", True, ())
    assert found.inputs == (Tensor("input", "FP32", (-1, 3)),)
    assert found.outputs == (Tensor("OUTPUT__0", "FP32", (-1, 2)),)
    assert (version / "model.pt2").read_bytes() == dropped.read_bytes()
    inputs = {"input": np.random.default_rng(1).random((5, 3), np.float32)}
    served, reference = serve(program, version, found, inputs), KIND.reference(version, found, inputs)
    np.testing.assert_allclose(served["OUTPUT__0"], reference["OUTPUT__0"], rtol=1e-5)


def test_the_reference_is_what_the_network_gives(tmp_path: Path) -> None:
    module = Exported()
    arguments: tuple[Any, ...] = (torch.tensor([[1.0, 2.0]]), 2, torch.ones(2))
    version, found = prepare(KIND, exported_program(tmp_path / "e.pt2", module, arguments), tmp_path / "e")
    inputs = {"x": np.array([[3, 4]], np.float32), "offset": np.array([1, 2], np.float32)}
    reference = KIND.reference(version, found, inputs)
    expected = module(torch.from_numpy(inputs["x"]), 2, torch.from_numpy(inputs["offset"]))
    assert {name: array.tolist() for name, array in reference.items()} == {
        name: tensor.tolist() for name, tensor in expected.items()
    }
    pair = exported_program(tmp_path / "pair.pt2", Pair(), ((torch.zeros(2), torch.zeros(2)),))
    version, found = prepare(KIND, pair, tmp_path / "pair")
    ones = dict.fromkeys((tensor.name for tensor in found.inputs), np.ones(2, np.float32))
    assert [array.tolist() for array in KIND.reference(version, found, ones).values()] == [[2, 2], [0, 0]]


def test_a_batch_with_a_limit_is_batched_only_within_it(tmp_path: Path) -> None:
    source = doubled(tmp_path / "linear.pt2", max=8)
    _, found = prepare(KIND, source, tmp_path / "one")
    assert not found.batches
    assert "say max_batch_size: 8" in found.ambiguous[0]
    _, found = prepare(KIND, source, tmp_path / "two", Hints(max_batch_size=8))
    assert (found.batches, found.ambiguous) == (True, ())
    _, found = prepare(KIND, source, tmp_path / "three", Hints(max_batch_size=9))
    assert not found.batches


class Apart(torch.nn.Module):  # type: ignore[misc]
    """Two inputs that have nothing to do with each other."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x * 2, y * 3


def test_first_dimensions_that_are_not_the_same_are_batched_only_if_somebody_says_so(tmp_path: Path) -> None:
    shapes = ({0: torch.export.Dim("n")}, {0: torch.export.Dim("m")})
    source = exported_program(tmp_path / "apart.pt2", Apart(), (torch.zeros(2, 3), torch.zeros(4, 3)), shapes)
    _, found = prepare(KIND, source, tmp_path / "one")
    assert not found.batches
    assert "not the same one" in found.ambiguous[0]
    _, found = prepare(KIND, source, tmp_path / "two", Hints(batches=True))
    assert (found.batches, found.ambiguous) == (True, ())


def test_hints_must_fit_the_program(dropped: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"no input 'inputs'.*did you mean 'input'"):
        prepare(KIND, dropped, tmp_path / "name", Hints(inputs=(Tensor("inputs", "FP32", (-1, 3)),)))
    with pytest.raises(ModelRefused, match="FP32 in the model, not INT64"):
        prepare(KIND, dropped, tmp_path / "type", Hints(inputs=(Tensor("input", "INT64", (-1, 3)),)))


def test_what_is_no_exported_program_is_refused(dropped: Path, tmp_path: Path) -> None:
    (tmp_path / "short.pt2").write_bytes(dropped.read_bytes()[:500])
    with pytest.raises(ModelRefused, match=r"'short\.pt2' is neither .* cut short"):
        prepare(KIND, tmp_path / "short.pt2", tmp_path / "short")
    script = torchscript(tmp_path / "script.pt2", torch.nn.Linear(3, 2))
    with pytest.raises(ModelRefused, match=r"is TorchScript; rename it to 'script\.pt'"):
        prepare(KIND, script, tmp_path / "script")
