"""TorchServe archives (`.mar`): the model inside is served, where the handler is one of TorchServe's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.core.errors import ModelRefused
from gateway.repository.archive import unpack
from gateway.repository.description import ANY, Hints, Tensor
from gateway.repository.kinds.base import Unwrapped

_MANIFEST = "MAR-INF/MANIFEST.json"
_LABELS = "index_to_name.json"
_NOT_SERVED = "the handler's pre- and post-processing is not served: clients send and get tensors"
_MOST_BYTES = 64 << 30
_MOST_FILES = 10_000

_ON_IMAGES = frozenset({"image_classifier", "image_segmenter"})
"""These resize to 256 and crop to 224 x 224 pixels, RGB, normalised by the mean and deviation of ImageNet."""

_SERVED = _ON_IMAGES | {"object_detector", "base_handler"}

_REWRITE = (
    "Its code would have to become a Triton Python model beside this one: triton-gateway models scaffold writes one to "
    "begin with. Or drop only the model inside, if clients can send tensors"
)


class TorchServeWrapper:
    """What `torch-model-archiver` wrote."""

    name = "torchserve"
    title = "TorchServe archive"

    def recognise(self, source: Path) -> bool:
        """A file that ends in `.mar`."""
        return source.suffix.lower() == ".mar" and source.is_file()

    def unwrap(self, source: Path, scratch: Path, hints: Hints) -> Unwrapped:
        """Unpack the archive, and find the model in it.

        Raises:
            ModelRefused: the archive is damaged or unsafe, its handler is code of somebody's own or does what is not
                served, or the model is weights for Python code (eager mode).
        """
        unpack(source, scratch, max_bytes=_MOST_BYTES, max_files=_MOST_FILES)
        manifest = _read_json(scratch / _MANIFEST, source.name)
        model = manifest.get("model")
        if not isinstance(model, dict):
            raise ModelRefused(f"{_MANIFEST} in '{source.name}' describes no model; pack it again")
        handler = _stock_handler(str(model.get("handler") or ""))
        if model.get("modelFile"):
            raise ModelRefused(
                f"'{source.name}' is in eager mode: its network is the Python code {model['modelFile']}. Make it "
                "TorchScript, torch.jit.script(model.eval()).save('model.pt'), and drop that"
            )
        found = _inside(scratch, model.get("serializedFile"), source.name)
        origin = {
            "wrapper": self.title,
            "handler": handler,
            "model_name": str(model.get("modelName", "")),
            "model_version": str(model.get("modelVersion", "")),
        }
        return Unwrapped(found, _hinted(hints, handler, found, scratch / _LABELS), origin, (_NOT_SERVED,))


def _stock_handler(handler: str) -> str:
    """The handler's name.

    Raises:
        ModelRefused: it is not one of TorchServe's own, or one whose work cannot be left out.
    """
    if handler == "text_classifier":
        raise ModelRefused(
            "the handler text_classifier turns texts into tokens by a vocabulary of its own, without which the model "
            f"cannot be asked anything. {_REWRITE}"
        )
    if handler not in _SERVED:
        what = f"the handler '{handler}' is not one of TorchServe's own that are served" if handler else "there is none"
        raise ModelRefused(f"{what} ({', '.join(sorted(_SERVED))}). {_REWRITE}")
    return handler


def _inside(scratch: Path, named: object, archive: str) -> Path:
    path = scratch / str(named or "")
    if not named or not path.resolve().is_relative_to(scratch.resolve()) or not path.is_file():
        raise ModelRefused(f"'{archive}' has no model file, or not the one that its manifest names; pack it again")
    return path


def _read_json(path: Path, archive: str) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ModelRefused(f"'{archive}' has no {path.name} that can be read; pack it with torch-model-archiver")
    return content


def _hinted(hints: Hints, handler: str, model: Path, labels: Path) -> Hints:
    """What the handler tells of a TorchScript model, under what a person says."""
    if model.suffix.lower() not in (".pt", ".pth"):
        return hints
    if handler in _ON_IMAGES and not hints.inputs and hints.sample is None:
        hints = replace(hints, inputs=(Tensor("INPUT__0", "FP32", (ANY, 3, 224, 224)),))
    if handler == "image_classifier" and not hints.labels and labels.is_file():
        hints = replace(hints, labels={"OUTPUT__0": _labels(_read_json(labels, labels.name))})
    return hints


def _labels(names: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes in order; each is a name, or a list whose last one is the readable name."""
    try:
        ordered = [names[str(index)] for index in range(len(names))]
    except KeyError:
        raise ModelRefused(
            f"{_LABELS} must name the classes 0 to {len(names) - 1}; correct it and pack again"
        ) from None
    return tuple(str(each[-1]) if isinstance(each, list) and each else str(each) for each in ordered)
