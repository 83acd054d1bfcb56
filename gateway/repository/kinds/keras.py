"""Keras 3 models (`.keras`): converted to a SavedModel, and held against the original before that is served."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.savedmodel import FOLDER_NAME, SavedModelKind, describe_saved_model

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_TOLERANCE = 1e-4
_OLD_SUFFIXES = (".h5", ".hdf5")


class KerasKind:
    """What `model.save("NAME.keras")` wrote, served as a SavedModel by the backend `tensorflow`."""

    name = "keras"
    title = "Keras"

    def recognise(self, source: Path) -> bool:
        """A file that ends in `.keras`, or in that of Keras before version 3, which is refused with a reason."""
        return source.suffix.lower() in (".keras", *_OLD_SUFFIXES) and source.is_file()

    def companions(self, source: Path) -> tuple[Path, ...]:  # noqa: ARG002 - a model is one file
        """None."""
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """Convert the model, and compare the result with it.

        Raises:
            ModelRefused: it is damaged, holds Python code, needs classes that are not Keras's own, or cannot be
                converted to what gives the same.
        """
        written = _metadata(source)
        with _keras() as keras:
            model = _load(keras, source)
            folder = target.version / FOLDER_NAME
            try:
                _export(keras, model, folder)
            except Exception as error:  # whatever layers raise
                raise ModelRefused(
                    f"'{source.name}' cannot be exported as a SavedModel ({_line(error)}); try model.export('folder') "
                    "where the model was made, and drop that folder"
                ) from None
            described = replace(
                describe_saved_model(folder, hints),
                kind=self.name,
                origin={"format": self.title, "producer": f"Keras {written.get('keras_version', '3')}"},
            )
            if hints.deterministic:
                self._compare(keras, model, described, target.version, hints)
        return described

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """What the converted model gives when TensorFlow calls it; `prepare` held it against Keras itself."""
        return SavedModelKind().reference(version, description, inputs)

    def _compare(self, keras: Any, model: Any, description: Description, version: Path, hints: Hints) -> None:
        from gateway.repository.sample import candidates  # noqa: PLC0415 - imports numpy
        from gateway.repository.sample_file import read_sample  # noqa: PLC0415 - beside those that it is like

        given = hints.sample and [read_sample(hints.sample, description.inputs)]
        inputs, original = _first_answer(keras, model, given or candidates(description))
        tolerance = max(_TOLERANCE, hints.tolerance)
        for name, found in self.reference(version, description, inputs).items():
            if name not in original or not _alike(found, original[name], tolerance):
                raise ModelRefused(
                    f"converted to a SavedModel, the model gives another '{name}' than in Keras, so it is not served; "
                    "export it where it was made, with model.export('folder'), check that, and drop the folder. If it "
                    "is meant to give different answers each time, say deterministic: false"
                )


def _export(keras: Any, model: Any, folder: Path) -> None:
    """Write the model as it predicts: by itself Keras would leave layers that augment images as they train."""
    structure = getattr(model, "_inputs_struct", getattr(model, "inputs", None))
    if structure is None:
        model.export(str(folder), format="tf_saved_model", verbose=False)
        return

    def spec(tensor: Any) -> Any:
        return keras.InputSpec(shape=(None, *tensor.shape[1:]), dtype=tensor.dtype, name=tensor.name)

    def predict(*inputs: Any) -> Any:
        return model(*inputs, training=False)

    signature = structure if isinstance(model, keras.Sequential) else [structure]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", predict, keras.tree.map_structure(spec, signature))
    archive.write_out(str(folder), verbose=False)


def _first_answer(
    keras: Any, model: Any, samples: Iterable[Mapping[str, Array]]
) -> tuple[Mapping[str, Array], dict[str, Array]]:
    """The first sample that the model takes, and what it gives for it."""
    failures: list[Exception] = []
    for inputs in samples:
        try:
            return inputs, _named(keras, model(_structured(keras, model, inputs), training=False))
        except Exception as error:  # whatever layers raise
            failures.append(error)
    raise ModelRefused(
        f"the model fails when it is tried: {_line(failures[0])}; give inputs that it takes as a sample, NAME.npz, "
        "written with numpy.savez"
    )


def _alike(found: Array, expected: Array, tolerance: float) -> bool:
    import numpy as np  # noqa: PLC0415 - only the sandbox needs it

    if found.shape != expected.shape:
        return False
    if expected.dtype.name == "bfloat16":
        return np.array_equal(found, expected.view(np.uint16))
    if found.dtype.kind != "f":
        return np.array_equal(found, expected)
    return np.allclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True)


@contextmanager
def _keras() -> Iterator[Any]:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    from backends.common.frameworks import import_framework  # noqa: PLC0415 - only the sandbox has the backends
    from backends.tensorflow.settings import import_tensorflow  # noqa: PLC0415 - only the sandbox has the backends
    from gateway.repository.kinds.specs import refused  # noqa: PLC0415 - beside those that it is for

    with refused(Path("Keras")):
        import_tensorflow()
        keras = import_framework("keras", extra="tensorflow", attribute="saving")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers and of NumPy, about themselves
        yield keras


def _metadata(source: Path) -> dict[str, Any]:
    if source.suffix.lower() in _OLD_SUFFIXES:
        raise ModelRefused(
            f"'{source.name}' is in the HDF5 format of old Keras, which may hold Python code; load it where it was "
            f"made, save it with model.save('{source.stem}.keras'), and drop that"
        )
    try:
        with zipfile.ZipFile(source) as archive:
            written: dict[str, Any] = json.loads(archive.read("metadata.json"))
            return written
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        raise ModelRefused(
            f"'{source.name}' is no Keras 3 model, or it is cut short; save it with model.save('{source.stem}.keras') "
            "and copy it again"
        ) from None


def _load(keras: Any, source: Path) -> Any:
    try:
        return keras.saving.load_model(source, compile=False, safe_mode=True)
    except Exception as error:  # whatever layers raise
        text = str(error)
    if "Lambda" in text or "safe_mode" in text or "unsafe" in text:
        raise ModelRefused(
            f"'{source.name}' has a Lambda layer, which is Python code inside of the file, and a model file must not "
            "bring code. Replace it by a layer of Keras or an operation of keras.ops and save it again; or, where it "
            "was made, write model.export('folder') and drop that folder, which holds the graph only"
        )
    if "Could not locate" in text:
        what = text.partition("Could not locate ")[2].partition(".")[0]
        raise ModelRefused(
            f"'{source.name}' needs {what}, whose Python code is not in the file. Where that code is, write "
            "model.export('folder') and drop that folder, which holds the graph only"
        )
    raise ModelRefused(f"'{source.name}' cannot be loaded by Keras {keras.__version__}: {_first_line(text)}")


def _structured(keras: Any, model: Any, inputs: Mapping[str, Array]) -> Any:
    """The arrays in the structure that the model is called with."""
    arrays = [keras.ops.convert_to_tensor(inputs[tensor.name]) for tensor in model.inputs]
    structure = getattr(model, "_inputs_struct", None)
    if structure is None:
        return arrays[0] if len(arrays) == 1 else arrays
    return keras.tree.pack_sequence_as(structure, arrays)


def _named(keras: Any, result: Any) -> dict[str, Array]:
    """The outputs by the names that the export gives them."""
    import numpy as np  # noqa: PLC0415 - only the sandbox needs it

    if isinstance(result, dict):
        return {name: np.asarray(value) for name, value in result.items()}
    return {f"output_{position}": np.asarray(value) for position, value in enumerate(keras.tree.flatten(result))}


def _line(error: Exception) -> str:
    return _first_line(str(error)) or type(error).__name__


def _first_line(text: str) -> str:
    return next((line.strip()[:300] for line in text.splitlines() if line.strip()), "")
