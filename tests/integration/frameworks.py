"""Call a framework directly, in a process of its own: what a model's outputs must be.

Usage: frameworks.py FRAMEWORK MODEL_FILE INPUTS.npz OUTPUTS.npz; arrays are named as the model's tensors are.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]


def onnx(path: Path, inputs: Arrays) -> Arrays:
    """ONNX Runtime on the CPU."""
    import onnxruntime  # noqa: PLC0415 - a process imports only the framework that it calls

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def tensorflow(path: Path, inputs: Arrays) -> Arrays:
    """A session on the SavedModel's signature, as `tf.saved_model.load` cannot revive a Keras 2 optimizer's slots."""
    import tensorflow as tf  # noqa: PLC0415 - a process imports only the framework that it calls

    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(path))
        signature = loaded.signature_def["serving_default"]
        fetches = {name: info.name for name, info in signature.outputs.items()}
        feeds = {signature.inputs[name].name: array for name, array in inputs.items()}
        outputs: Arrays = session.run(fetches, feeds)
    return outputs


def pytorch(path: Path, inputs: Arrays) -> Arrays:
    """The published Silero module itself, not the one that is built from it."""
    import torch  # noqa: PLC0415 - a process imports only the framework that it calls

    module = torch.jit.load(str(path), map_location="cpu")
    return {"SPEECH": module.audio_forward(torch.from_numpy(inputs["AUDIO"]), 16000).numpy()}


if __name__ == "__main__":
    framework, model, given, wanted = sys.argv[1:]
    with np.load(given) as arrays:
        np.savez(wanted, **globals()[framework](Path(model), dict(arrays)))
