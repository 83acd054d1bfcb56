from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.common.config import ModelConfig, parse_config
from backends.common.errors import LoadError, RequestError
from backends.common.placement import Placement
from backends.common.signature import complete
from backends.tensorflow.saved_model import SavedModel, inspect, load
from tests.backends.sample_models import VALUES, saved_model, saved_model_identity

tf: Any = pytest.importorskip("tensorflow", reason="install the extra 'tensorflow'")

CPU = Placement("CPU", 0)


def parse(x: Any, text: Any) -> Mapping[str, Any]:
    return {"sum": tf.reduce_sum(x, axis=1), "number": tf.strings.to_number(text)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose output `number` fails for text that is no number."""
    folder = tmp_path_factory.mktemp("model")
    inputs = {"x": ([None, 3], tf.float32), "text": ([None], tf.string)}
    scalar: tuple[Any, Any] = (lambda x: {"y": x * 2.0}, {"x": ([], tf.float32)})
    saved_model(folder / "model.savedmodel", {"serving_default": (parse, inputs), "double": scalar})
    return folder


def completed(folder: Path, **keys: Any) -> ModelConfig:
    raw: dict[str, Any] = {"name": "m", "max_batch_size": 0, "input": [], "output": [], **keys}
    return parse_config({**raw, **complete(raw, inspect(folder, raw))})


def loaded(folder: Path, **keys: Any) -> SavedModel:
    return load(folder, completed(folder, **keys), CPU)


def request(*texts: bytes) -> dict[str, Any]:
    return {"x": np.ones((len(texts), 3), np.float32), "text": np.array(texts, object)}


def test_every_datatype_goes_through(tmp_path: Path) -> None:
    saved_model_identity(tmp_path / "model.savedmodel")
    results = loaded(tmp_path).run({f"IN_{name}": VALUES[name] for name in VALUES}, [f"OUT_{name}" for name in VALUES])
    for name, value in VALUES.items():
        array = results[f"OUT_{name}"]
        assert (array.dtype, array.tolist()) == (value.dtype, value.tolist()), name


def test_the_configuration_is_completed(folder: Path) -> None:
    config = completed(folder)
    assert config.max_batch_size == 4
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in (*config.inputs, *config.outputs)] == [
        ("text", "TYPE_STRING", ()),
        ("x", "TYPE_FP32", (3,)),
        ("number", "TYPE_FP32", ()),
        ("sum", "TYPE_FP32", ()),
    ]


def test_only_the_wanted_outputs_are_given(folder: Path) -> None:
    model = loaded(folder)
    assert model.run(request(b"7"), ["sum"]).keys() == {"sum"}
    both = model.run(request(b"7"), ["number", "sum"])
    assert {name: array.tolist() for name, array in both.items()} == {"number": [7], "sum": [3]}


def test_wrong_input_is_the_callers_fault_and_the_message_is_plain(folder: Path) -> None:
    with pytest.raises(RequestError) as caught:
        loaded(folder).run(request(b"x"), ["number"])
    assert caught.value.invalid
    assert str(caught.value) == "StringToNumberOp could not correctly convert string: x"


def test_a_shape_that_the_model_refuses_is_the_callers_fault(folder: Path) -> None:
    with pytest.raises(RequestError, match=r"Cannot feed value of shape \(1, 4\)") as caught:
        loaded(folder).run({**request(b"7"), "x": np.ones((1, 4), np.float32)}, ["sum"])
    assert caught.value.invalid


def test_variables_are_restored_and_an_optimizer_beside_them_does_no_harm(tmp_path: Path) -> None:
    # Such leftovers of training are why the model is not loaded with tf.saved_model.load.
    class Trained(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable([1.0, 2.0])
            self.optimizer = tf.keras.optimizers.Adam()
            self.optimizer.build([self.weights])

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            return {"y": x * self.weights}

    model = Trained()
    tf.saved_model.save(model, str(tmp_path / "model.savedmodel"), signatures=model.__call__.get_concrete_function())
    result = loaded(tmp_path).run({"x": np.array([[3, 4]], np.float32)}, ["y"])["y"]
    assert result.tolist() == [[3, 8]]


def test_a_file_of_words_beside_the_model(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("zero\none\ntwo\n")

    class Lookup(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.table = tf.lookup.StaticHashTable(
                tf.lookup.TextFileInitializer(
                    str(words),
                    tf.string,
                    tf.lookup.TextFileIndex.WHOLE_LINE,
                    tf.int64,
                    tf.lookup.TextFileIndex.LINE_NUMBER,
                ),
                -1,
            )

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word")])  # type: ignore[untyped-decorator]
        def __call__(self, word: Any) -> Any:
            return {"number": self.table.lookup(word)}

    model = Lookup()
    tf.saved_model.save(model, str(tmp_path / "model.savedmodel"), signatures=model.__call__.get_concrete_function())
    words.unlink()
    result = loaded(tmp_path).run({"word": np.array([b"two", b"nine"], object)}, ["number"])["number"]
    assert result.tolist() == [2, -1]


def test_another_signature_and_scalars(folder: Path) -> None:
    parameters = {"TF_SIGNATURE_DEF": {"string_value": "double"}}
    model = loaded(folder, parameters=parameters)
    assert model.scalars == {"x"}
    assert model.run({"x": np.array(1.5, np.float32)}, ["y"])["y"].tolist() == 3


def test_an_empty_batch(folder: Path) -> None:
    assert loaded(folder).run(request(), ["sum"])["sum"].shape == (0,)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"parameters": {"TF_GRAPH_TAG": {"string_value": "tpu"}}},
            "'model.savedmodel' has no graph tagged 'tpu', but serve",
        ),
        ({"parameters": {"TF_SIGNATURE_DEF": {"string_value": "train"}}}, "no signature 'train', but double, serving_"),
        ({"output": [{"name": "total"}]}, "output 'total' of config.pbtxt is not in the model"),
        ({"default_model_filename": "net"}, "the folder 'net' is missing"),
    ],
)
def test_a_configuration_that_does_not_fit(folder: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(LoadError, match=message):
        completed(folder, **keys)


def test_a_damaged_model_is_a_load_error_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.savedmodel"
    path.mkdir()
    with pytest.raises(LoadError, match=r"'model\.savedmodel' has no saved_model\.pb, so it is no SavedModel"):
        inspect(tmp_path, {})
    (path / "saved_model.pb").write_bytes(b"nonsense")
    with pytest.raises(LoadError, match=r"'model\.savedmodel' cannot be opened as a SavedModel: Error parsing"):
        inspect(tmp_path, {})


def test_a_gpu_that_is_not_there_is_a_load_error(folder: Path) -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    with pytest.raises(LoadError, match="KIND_GPU needs GPU 0, none found: TensorFlow sees no such GPU"):
        load(folder, completed(folder), Placement("GPU", 0))


def test_released(folder: Path) -> None:
    model = loaded(folder)
    model.close()
    with pytest.raises(RequestError):
        model.run(request(b"1"), ["sum"])
