"""MLflow models: a folder with `MLmodel`, which names the flavors that the model was saved in."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from gateway.core.errors import ModelRefused
from gateway.repository.archive import check_links
from gateway.repository.datatypes import normalise
from gateway.repository.description import ANY, Hints, Tensor
from gateway.repository.kinds.base import Unwrapped

_FILE = "MLmodel"
_MOST_BYTES = 1 << 20
_ORIGIN = ("run_id", "model_uuid", "mlflow_version", "utc_time_created")
_NUMBERS = frozenset({"BOOL", "FP32", "FP64", "INT32", "INT64"})

Flavor = Mapping[str, Any]


class MlflowWrapper:
    """What `mlflow.<flavor>.save_model` wrote, or `log_model` and a download."""

    name = "mlflow"
    title = "MLflow model"

    def recognise(self, source: Path) -> bool:
        """A folder with `MLmodel`."""
        return (source / _FILE).is_file()

    def unwrap(self, source: Path, scratch: Path, hints: Hints) -> Unwrapped:  # noqa: ARG002 - nothing is unpacked
        """The model of the first flavor that can be served.

        Raises:
            ModelRefused: `MLmodel` cannot be read, names files outside of the folder, or all flavors are pickles.
        """
        check_links(source)
        described = _read(source / _FILE)
        flavors = described.get("flavors")
        if not isinstance(flavors, dict) or not flavors:
            raise ModelRefused(f"{_FILE} names no flavors, so nothing tells how the model was saved; log it again")
        flavor = next((name for name in _FLAVORS if isinstance(flavors.get(name), dict)), None)
        if flavor is None:
            raise ModelRefused(
                f"the MLflow model has the flavors {', '.join(map(str, flavors))}; one of {', '.join(_FLAVORS)} is "
                "needed. python_function alone is Python code: log the model with the flavor of its framework, or "
                "write a Triton Python model: triton-gateway models scaffold"
            )
        found = _FLAVORS[flavor](source, flavors[flavor])
        if flavor == "pytorch" and not hints.inputs and found.suffix.lower() != ".pt2":
            hints = replace(hints, inputs=_signature_inputs(described))
        told = {key: str(described[key]) for key in _ORIGIN if described.get(key)}
        return Unwrapped(found, hints, {"wrapper": self.title, "flavor": flavor, **told})


def _inside(folder: Path, value: object, default: str) -> Path:
    """The file or folder that `MLmodel` names, which is there and inside."""
    named = str(value or default)
    path = folder / named
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelRefused(f"{_FILE} names '{named}', which is outside of the model's folder")
    if not path.exists():
        raise ModelRefused(f"{_FILE} names '{named}', which is not there; copy the whole folder again")
    return path


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ModelRefused(f"{_FILE} is larger than {_MOST_BYTES >> 20} MiB, which no description is")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelRefused(f"{_FILE} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ModelRefused(f"{_FILE} is no description of a model; copy the whole folder again")
    return content


def _onnx(folder: Path, flavor: Flavor) -> Path:
    return _inside(folder, flavor.get("data"), "model.onnx")


def _tensorflow(folder: Path, flavor: Flavor) -> Path:
    if flavor.get("saved_model_dir"):
        return _inside(folder, flavor["saved_model_dir"], "")
    data = _inside(folder, flavor.get("data"), "data")
    places = [data] if data.is_file() else [data, *sorted(data.iterdir())]
    for place in places:
        if place.suffix in (".keras", ".h5") or (place / "saved_model.pb").is_file():
            return place
    raise ModelRefused(f"'{data.name}' holds neither a .keras file nor a SavedModel; copy the whole folder again")


def _pytorch(folder: Path, flavor: Flavor) -> Path:
    data = _inside(folder, flavor.get("model_data"), "data")
    files = [data] if data.is_file() else sorted(data.iterdir())
    found = next((path for path in files if path.suffix in (".pth", ".pt", ".pt2")), None)
    if found is None:
        raise ModelRefused(f"'{data.name}' holds no PyTorch model; copy the whole folder again")
    if found.suffix != ".pt2" and not _holds_code(found):
        raise ModelRefused(
            "the MLflow model is a pickled PyTorch module, and a pickle runs whatever code is in it when it is opened. "
            "Log it as TorchScript: mlflow.pytorch.log_model(torch.jit.script(model.eval()), ...)"
        )
    return found


def _holds_code(path: Path) -> bool:
    """Whether it is TorchScript, whose code is that of the network."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.partition("/")[2].startswith("code/") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _xgboost(folder: Path, flavor: Flavor) -> Path:
    path = _inside(folder, flavor.get("data"), "model.xgb")
    with path.open("rb") as file:
        if file.read(1) == b"{":  # JSON or UBJSON
            return path
    raise ModelRefused(
        f"'{path.name}' is in XGBoost's old binary format, or pickled; load it where it was made and log it with "
        "model_format='ubj'"
    )


def _lightgbm(folder: Path, flavor: Flavor) -> Path:
    path = _inside(folder, flavor.get("data"), "model.lgb")
    with path.open("rb") as file:
        if file.read(5) == b"tree\n":
            return path
    raise ModelRefused(
        f"'{path.name}' is a pickled scikit-learn wrapper of LightGBM, and a pickle runs whatever code is in it "
        "when it is opened. Log the model inside: mlflow.lightgbm.log_model(model.booster_, ...)"
    )


def _sklearn(folder: Path, flavor: Flavor) -> Path:
    path = _inside(folder, flavor.get("pickled_model"), "model.skops")
    if flavor.get("serialization_format") == "skops" and path.suffix == ".skops":
        return path
    raise ModelRefused(
        f"the scikit-learn model is saved as {flavor.get('serialization_format', 'pickle')}, and a pickle runs "
        "whatever code is in it when it is opened. Log it with serialization_format='skops', or save it with "
        "skops.io.dump(model, 'm.skops') and drop that"
    )


_FLAVORS: Mapping[str, Callable[[Path, Flavor], Path]] = {
    "onnx": _onnx,
    "tensorflow": _tensorflow,
    "keras": _tensorflow,
    "pytorch": _pytorch,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "sklearn": _sklearn,
}


def _signature_inputs(described: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """The inputs by the model's signature; none where it does not tell them as tensors can be told.

    Columns of one type of number are one tensor of rows.
    """
    signature = described.get("signature")
    try:
        entries = json.loads(signature["inputs"]) if isinstance(signature, dict) else []
        specs = [entry["tensor-spec"] for entry in entries if entry.get("type") == "tensor"]
        if entries and len(specs) == len(entries):
            return tuple(_tensor(entry, position) for position, entry in enumerate(entries))
        return _columns([normalise(str(entry["type"])) for entry in entries])
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()


def _tensor(entry: Mapping[str, Any], position: int) -> Tensor:
    spec = entry["tensor-spec"]
    name = str(entry.get("name") or f"INPUT__{position}")
    return Tensor(name, normalise(str(spec["dtype"])), tuple(int(size) for size in spec["shape"]))


def _columns(datatypes: Sequence[str]) -> tuple[Tensor, ...]:
    if len(set(datatypes)) != 1 or datatypes[0] not in _NUMBERS:
        return ()
    return (Tensor("INPUT__0", datatypes[0], (ANY, len(datatypes))),)
