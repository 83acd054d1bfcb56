import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.common.adapter import ServedModel, auto_complete, load
from backends.common.config import ModelConfig
from backends.common.datatypes import Array
from backends.common.errors import LoadError, RequestError
from backends.common.fake import (
    FakeError,
    FakeModelConfig,
    FakeModelError,
    FakePythonBackend,
    FakeRequest,
    FakeTensor,
)
from backends.common.placement import Placement
from backends.common.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "TYPE_FP32", (-1, 2)),), (TensorSpec("y", "TYPE_FP32", (-1, 2)),))


def tensor(name: str, datatype: str = "TYPE_FP32") -> dict[str, Any]:
    return {"name": name, "data_type": datatype, "dims": [2]}


CONFIG = {"name": "m", "max_batch_size": 4, "input": [tensor("x"), tensor("b", "TYPE_BF16")], "output": [tensor("y")]}


class Runner:
    """Doubles `x`; refuses zeros; gives the bits of `b` back."""

    shared: frozenset[str] = frozenset()
    scalars = frozenset({"rate"})
    closed = False

    def run(self, inputs: Mapping[str, Array], outputs: Collection[str]) -> Mapping[str, Array]:
        if (inputs["x"] == 0).any():
            raise RequestError("a zero", invalid=True)
        results = {
            "y": inputs["x"] * 2,
            "rank": np.array(float(inputs.get("rate", np.empty(9)).ndim)),
            "c": inputs.get("b", np.empty(0)),
        }
        return {name: results[name] for name in outputs}

    def close(self) -> None:
        self.closed = True


class Backend:
    """Knows one signature; refuses to load at will."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.inspected: list[Path] = []
        self.loaded: list[tuple[Path, ModelConfig, Placement]] = []

    def inspect(self, folder: Path, raw: Mapping[str, Any]) -> Signature:
        assert raw["name"] == "m"
        self.inspected.append(folder)
        if self.error:
            raise self.error
        return SIGNATURE

    def load(self, folder: Path, config: ModelConfig, placement: Placement) -> Runner:
        self.loaded.append((folder, config, placement))
        if self.error:
            raise self.error
        return Runner()


def served(config: dict[str, Any] | None = None) -> ServedModel:
    args = {"model_config": json.dumps(config or CONFIG), "model_instance_kind": "CPU"}
    return load(FakePythonBackend(Path("/repo/m/1")), Backend(), args)


def x(*row: float) -> FakeTensor:
    return FakeTensor("x", np.array([row], np.float32))


def test_an_incomplete_configuration_is_completed_from_the_models_folder() -> None:
    backend, config = Backend(), FakeModelConfig({"name": "m", "max_batch_size": 0, "input": [], "output": []})
    assert auto_complete(FakePythonBackend(Path("/repo/m/1")), backend, config) is config
    assert backend.inspected == [Path("/repo/m/1")]
    assert config.as_dict()["input"] == [tensor("x")]
    assert config.as_dict()["max_batch_size"] == 4


def test_a_complete_configuration_opens_no_model() -> None:
    backend = Backend()
    auto_complete(FakePythonBackend(Path()), backend, FakeModelConfig(dict(CONFIG)))
    assert backend.inspected == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LoadError("the file is cut\nshort"), "the file is cut short"),
        (KeyError("weights"), "KeyError: 'weights'"),
    ],
)
def test_a_model_that_cannot_be_served_is_a_load_error_of_one_line(error: Exception, message: str) -> None:
    api, backend = FakePythonBackend(Path()), Backend(error)
    with pytest.raises(FakeModelError) as completing:
        auto_complete(api, backend, FakeModelConfig({"name": "m"}))
    with pytest.raises(FakeModelError) as loading:
        load(api, backend, {"model_config": json.dumps(CONFIG)})
    for caught in (completing, loading):
        assert str(caught.value) == message
        assert caught.value.__context__ is None  # Triton would print the chain


def test_a_model_is_loaded_with_its_configuration_and_place() -> None:
    backend = Backend()
    args = {"model_config": json.dumps(CONFIG), "model_instance_kind": "GPU", "model_instance_device_id": "1"}
    load(FakePythonBackend(Path("/repo/m/1")), backend, args)
    ((folder, config, placement),) = backend.loaded
    assert (folder, config.name, placement) == (Path("/repo/m/1"), "m", Placement("GPU", 1))


def test_each_request_gets_its_response_in_order() -> None:
    responses = served().execute([FakeRequest([x(1, 2)]), FakeRequest([x(0, 1)]), FakeRequest([x(3, 4)])])
    assert [response.outputs.keys() for response in responses] == [{"y"}, set(), {"y"}]
    assert responses[2].outputs["y"].as_numpy().tolist() == [[6, 8]]
    assert (responses[1].error.message, responses[1].error.code) == ("a zero", FakeError.INVALID_ARG)


def test_bfloat16_goes_through_as_bits() -> None:
    config = {**CONFIG, "output": [tensor("c", "TYPE_BF16")]}
    bits = np.array([[0x3FC0, 0xC000]], np.uint16)
    request = FakeRequest([x(1, 2), FakeTensor("b", bits, "TYPE_BF16")], outputs=["c"])
    (response,) = served(config).execute([request])
    assert response.outputs["c"].bits().tolist() == bits.tolist()


def test_an_output_of_another_datatype_than_configured_is_the_models_failure() -> None:
    (response,) = served({**CONFIG, "output": [tensor("y", "TYPE_INT64")]}).execute([FakeRequest([x(1, 2)])])
    assert response.error.message == "output 'y' is float32, but config.pbtxt says TYPE_INT64"
    assert response.error.code == FakeError.INTERNAL


def test_a_request_that_cannot_be_read_hurts_only_itself() -> None:
    unreadable = FakeRequest([FakeTensor("x", np.zeros((1, 2), np.uint16), "TYPE_BF16")])
    good, bad = served().execute([FakeRequest([x(1, 2)]), unreadable])
    assert good.error is None
    assert bad.error.message.startswith("the request cannot be read: ")


def test_a_scalar_is_one_element_to_triton() -> None:
    config = {**CONFIG, "max_batch_size": 0, "output": [tensor("rank", "TYPE_FP64")]}
    (response,) = served(config).execute([FakeRequest([x(1, 2), FakeTensor("rate", np.array([16000]))])])
    assert response.outputs["rank"].as_numpy().tolist() == [0]


def test_outputs_come_in_the_configurations_order() -> None:
    config = {**CONFIG, "max_batch_size": 0, "output": [tensor("rank", "TYPE_FP64"), tensor("y")]}
    (response,) = served(config).execute([FakeRequest([x(1, 2)], outputs=["y", "rank"])])
    assert list(response.outputs) == ["rank", "y"]


def test_closing_releases_the_model() -> None:
    runner = Runner()
    ServedModel(FakePythonBackend(Path()), ModelConfig("m", 0, (), ()), runner).close()
    assert runner.closed
