"""What is said of a file or folder that is no servable model: near misses are told the way to something that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from gateway.repository.kinds.base import Kind, Wrapper

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_GZIP = b"\x1f\x8b"

_WEIGHTS = (
    "{name} holds weights without the network that they belong to; load them into the network and export both "
    "together, with torch.onnx.export, torch.export.save or (for a TorchScript file) torch.jit.save"
)
_ARCHIVE = "{name} is an archive; unpack it, and drop the model file or folder that is inside"
_KERAS_2 = "{name} is an HDF5 file, as Keras 2 saved them; load it and save it again with model.save('{stem}.keras')"
_LANGUAGE_MODEL = "{name} is a language model for llama.cpp, which Triton doesn't run; export the model to ONNX"
_APPLE = "{name} is a Core ML model, which runs on Apple's systems only; export the original model to ONNX"
_FROZEN = (
    "{name} alone is a frozen TensorFlow graph or a part of something; save the model with tf.saved_model.save, and "
    "drop the whole folder with saved_model.pb and variables/ in it"
)

_BY_SUFFIX: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((".safetensors", ".pth", ".ckpt", ".bin", ".weights", ".npz", ".npy"), _WEIGHTS),
        **dict.fromkeys((".tar", ".tgz", ".gz", ".zip", ".7z", ".xz", ".bz2", ".rar", ".zst"), _ARCHIVE),
        **dict.fromkeys((".h5", ".hdf5"), _KERAS_2),
        **dict.fromkeys((".gguf", ".ggml"), _LANGUAGE_MODEL),
        **dict.fromkeys((".mlmodel", ".mlpackage"), _APPLE),
        ".pb": _FROZEN,
        ".pt": "{name} is neither a TorchScript file nor a torch.export one; save the model with torch.jit.save or, as "
        "{stem}.pt2, with torch.export.save",
        ".tflite": "{name} is for mobile devices, and Triton doesn't run it; save the original model with "
        "tf.saved_model.save or model.save('{stem}.keras'), or convert this one with tf2onnx's --tflite",
        ".cbm": "{name} is a CatBoost model; save it with model.save_model('{stem}.onnx', format='onnx')",
        ".pmml": "{name} is PMML, which Triton doesn't run; export the original model to ONNX",
        ".pdmodel": "{name} is a Paddle model; convert it to ONNX with paddle2onnx",
        ".caffemodel": "{name} is a Caffe model; convert it to ONNX",
        ".ipynb": "{name} is a notebook; save the model that it makes to a file, and drop that",
        ".py": "{name} is a Python file; a Python model is a folder with model.py in it: `triton-gateway models "
        "scaffold NAME` writes one",
        ".json": "{name} is JSON, but no XGBoost model; save that with booster.save_model('{stem}.json')",
        ".ubj": "{name} is no XGBoost model; save that with booster.save_model('{stem}.ubj')",
        ".txt": "{name} is text, but no LightGBM model; save that with booster.save_model('{stem}.txt')",
        ".xml": "{name} is XML, but no OpenVINO model",
        ".onnx": "{name} ends in .onnx but isn't an ONNX model, or was cut short; export or copy it again",
        ".keras": "{name} ends in .keras but isn't what Keras 3 saves; save it again with model.save('{name_only}')",
    }
)
_BY_HEAD = ((_HDF5, _KERAS_2), (_ZIP, _ARCHIVE), (_GZIP, _ARCHIVE))


def explain(source: Path, known: Sequence[Kind | Wrapper]) -> str:
    """Why `source`, which none of the known kinds recognises, cannot be served, and what can."""
    titles = ", ".join(dict.fromkeys(each.title for each in known if each.name != "pickle"))
    return f"{_why(source, known)}. What can be dropped: {titles}"


def _why(source: Path, known: Sequence[Kind | Wrapper]) -> str:
    if source.is_dir():
        return _why_not_folder(source, known)
    if not source.is_file():
        return f"'{source.name}' isn't there, or is neither a file nor a folder"
    if source.stat().st_size == 0:
        return f"'{source.name}' is empty; copy it again"
    with source.open("rb") as file:
        head = file.read(16)
    suffix = source.suffix.lower()
    told = _BY_SUFFIX.get(suffix) or next((said for start, said in _BY_HEAD if head.startswith(start)), None)
    if suffix == ".keras" and head.startswith(_HDF5):
        told = _KERAS_2
    if told is None:
        ending = "" if suffix else "; give its name the ending of its format, such as .onnx"
        return f"'{source.name}' is no model that is known here{ending}"
    return told.format(name=f"'{source.name}'", stem=source.stem, name_only=source.name)


def _why_not_folder(folder: Path, known: Sequence[Kind | Wrapper]) -> str:
    if folder.suffix.lower() == ".mlpackage" or {"Manifest.json", "Data"} <= {path.name for path in folder.iterdir()}:
        return _APPLE.format(name=f"the folder '{folder.name}'")
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    models = [path.name for path in entries if any(each.recognise(path) for each in known)]
    if not entries:
        return f"the folder '{folder.name}' is empty"
    if len(models) > 1:
        return f"the folder '{folder.name}' holds several models: {', '.join(models[:5])}; drop each by itself"
    if models:
        return f"the folder '{folder.name}' holds a model, {models[0]}, but is none itself; drop {models[0]} by itself"
    names = {path.name for path in entries}
    if "config.json" in names and any(name.endswith((".safetensors", ".bin")) for name in names):
        return (
            f"the folder '{folder.name}' is a Hugging Face model: weights without a network; export it with "
            "`optimum-cli export onnx`, and drop the model.onnx that comes out"
        )
    shown = ", ".join([path.name for path in entries[:5]] + (["..."] if len(entries) > 5 else []))
    return f"the folder '{folder.name}' holds no model that is known here, but {shown}"
