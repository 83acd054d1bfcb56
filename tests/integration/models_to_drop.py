"""One real model of every kind, as a data scientist saves it, and what its framework answers.

Each function writes what is dropped into a folder: the model file or folder called NAME, and its sidecars.
"""

# ruff: noqa: PLC0415 - each framework is imported only by what needs it

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml

from gateway.repository.scaffold import scaffold
from tests.backends.fil import tree_models as trees
from tests.backends.sample_models import exported_program, onnx_gather, saved_model, torchscript
from tests.integration.models_of_all_kinds import write_models

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = tuple[Array, ...]
Answered: TypeAlias = tuple[Arrays, Arrays]
"""Inputs and outputs in the model's own order."""

ROWS, CATEGORICAL = trees.ROWS[:20], trees.CATEGORICAL[:20]
PIXELS: Array = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)


def onnx(folder: Path) -> Answered:
    """A file that batches and takes sequences of any length."""
    onnx_gather(folder / "onnx.onnx")
    index = np.array([[1, 3, 5], [0, 2, 9]])
    return (index,), (index.astype(np.float32), index * 2)


def network() -> tuple[Any, Arrays]:
    """A small convolutional network of PyTorch, and what it gives for `PIXELS`."""
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 5)]
    model = torch.nn.Sequential(*layers).eval()
    with torch.no_grad():
        return model, (model(torch.from_numpy(PIXELS)).numpy(),)


def torchscript_and_yaml(folder: Path) -> Answered:
    """TorchScript, which does not tell its inputs; `model.yaml` does, and names the classes."""
    model, answer = network()
    torchscript(folder / "torchscript.pt", model)
    said = {"inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 1, 8, 8]}]}
    (folder / "torchscript.yaml").write_text(yaml.safe_dump(said))
    return (PIXELS,), answer


def torchscript_and_sample(folder: Path) -> Answered:
    """TorchScript with a sample of its inputs."""
    model, answer = network()
    torchscript(folder / "traced.pt", model)
    np.savez(folder / "traced.npz", input=PIXELS[:2])
    return (PIXELS,), answer


def exported(folder: Path) -> Answered:
    """A program of `torch.export` with a dynamic batch."""
    import torch

    model, answer = network()
    batch = ({0: torch.export.Dim("batch")},)
    exported_program(folder / "exported.pt2", model, (torch.from_numpy(PIXELS),), batch)
    return (PIXELS,), answer


def tensorflow(folder: Path) -> Answered:
    """A SavedModel folder."""
    import tensorflow as tf

    saved_model(
        folder / "tensorflow", {"serving_default": (lambda x: {"y": x * 2 + 1}, {"x": ([None, 3], tf.float32)})}
    )
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    return (rows,), (rows * 2 + 1,)


def keras(folder: Path) -> Answered:
    """A classifier that augments its images while it trains, as in Keras's own tutorials."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras and what it imports, about themselves
        import keras as framework

        framework.utils.set_random_seed(0)
        layers = framework.layers
        model = framework.Sequential(
            [framework.Input((8, 8, 1)), layers.RandomFlip(), layers.Flatten(), layers.Dense(3, "softmax")]
        )
        model.save(folder / "keras.keras")
        images = PIXELS.transpose(0, 2, 3, 1)
        return (images,), (np.asarray(model(images, training=False)),)


def xgboost_json(folder: Path) -> Answered:
    """A binary classifier in XGBoost's JSON."""
    probability = trees.xgboost(folder / "xgboost_json.json", trees.BINARY, objective="binary:logistic")
    return (ROWS,), (probability[:20],)


def xgboost_ubj(folder: Path) -> Answered:
    """A classifier of three classes in XGBoost's binary JSON."""
    path = folder / "xgboost_ubj.ubj"
    probabilities = trees.xgboost(path, trees.CLASSES, objective="multi:softprob", num_class=3)
    return (ROWS,), (probabilities[:20],)


def lightgbm(folder: Path) -> Answered:
    """A regression in LightGBM's text, with a categorical feature."""
    answer = trees.lightgbm(folder / "lightgbm.txt", trees.REGRESSION, trees.CATEGORICAL)
    return (CATEGORICAL,), (answer[:20],)


def skops_forest(folder: Path) -> Answered:
    """A forest of scikit-learn, which becomes a Treelite checkpoint."""
    import skops.io
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(n_estimators=5, random_state=0).fit(trees.ROWS, trees.REGRESSION)
    skops.io.dump(forest, folder / "skops_forest.skops")
    return (ROWS,), (forest.predict(ROWS),)


def skops_pipeline(folder: Path) -> Answered:
    """A pipeline of scikit-learn, which becomes ONNX; it gives the class and the probabilities."""
    import skops.io
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(trees.ROWS, trees.CLASSES)
    skops.io.dump(pipeline, folder / "skops_pipeline.skops")
    return (ROWS,), (pipeline.predict(ROWS), pipeline.predict_proba(ROWS))


_MODEL_PY = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.set_max_batch_size(8)
        config.add_input({"name": "x", "data_type": "TYPE_FP32", "dims": [3]})
        config.add_output({"name": "y", "data_type": "TYPE_FP32", "dims": [3]})
        return config

    def execute(self, requests):
        arrays = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", -array)]) for array in arrays]
"""


def python(folder: Path) -> Answered:
    """A folder with nothing but `model.py`."""
    (folder / "python").mkdir()
    (folder / "python" / "model.py").write_text(_MODEL_PY)
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    return (rows,), (-rows,)


def scaffolded(folder: Path) -> Answered:
    """What `models scaffold` writes; its sample is red."""
    scaffold(folder, "scaffolded")
    with np.load(folder / "scaffolded" / "sample.npz") as arrays:
        image = arrays["IMAGE"].astype(object)
    return (image,), ()


def triton(folder: Path) -> Answered:
    """A complete model folder of Triton's, with a configuration written by hand."""
    write_models(folder, "twice")
    (folder / "twice").rename(folder / "triton")
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    return (rows,), (rows * 2,)


def mlflow(folder: Path) -> Answered:
    """A model folder of MLflow's with an XGBoost model in it."""
    answer = trees.xgboost(folder / "mlflow" / "model.ubj", trees.REGRESSION)
    flavors = {"python_function": {"loader_module": "mlflow.xgboost"}, "xgboost": {"data": "model.ubj"}}
    (folder / "mlflow" / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors, "run_id": "1234"}))
    return (ROWS,), (answer[:20],)


def torchserve(folder: Path) -> Answered:
    """An archive of TorchServe's with a stock handler."""
    model, answer = network()
    torchscript(folder / "net.pt", model)
    described = {"modelName": "net", "modelVersion": "1.0", "handler": "image_classifier", "serializedFile": "net.pt"}
    with zipfile.ZipFile(folder / "torchserve.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"runtime": "python", "model": described}))
        archive.writestr("index_to_name.json", json.dumps({str(i): f"class {i}" for i in range(5)}))
        archive.write(folder / "net.pt", "net.pt")
    (folder / "net.pt").unlink()
    said = {"inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 1, 8, 8]}]}
    (folder / "torchserve.yaml").write_text(yaml.safe_dump(said))
    return (PIXELS,), answer


SERVED: tuple[tuple[Callable[[Path], Answered], tuple[str, ...]], ...] = (
    (onnx, ("onnxruntime",)),
    (torchscript_and_yaml, ("torch",)),
    (torchscript_and_sample, ("torch",)),
    (exported, ("torch",)),
    (tensorflow, ("tensorflow",)),
    (keras, ("tensorflow", "keras")),
    (xgboost_json, ("xgboost", "treelite")),
    (xgboost_ubj, ("xgboost", "treelite")),
    (lightgbm, ("lightgbm", "treelite")),
    (skops_forest, ("skops", "treelite")),
    (skops_pipeline, ("skops", "skl2onnx", "onnxruntime")),
    (python, ()),
    (scaffolded, ()),
    (triton, ()),
    (mlflow, ("xgboost", "treelite")),
    (torchserve, ("torch",)),
)
"""Each with the packages that it needs."""

REFUSED: tuple[tuple[str, bytes, str], ...] = (
    ("openvino.xml", b'<?xml version="1.0"?>\n<net name="net" version="11"><layers/></net>', "openvino.bin"),
    ("engine.plan", b"ftrt" + bytes(64), "model.yaml"),
    ("pickled.pkl", b"\x80\x04K\x01.", "pickle"),
    ("weights.safetensors", bytes(64), "weights without the network"),
    ("damaged.onnx", b"<html>", "web page"),
)
"""Name, content, and what the reason says."""
