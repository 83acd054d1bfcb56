from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="install the extra 'pytorch'")

import torch

from backends.common.batching import Batcher, Request
from backends.common.config import parse_config
from backends.common.errors import LoadError, RequestError
from backends.common.placement import Placement
from backends.common.signature import complete
from backends.pytorch.program import TorchModel, inspect, load
from tests.backends.pytorch.torch_modules import Affine, Exported, Features, Identity, Pair, Picky, Words
from tests.backends.sample_models import VALUES, exported_program, torchscript

CPU = Placement("CPU", 0)
BATCH = torch.export.Dim("batch")


def tensor(name: str, datatype: str = "TYPE_FP32", *dims: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "data_type": datatype, "dims": list(dims) or [-1], **more}


def loaded(folder: Path, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], **keys: Any) -> TorchModel:
    raw = {"name": "m", "max_batch_size": 0, "input": inputs, "output": outputs, **keys}
    return load(folder, parse_config(raw), CPU)


def x(*values: float) -> np.ndarray[Any, Any]:
    return np.array(values, np.float32)


def test_every_datatype_goes_through_torchscript(tmp_path: Path) -> None:
    torchscript(tmp_path / "model.pt", Identity())
    names = [name for name in VALUES if name != "BYTES"]
    inputs = [tensor(f"{name}__{index}", f"TYPE_{name}", -1, -1) for index, name in enumerate(names)]
    outputs = [tensor(f"OUT_{name}__{index}", f"TYPE_{name}", -1, -1) for index, name in enumerate(names)]
    model = loaded(tmp_path, inputs, outputs)
    results = model.run(
        {each["name"]: VALUES[name] for each, name in zip(inputs, names, strict=True)},
        [each["name"] for each in outputs],
    )
    assert [results[each["name"]].tolist() for each in outputs] == [VALUES[name].tolist() for name in names]


def test_plain_numbers_defaults_and_only_the_wanted_outputs(tmp_path: Path) -> None:
    torchscript(tmp_path / "model.pt", Affine())
    inputs = [tensor("scale", "TYPE_INT64", 1), tensor("x"), tensor("bias", optional=True)]
    model = loaded(tmp_path, inputs, [tensor("y"), tensor("twice")])
    scale = np.array([3])
    assert {name: array.tolist() for name, array in model.run({"x": x(1, 2), "scale": scale}, ["y"]).items()} == {
        "y": [3, 6]
    }
    with_bias = model.run({"x": x(1, 2), "scale": scale, "bias": x(10, 10)}, ["twice"])
    assert with_bias["twice"].tolist() == [26, 32]


def test_a_plain_number_keeps_requests_of_another_value_apart(tmp_path: Path) -> None:
    torchscript(tmp_path / "model.pt", Affine())
    inputs = [tensor("x", "TYPE_FP32", 2), tensor("scale", "TYPE_INT32", 1)]
    model = loaded(tmp_path, inputs, [tensor("y", "TYPE_FP32", 2)], max_batch_size=8)
    requests = [
        Request({"x": x(1, 2)[None], "scale": np.array([[scale]], np.int32)}, frozenset({"y"})) for scale in (2, 3, 2)
    ]
    outcomes = Batcher(model.run, batched=True, shared=model.shared).run_all(requests)
    assert [o["y"].tolist() for o in outcomes if not isinstance(o, RequestError)] == [[[2, 4]], [[3, 6]], [[2, 4]]]


def test_a_dictionary_in_and_out(tmp_path: Path) -> None:
    torchscript(tmp_path / "model.pt", Features())
    model = loaded(tmp_path, [tensor("a"), tensor("b")], [tensor("difference"), tensor("sum")])
    assert model.run({"a": x(5), "b": x(2)}, ["difference"])["difference"].tolist() == [3]


def test_strings(tmp_path: Path) -> None:
    torchscript(tmp_path / "model.pt", Words())
    model = loaded(
        tmp_path, [tensor("WORDS__0", "TYPE_STRING")], [tensor("a", "TYPE_STRING"), tensor("b", "TYPE_INT64")]
    )
    results = model.run({"WORDS__0": np.array([b"one", b"three"], object)}, ["a", "b"])
    assert (results["a"].tolist(), results["b"].tolist()) == ([b"one!", b"three!"], [3, 5])


def test_the_models_own_error_without_its_traceback(tmp_path: Path) -> None:
    torchscript(tmp_path / "model.pt", Picky())
    model = loaded(tmp_path, [tensor("x")], [tensor("y")])
    with pytest.raises(RequestError) as caught:
        model.run({"x": x(-1)}, ["y"])
    assert str(caught.value) == "PyTorch: negative number"


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ([tensor("x")], [tensor("y")], "config.pbtxt has no input for 'scale'"),
        (
            [tensor("x"), tensor("scale")],
            [tensor("y")],
            "'data_type' is TYPE_FP32, but the model's argument is a plain",
        ),
        ([tensor("x", "TYPE_STRING"), tensor("scale", "TYPE_INT64")], [tensor("y")], "argument is a Tensor"),
        (
            [tensor("x", optional=True), tensor("scale", "TYPE_INT64")],
            [tensor("y")],
            "input 'x': 'optional' is true in config.pbtxt, but the model has no default",
        ),
        (
            [tensor("x"), tensor("scale", "TYPE_INT64")],
            [tensor("y", "TYPE_STRING", 2, 2)],
            "'y' is a list of strings to the model and needs exactly one dimension",
        ),
    ],
)
def test_a_configuration_that_does_not_fit(
    tmp_path: Path, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], message: str
) -> None:
    torchscript(tmp_path / "model.pt", Affine())
    with pytest.raises(LoadError, match=message):
        loaded(tmp_path, inputs, outputs)


def test_torchscript_cannot_be_completed_and_says_what_is_needed(tmp_path: Path) -> None:
    torchscript(tmp_path / "model.pt", Affine())
    with pytest.raises(
        LoadError, match=r"must give .* of each input \(forward takes x: Tensor, scale: int, bias: Tensor"
    ):
        inspect(tmp_path, {})


def test_an_exported_program_is_completed_and_runs(tmp_path: Path) -> None:
    arguments = (torch.zeros(2, 3), 2, torch.ones(2, 3))
    exported_program(tmp_path / "model.pt2", Exported(), arguments, ({0: BATCH}, None, {0: BATCH}))
    raw = {"name": "m", "input": [], "output": [], "default_model_filename": "model.pt2"}
    completed = {**raw, **complete(raw, inspect(tmp_path, raw))}
    assert completed["max_batch_size"] == 4
    model = load(tmp_path, parse_config(completed), CPU)
    results = model.run({"x": np.full((5, 3), 3, np.float32), "offset": np.ones((5, 3), np.float32)}, ["y"])
    assert results.keys() == {"y"}
    assert results["y"].tolist() == [[10, 10, 10]] * 5


def test_a_nested_input_and_numbered_results_of_an_exported_program(tmp_path: Path) -> None:
    exported_program(tmp_path / "model.pt2", Pair(), ((torch.zeros(2), torch.zeros(2)),))
    raw = {"name": "m", "input": [], "output": [], "default_model_filename": "model.pt2"}
    config = parse_config({**raw, **complete(raw, inspect(tmp_path, raw))})
    first, second = (spec.name for spec in config.inputs)
    results = load(tmp_path, config, CPU).run({first: x(5, 6), second: x(1, 2)}, ["OUTPUT__1", "OUTPUT__0"])
    assert {name: array.tolist() for name, array in results.items()} == {"OUTPUT__0": [6, 8], "OUTPUT__1": [4, 4]}


def test_a_shape_that_the_program_was_not_exported_for(tmp_path: Path) -> None:
    arguments = (torch.zeros(2, 3), 2, torch.ones(3))
    exported_program(tmp_path / "model.pt2", Exported(), arguments, ({0: BATCH}, None, None))
    inputs = [tensor("x", "TYPE_FP32", -1, 4), tensor("offset", "TYPE_FP32", 3)]
    with pytest.raises(LoadError, match=r"input 'x': 'dims' give the shape \[-1, 4\], but the model has \[-1, 3\]"):
        loaded(tmp_path, inputs, [tensor("y", "TYPE_FP32", -1, 3)], default_model_filename="model.pt2")


def test_released(tmp_path: Path) -> None:
    torchscript(tmp_path / "model.pt", Picky())
    model = loaded(tmp_path, [tensor("x")], [tensor("y")])
    model.close()
    with pytest.raises(RequestError, match="released"):
        model.run({"x": x(1)}, ["y"])
