"""TensorFlow SavedModels: a folder with `saved_model.pb`, which tells its signatures."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints, Tensor
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.hinted import UNKNOWN, batching, corrected, refuse_unknown_ranks
from gateway.repository.kinds.probe import guesses, probe
from gateway.repository.kinds.saved_model_file import GRAPH_FILE, SERVING_TAG, SavedModelFile, read_saved_model
from gateway.repository.kinds.specs import folder_size
from gateway.repository.sample_file import read_sample

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array
    from gateway.repository.kinds.probe import Run

FOLDER_NAME = "model.savedmodel"

_PARTS = (GRAPH_FILE, "variables", "assets", "assets.extra", "fingerprint.pb")
_DEFAULT_SIGNATURE = "serving_default"
_PARAMETER = "TF_SIGNATURE_DEF"


class SavedModelKind:
    """What `tf.saved_model.save` wrote, served by the backend `tensorflow`."""

    name = "savedmodel"
    title = "TensorFlow SavedModel"

    def recognise(self, source: Path) -> bool:
        """A folder with `saved_model.pb`."""
        return (source / GRAPH_FILE).is_file()

    def companions(self, source: Path) -> tuple[Path, ...]:  # noqa: ARG002 - a folder holds all that belongs to it
        """None."""
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """Copy the SavedModel, without what else lies in its folder, and read its signature.

        Raises:
            ModelRefused: it is damaged or incomplete, or takes or gives what Triton cannot carry.
        """
        described = describe_saved_model(source, hints)
        copy = target.version / FOLDER_NAME
        copy.mkdir()
        for part in (source / name for name in _PARTS):
            if part.is_dir():
                shutil.copytree(part, copy / part.name)
            elif part.is_file():
                shutil.copyfile(part, copy / part.name)
        return replace(described, size_bytes=folder_size(copy))

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """What TensorFlow gives when it calls the signature."""
        signature = description.parameters.get(_PARAMETER, _DEFAULT_SIGNATURE)
        return _opened(version / FOLDER_NAME, signature, description.inputs, description.outputs)(inputs)


def describe_saved_model(folder: Path, hints: Hints) -> Description:
    """What a SavedModel is, without TensorFlow unless its shapes have to be found out by running it.

    Raises:
        ModelRefused: it cannot be served.
    """
    if not (folder / GRAPH_FILE).is_file():
        raise ModelRefused(f"there is no {GRAPH_FILE} in the folder; copy the whole SavedModel again")
    file = read_saved_model(folder)
    name = _pick(file)
    for side, tensors in (("input", file.signatures[name].inputs), ("output", file.signatures[name].outputs)):
        _refuse_uncarried(side, tensors)
    inputs = corrected("input", file.signatures[name].inputs, hints.inputs)
    outputs = corrected("output", file.signatures[name].outputs, hints.outputs)
    refuse_unknown_ranks("input", inputs)
    if any(tensor.shape == UNKNOWN for tensor in outputs):
        outputs = _found_out(folder, name, inputs, outputs, hints)
    return Description(
        kind=SavedModelKind.name,
        backend="tensorflow",
        framework="tensorflow",
        inputs=inputs,
        outputs=outputs,
        batches=batching(hints, inputs, outputs),
        filename=FOLDER_NAME,
        size_bytes=folder_size(folder),
        parameters={} if name == _DEFAULT_SIGNATURE else {_PARAMETER: name},
        ambiguous=_others(file, name),
        origin={
            "format": SavedModelKind.title,
            **({"producer": f"TensorFlow {file.tensorflow}"} if file.tensorflow else {}),
        },
    )


def _pick(file: SavedModelFile) -> str:
    """The signature that is served: the default one, else the first that takes and gives something."""
    usable = sorted(name for name, each in file.signatures.items() if each.inputs and each.outputs)
    if not usable:
        raise ModelRefused(
            "the SavedModel has no signature with inputs and outputs; save it with "
            "tf.saved_model.save(model, folder, signatures=...), or with model.export(folder)"
        )
    return _DEFAULT_SIGNATURE if _DEFAULT_SIGNATURE in usable else usable[0]


def _others(file: SavedModelFile, name: str) -> tuple[str, ...]:
    # Keras exports its one function twice.
    same = {other for other, each in file.signatures.items() if each == file.signatures[name]}
    others = sorted(file.signatures.keys() - same)
    if not others:
        return ()
    return (
        f"the signature '{name}' is served; the SavedModel has {', '.join(others)}, too. To serve another, save the "
        f"model with that one as '{_DEFAULT_SIGNATURE}', or set the parameter {_PARAMETER} in a config.pbtxt",
    )


def _refuse_uncarried(side: str, tensors: tuple[Tensor, ...]) -> None:
    for tensor in tensors:
        if not tensor.datatype:
            raise ModelRefused(
                f"{side} '{tensor.name}' of the SavedModel is sparse, ragged, or of a datatype that Triton cannot "
                "carry; save it with a signature of dense tensors of numbers or strings"
            )


def _found_out(
    folder: Path, signature: str, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], hints: Hints
) -> tuple[Tensor, ...]:
    """Outputs of unknown rank with the shapes that running the model shows."""
    is_batch = hints.batches is not False
    found = probe(
        _opened(folder, signature, inputs, outputs),
        inputs,
        [read_sample(hints.sample, inputs)] if hints.sample else guesses(inputs, batches=is_batch),
        first_is_batch=is_batch,
    )
    return tuple(
        replace(tensor, shape=found.shapes[tensor.name]) if tensor.shape == UNKNOWN else tensor for tensor in outputs
    )


def _opened(folder: Path, signature: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Run:
    """The signature as a function of arrays.

    Loading it as one rebuilds the objects that were saved with it, too, and fails where those are of a Keras that is
    gone; then the graph runs in a session.
    """
    import numpy as np  # noqa: PLC0415 - only the sandbox needs it

    from backends.tensorflow.settings import import_tensorflow  # noqa: PLC0415 - only the sandbox has the backends

    tf = import_tensorflow()
    bf16 = tf.bfloat16.as_numpy_dtype
    narrow = {tensor.name for tensor in inputs if tensor.datatype == "BF16"}
    names = [tensor.name for tensor in outputs]
    try:
        function = _eager(tf, folder, signature, names)
    except Exception:  # what old objects raise is beyond knowing
        function = _in_session(tf, folder, signature, names)

    def call(given: Mapping[str, Array]) -> dict[str, Array]:
        fed = {name: array.view(bf16) if name in narrow else array for name, array in given.items()}
        found: Mapping[str, Any] = function(fed)
        # A scalar comes as a number or a text, not as an array.
        arrays = {name: np.asarray(each, object if isinstance(each, bytes) else None) for name, each in found.items()}
        return {name: array.view(np.uint16) if array.dtype == bf16 else array for name, array in arrays.items()}

    return call


def _eager(tf: Any, folder: Path, signature: str, names: Sequence[str]) -> Run:
    loaded = tf.saved_model.load(str(folder), tags=[SERVING_TAG])

    def call(arrays: Mapping[str, Array]) -> dict[str, Array]:
        results = loaded.signatures[signature](**{name: tf.constant(array) for name, array in arrays.items()})
        return {name: results[name].numpy() for name in names}

    return call


def _in_session(tf: Any, folder: Path, signature: str, names: Sequence[str]) -> Run:
    def call(arrays: Mapping[str, Array]) -> dict[str, Array]:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            loaded = tf.compat.v1.saved_model.load(session, [SERVING_TAG], str(folder)).signature_def[signature]
            feed = {loaded.inputs[name].name: array for name, array in arrays.items()}
            found: dict[str, Array] = session.run({name: loaded.outputs[name].name for name in names}, feed)
            return found

    return call
