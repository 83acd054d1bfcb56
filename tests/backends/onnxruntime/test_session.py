from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.common.config import ModelConfig, parse_config
from backends.common.errors import LoadError, RequestError
from backends.common.placement import Placement
from backends.common.signature import complete
from backends.onnxruntime.session import OnnxModel, inspect, load
from tests.backends.sample_models import VALUES, onnx_gather, onnx_identity, onnx_model

onnx = pytest.importorskip("onnx", reason="install the extra 'onnx'")
pytest.importorskip("onnxruntime", reason="install the extra 'onnx'")

CPU = Placement("CPU", 0)


def completed(folder: Path, **keys: Any) -> ModelConfig:
    raw: dict[str, Any] = {"name": "m", "max_batch_size": 0, "input": [], "output": [], **keys}
    return parse_config({**raw, **complete(raw, inspect(folder, raw))})


def loaded(folder: Path, **keys: Any) -> OnnxModel:
    return load(folder, completed(folder, **keys), CPU)


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return onnx.helper.make_node(kind, inputs, outputs, **attributes)


@pytest.mark.parametrize(
    "datatypes", [[name for name in VALUES if name != "BF16"], ["BF16", "FP32"]], ids=["numpy", "bfloat16"]
)
def test_every_datatype_goes_through(tmp_path: Path, datatypes: list[str]) -> None:
    onnx_identity(tmp_path / "model.onnx", datatypes)
    results = loaded(tmp_path).run(
        {f"IN_{name}": VALUES[name] for name in datatypes}, [f"OUT_{name}" for name in datatypes]
    )
    for name in datatypes:
        array = results[f"OUT_{name}"]
        got = [item.encode() for item in array.ravel()] if name == "BYTES" else array.ravel().tolist()
        assert got == VALUES[name].ravel().tolist(), name


def test_strings_next_to_a_bfloat16_output(tmp_path: Path) -> None:
    nodes = [node("Cast", ["x"], ["text"], to=8), node("Cast", ["x"], ["half"], to=16)]
    onnx_model(
        tmp_path / "model.onnx",
        nodes,
        [("x", "FLOAT", ["b"])],
        [("text", "STRING", ["b"]), ("half", "BFLOAT16", ["b"])],
    )
    results = loaded(tmp_path).run({"x": np.array([1.5], np.float32)}, ["text", "half"])
    assert results["text"].dtype == object
    assert (results["text"].tolist(), results["half"].tolist()) == (["1.5"], [0x3FC0])


def test_strings_to_bfloat16_are_refused(tmp_path: Path) -> None:
    onnx_identity(tmp_path / "model.onnx", ["BYTES", "BF16"])
    with pytest.raises(LoadError, match=r"input 'IN_BYTES' is TYPE_STRING and output 'OUT_BF16' TYPE_BF16"):
        loaded(tmp_path)


def test_only_the_wanted_outputs_are_given(tmp_path: Path) -> None:
    onnx_gather(tmp_path / "model.onnx")
    results = loaded(tmp_path).run({"index": np.array([[9]])}, ["twice"])
    assert {name: array.tolist() for name, array in results.items()} == {"twice": [[18]]}


def test_a_value_that_the_model_refuses_is_the_callers_fault(tmp_path: Path) -> None:
    onnx_gather(tmp_path / "model.onnx")
    with pytest.raises(RequestError, match=r"indices element out of data bounds, idx=99") as caught:
        loaded(tmp_path).run({"index": np.array([[99]])}, ["picked"])
    assert caught.value.invalid


def test_a_shape_that_the_model_refuses_is_the_callers_fault(tmp_path: Path) -> None:
    onnx_model(
        tmp_path / "model.onnx",
        [node("Identity", ["x"], ["y"])],
        [("x", "FLOAT", ["b", 3])],
        [("y", "FLOAT", ["b", 3])],
    )
    with pytest.raises(RequestError, match=r"^Got invalid dimensions for input: x") as caught:
        loaded(tmp_path).run({"x": np.zeros((1, 4), np.float32)}, ["y"])
    assert caught.value.invalid


def test_a_model_that_batches_is_completed_as_the_native_backend_does(tmp_path: Path) -> None:
    onnx_gather(tmp_path / "model.onnx")
    config = completed(tmp_path)
    assert config.max_batch_size == 4
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in (*config.inputs, *config.outputs)] == [
        ("index", "TYPE_INT64", (-1,)),
        ("picked", "TYPE_FP32", (-1,)),
        ("twice", "TYPE_INT64", (-1,)),
    ]


def test_a_scalar_is_one_element_to_triton(tmp_path: Path) -> None:
    onnx_model(tmp_path / "model.onnx", [node("Identity", ["x"], ["y"])], [("x", "FLOAT", [])], [("y", "FLOAT", [])])
    config = completed(tmp_path)
    assert (config.max_batch_size, config.inputs[0].shape) == (0, (1,))
    assert load(tmp_path, config, CPU).run({"x": np.array([1.5], np.float32)}, ["y"])["y"].tolist() == [1.5]


def test_a_graph_input_with_an_initializer_is_optional(tmp_path: Path) -> None:
    default = onnx.numpy_helper.from_array(np.array([10], np.float32), "bias")
    onnx_model(
        tmp_path / "model.onnx",
        [node("Add", ["x", "bias"], ["y"])],
        [("x", "FLOAT", ["b"]), ("bias", "FLOAT", [1])],
        [("y", "FLOAT", ["b"])],
        initializer=[default],
    )
    given = {"name": "bias", "data_type": "TYPE_FP32", "dims": [1], "optional": True}
    tensors = [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1]}, given]
    model = loaded(tmp_path, input=tensors)
    x = np.array([1, 2], np.float32)
    assert model.run({"x": x}, ["y"])["y"].tolist() == [11, 12]
    assert model.run({"x": x, "bias": np.array([1], np.float32)}, ["y"])["y"].tolist() == [2, 3]
    assert [tensor.name for tensor in completed(tmp_path).inputs] == ["x"]


def test_weights_in_a_file_beside_the_model_and_in_a_folder(tmp_path: Path) -> None:
    weights = onnx.numpy_helper.from_array(np.arange(2000, dtype=np.float32), "w")
    folder = tmp_path / "model.onnx"
    path = onnx_model(
        folder / "model.onnx",
        [node("Add", ["x", "w"], ["y"])],
        [("x", "FLOAT", ["b", 2000])],
        [("y", "FLOAT", ["b", 2000])],
        initializer=[weights],
    )
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin")
    assert (folder / "weights.bin").stat().st_size >= 8000
    result = loaded(tmp_path).run({"x": np.zeros((1, 2000), np.float32)}, ["y"])["y"]
    assert result[0, -1] == 1999


def test_a_file_of_another_name_with_settings(tmp_path: Path) -> None:
    onnx_gather(tmp_path / "net.onnx")
    keys = {
        "execution_mode": "1",
        "enable_mem_arena": "0",
        "enable_mem_pattern": "0",
        "memory.enable_memory_arena_shrinkage": "cpu:0",
    }
    parameters = {key: {"string_value": value} for key, value in keys.items()}
    parameters["enable_mem_arena"] = {"string_value": "1"}  # the arena that is to shrink
    model = loaded(
        tmp_path, default_model_filename="net.onnx", parameters=parameters, optimization={"graph": {"level": 2}}
    )
    assert model.run({"index": np.array([[3]])}, ["picked"])["picked"].tolist() == [[3]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nonsense", "'model.onnx' cannot be opened as an ONNX model: Load model from model.onnx failed"),
        (None, "the file 'model.onnx' is missing in version"),
    ],
)
def test_a_file_that_cannot_be_opened(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(LoadError, match=message):
        inspect(tmp_path, {})


def test_a_model_cut_short_is_a_load_error(tmp_path: Path) -> None:
    path = onnx_gather(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(LoadError, match=r"'model.onnx' cannot be opened as an ONNX model"):
        inspect(tmp_path, {})


def test_an_output_that_no_tensor_carries_is_named(tmp_path: Path) -> None:
    path = onnx_model(
        tmp_path / "model.onnx",
        [node("SequenceConstruct", ["x"], ["s"])],
        [("x", "FLOAT", ["b"])],
        [("s", "FLOAT", ["b"])],
    )
    model = onnx.load(path)
    sequence = onnx.helper.make_tensor_sequence_value_info("s", onnx.TensorProto.FLOAT, None)
    model.graph.output[0].CopyFrom(sequence)
    onnx.save(model, path)
    with pytest.raises(
        LoadError, match=r"output 's' of the model is seq\(tensor\(float\)\), which Triton cannot carry"
    ):
        completed(tmp_path)


def test_a_gpu_that_this_onnxruntime_cannot_use_is_a_load_error(tmp_path: Path) -> None:
    onnx_gather(tmp_path / "model.onnx")
    import onnxruntime as ort  # noqa: PLC0415 - skipped above where it is missing

    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this onnxruntime has CUDA support")
    with pytest.raises(LoadError, match=r"KIND_GPU needs GPU 0, none found: .*onnxruntime-gpu"):
        load(tmp_path, completed(tmp_path), Placement("GPU", 0))


def test_released(tmp_path: Path) -> None:
    onnx_gather(tmp_path / "model.onnx")
    model = loaded(tmp_path)
    model.close()
    with pytest.raises(RequestError):
        model.run({"index": np.array([[3]])}, ["picked"])
