from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tensorflow'")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Keras and what it imports, about themselves
    keras: Any = pytest.importorskip("keras")

from backends.tensorflow import saved_model
from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Tensor
from gateway.repository.kinds.keras import KerasKind
from tests.gateway.repository.kinds.preparing import prepare, serve

KIND = KerasKind()


def two_inputs(structure: type) -> Any:
    keras.utils.set_random_seed(1)
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    joined = keras.layers.Concatenate()([left, right])
    sizes, classes = keras.layers.Dense(5)(joined), keras.layers.Dense(2)(joined)
    if structure is dict:
        return keras.Model({"right": right, "left": left}, {"sizes": sizes, "classes": classes})
    return keras.Model([left, right], [sizes, classes])


def saved(path: Path, model: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return path


@pytest.mark.parametrize(("structure", "names"), [(list, ["output_0", "output_1"]), (dict, ["sizes", "classes"])])
def test_the_converted_model_gives_what_keras_gives(structure: type, names: list[str], tmp_path: Path) -> None:
    model = two_inputs(structure)
    source = saved(tmp_path / "two.keras", model)
    assert KIND.recognise(source)
    assert KIND.companions(source) == ()
    version, found = prepare(KIND, source, tmp_path / "two")
    assert (found.kind, found.backend, found.filename, found.batches) == (
        "keras",
        "tensorflow",
        "model.savedmodel",
        True,
    )
    assert found.origin == {"format": "Keras", "producer": f"Keras {keras.__version__}"}
    assert found.inputs == (Tensor("left", "FP32", (-1, 4)), Tensor("right", "FP32", (-1, 3)))
    random = np.random.default_rng(1)
    inputs = {"left": random.random((3, 4), np.float32), "right": random.random((3, 3), np.float32)}
    expected = model(inputs if structure is dict else [inputs["left"], inputs["right"]])
    by_name = expected if structure is dict else dict(zip(names, expected, strict=True))
    reference = KIND.reference(version, found, inputs)
    assert reference.keys() == set(names)
    served = serve(saved_model, version, found, inputs)
    for name, array in reference.items():
        np.testing.assert_allclose(array, np.asarray(by_name[name]), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(array, served[name], rtol=1e-5, atol=1e-6)


def test_texts_are_converted_too(tmp_path: Path) -> None:
    words = keras.layers.TextVectorization(max_tokens=20, output_sequence_length=4)
    words.adapt(["one two three"])
    text = keras.Input((), dtype="string", name="text")
    source = saved(tmp_path / "text.keras", keras.Model(text, words(text)))
    version, found = prepare(KIND, source, tmp_path / "text")
    assert found.inputs == (Tensor("text", "BYTES", (-1,)),)
    reference = KIND.reference(version, found, {"text": np.array([b"one two"], object)})
    assert [array.shape for array in reference.values()] == [(1, 4)]


def test_layers_that_augment_images_do_nothing_when_served(tmp_path: Path) -> None:
    pixels = keras.Input((8, 8, 3), name="pixels")
    model = keras.Model(pixels, keras.layers.RandomFlip(seed=1)(pixels))
    version, found = prepare(KIND, saved(tmp_path / "flip.keras", model), tmp_path / "flip")
    inputs = {"pixels": np.random.default_rng(1).random((4, 8, 8, 3), np.float32)}
    assert np.array_equal(serve(saved_model, version, found, inputs)["output_0"], inputs["pixels"])


def test_a_model_of_any_size_is_tried_with_sizes_that_it_takes(tmp_path: Path) -> None:
    image = keras.Input((None, None, 3), name="pixels")
    half = keras.layers.Conv2D(2, 20, strides=2)(image)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(half))
    _, found = prepare(KIND, saved(tmp_path / "net.keras", model), tmp_path / "net")
    assert found.inputs == (Tensor("pixels", "FP32", (-1, -1, -1, 3)),)


class Wrong(KerasKind):
    """As if the conversion went wrong."""

    def reference(self, *arguments: Any) -> dict[str, np.ndarray[Any, Any]]:
        return {name: array + 1 for name, array in super().reference(*arguments).items()}


def test_a_model_that_gives_something_else_when_converted_is_refused(tmp_path: Path) -> None:
    source = saved(tmp_path / "two.keras", two_inputs(list))
    with pytest.raises(ModelRefused, match="gives another 'output_0' than in Keras"):
        prepare(Wrong(), source, tmp_path / "one")
    prepare(Wrong(), source, tmp_path / "two", Hints(deterministic=False))


def test_a_lambda_layer_is_refused_with_the_way_out(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2)])
    with pytest.raises(ModelRefused, match=r"a Lambda layer, which is Python code .* model\.export"):
        prepare(KIND, saved(tmp_path / "lambda.keras", model), tmp_path / "lambda")


class Custom(keras.layers.Layer):  # type: ignore[misc]
    """A layer that Keras does not know."""

    def call(self, x: Any) -> Any:
        return x * 2


def test_a_class_of_ones_own_is_refused_with_the_way_out(tmp_path: Path) -> None:
    source = saved(tmp_path / "custom.keras", keras.Sequential([keras.Input((4,)), Custom()]))
    with pytest.raises(ModelRefused, match=r"needs class .*Custom.* model\.export"):
        prepare(KIND, source, tmp_path / "custom")


def test_what_is_no_keras_3_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.keras").write_bytes(b"PK")
    with pytest.raises(ModelRefused, match=r"'short\.keras' is no Keras 3 model"):
        prepare(KIND, tmp_path / "short.keras", tmp_path / "a")
    (tmp_path / "old.h5").write_bytes(b"\x89HDF")
    assert KIND.recognise(tmp_path / "old.h5")
    with pytest.raises(ModelRefused, match=r"HDF5 format of old Keras.* model\.save\('old\.keras'\)"):
        prepare(KIND, tmp_path / "old.h5", tmp_path / "b")
