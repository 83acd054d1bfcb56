"""Tiny models of every framework, for the tests of conversions and originals."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from converters.arrays import Array, Feeds
from converters.to_onnx.frameworks import quiet, tensorflow

ROWS: Array = np.random.default_rng(7).normal(size=(60, 4)).astype(np.float32)
CLASSES: Array = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0.5)
VALUES: Array = np.abs(ROWS[:, 0] + ROWS[:, 2]) + 0.1


def answers(model: onnx.ModelProto, feeds: Feeds) -> dict[str, Array]:
    """What ONNX Runtime makes of a model, by the outputs' names."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(feeds)), strict=True))


def onnx_model(shape: tuple[int | str | None, ...] = ("?", 3), *, opset: int = 18) -> onnx.ModelProto:
    """y = relu(x + 1)."""
    nodes = [helper.make_node("Add", ["x", "one"], ["sum"]), helper.make_node("Relu", ["sum"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [helper.make_tensor("one", TensorProto.FLOAT, [1], np.ones(1, np.float32).tobytes(), raw=True)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def save_saved_model(folder: Path) -> Path:
    """Signatures `serving_default` (x -> scores, total), `loop` (x, times -> y), `look_up` (word -> id), bad ones."""
    tf = tensorflow()
    tiny = tf.Module()
    tiny.weights = tf.Variable(tf.reshape(tf.range(9.0), [3, 3]) / 9)
    keys = tf.lookup.KeyValueTensorInitializer(tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64))
    tiny.table = tf.lookup.StaticHashTable(keys, -1)

    def plain(x: Any) -> Any:
        return {"scores": tf.nn.softmax(x @ tiny.weights), "total": tf.reduce_sum(x, axis=1)}

    def loop(x: Any, times: Any) -> Any:
        return {"y": tf.while_loop(lambda i, _: i < times, lambda i, y: (i + 1, tf.tanh(y @ tiny.weights)), (0, x))[1]}

    rows, words = tf.TensorSpec([None, 3], tf.float32, name="x"), tf.TensorSpec([None], tf.string, name="word")
    concrete = {
        "serving_default": (plain, rows),
        "loop": (loop, rows, tf.TensorSpec([], tf.int32, name="times")),
        "look_up": (lambda word: {"id": tiny.table.lookup(word)}, words),
        "any_rank": (lambda x: {"y": x + 1.0}, tf.TensorSpec(None, tf.float32, name="x")),
        "reshaped": (lambda x, shape: {"y": tf.reshape(x, shape)}, rows, tf.TensorSpec([None], tf.int64, name="shape")),
        "decode": (lambda word: {"y": tf.io.decode_raw(word, tf.float32)}, words),
    }
    signatures = {name: tf.function(call).get_concrete_function(*specs) for name, (call, *specs) in concrete.items()}
    with quiet():
        tf.saved_model.save(tiny, str(folder), signatures=signatures)
    return folder


def save_keras(file: Path) -> Path:
    """4 features in 5 steps -> an LSTM -> 2 numbers."""
    tensorflow()
    with quiet():
        import keras  # noqa: PLC0415 - slow

        layers = [keras.Input((5, 4), name="steps"), keras.layers.LSTM(6), keras.layers.Dense(2)]
        keras.Sequential(layers).save(file)
    return file


def scikit_learn_model(estimator: Any, target: Array | None = CLASSES) -> Any:
    """The estimator, fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(ROWS, target)


def xgboost_booster(objective: str = "binary:logistic", target: Array | None = None, **options: Any) -> Any:
    """Five small trees."""
    import xgboost  # noqa: PLC0415 - slow

    matrix = xgboost.DMatrix(ROWS, label=CLASSES > 0 if target is None else target)
    return xgboost.train({"objective": objective, "max_depth": 3, "verbosity": 0, "nthread": 1, **options}, matrix, 5)


def lightgbm_booster(objective: str = "binary", target: Array | None = None, **options: Any) -> Any:
    """Five small trees."""
    import lightgbm  # noqa: PLC0415 - slow

    labels = CLASSES > 0 if target is None else target
    settings = {"objective": objective, "verbosity": -1, "min_data_in_leaf": 3, "num_threads": 1, **options}
    with quiet():
        return lightgbm.train(settings, lightgbm.Dataset(ROWS, label=labels), 5)
