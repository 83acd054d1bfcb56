"""Python models: a folder with a `model.py` for Triton's Python backend, and whatever files that uses."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository import datatypes
from gateway.repository.archive import check_links
from gateway.repository.description import ANY, Description, Hints, Tensor
from gateway.repository.kinds import configured
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.python_stub import complete
from gateway.repository.kinds.specs import folder_size

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_FILENAME = "model.py"
_CLASS = "TritonPythonModel"
_VERSION = re.compile(r"[1-9][0-9]*")
_LABELS = re.compile(r"labels.*\.txt", re.IGNORECASE)
_OF_THE_MODEL = frozenset({configured.FILENAME, "README.md"})
"""What belongs to all versions."""
_NOT_SERVED = frozenset({"__pycache__", ".git", ".DS_Store", ".triton-gateway.json", "model.yaml", "sample.npz"})


class PythonKind:
    """A model of Triton's Python backend."""

    name = "python"
    title = "Python model folder (model.py)"

    def recognise(self, source: Path) -> bool:
        """A folder with `model.py` and without version folders."""
        try:
            versions = (entry for entry in source.iterdir() if _VERSION.fullmatch(entry.name) and entry.is_dir())
            return (source / _FILENAME).is_file() and not any(versions)
        except OSError:
            return False

    def companions(self, source: Path) -> tuple[Path, ...]:  # noqa: ARG002 - of the protocol; everything is in the folder
        """None."""
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """All files beside `model.py`; inputs and outputs by config.pbtxt, hints, or `auto_complete_config`.

        Raises:
            ModelRefused: `model.py` cannot be used, or nothing says what the inputs and outputs are.
        """
        check_links(source)
        _check_code(source / _FILENAME)
        config = configured.read_config(source)
        _copy(source, target, {output.label_filename for output in config.output} if config else set())
        if config:
            configured.refuse_missing_labels(target.model, config.output)
        described = _by_config(config) or _by_hints(hints) or _by_code(target, config)
        inputs, outputs, batches = described
        return Description(
            kind=self.name,
            backend="python",
            framework=None,
            inputs=inputs,
            outputs=outputs,
            batches=batches,
            filename=_FILENAME,
            size_bytes=folder_size(target.version),
            origin={"format": "Triton Python model"},
        )

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:  # noqa: ARG002 - of the protocol
        """Nothing: the code is its own framework."""
        return {}


_Signature = tuple[tuple[Tensor, ...], tuple[Tensor, ...], bool]


def _check_code(path: Path) -> None:
    """Refuse code that Triton could not use, as far as it shows without running it."""
    try:
        tree = ast.parse(path.read_bytes(), path.name)
    except (SyntaxError, ValueError) as error:
        line = f" line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else error
        raise ModelRefused(f"{_FILENAME}{line}: {what}; correct it (try `python {_FILENAME}`)") from None
    found = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == _CLASS), None)
    imported = any(
        alias.asname == _CLASS or alias.name in (_CLASS, "*")
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )
    assigned = any(isinstance(n, ast.Name) and n.id == _CLASS and isinstance(n.ctx, ast.Store) for n in ast.walk(tree))
    if found is None and not imported and not assigned:
        raise ModelRefused(
            f"{_FILENAME} has no class {_CLASS}, which Triton's Python backend runs; write one with a method "
            "execute(self, requests), as `triton-gateway models scaffold NAME` does, or leave model.py out if it isn't "
            "what is to be served"
        )
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    methods = {node.name for node in found.body if isinstance(node, functions)} if found else set()
    if found and not found.bases and "execute" not in methods:
        raise ModelRefused(f"{_FILENAME}: the class {_CLASS} has no method execute(self, requests); write one")


def _copy(source: Path, target: Target, labels: set[str]) -> None:
    """Everything to the version, where the code finds it; what Triton looks for beside the versions there."""
    for entry in source.iterdir():
        if entry.name in _NOT_SERVED:
            continue
        if entry.is_dir():
            shutil.copytree(entry, target.version / entry.name, ignore=shutil.ignore_patterns(*_NOT_SERVED))
            continue
        is_label = entry.name in labels or _LABELS.fullmatch(entry.name)
        if is_label or entry.name in _OF_THE_MODEL:
            shutil.copyfile(entry, target.model / entry.name)
        if entry.name not in _OF_THE_MODEL:
            shutil.copyfile(entry, target.version / entry.name)


def _by_config(config: Any) -> _Signature | None:
    """By a hand-written configuration, if it gives everything."""
    if config is None:
        return None
    batches = config.max_batch_size > 0
    inputs, outputs = (configured.tensors(side, batches=batches) for side in (config.input, config.output))
    whole = inputs and outputs and len(inputs) == len(config.input) and len(outputs) == len(config.output)
    return (inputs, outputs, batches) if whole else None


def _by_hints(hints: Hints) -> _Signature | None:
    """By what a person said, if that gives everything."""
    if not (hints.inputs and hints.outputs and all(each.datatype for each in (*hints.inputs, *hints.outputs))):
        return None
    opened = all(tensor.shape[:1] == (ANY,) for tensor in (*hints.inputs, *hints.outputs))
    return hints.inputs, hints.outputs, opened if hints.batches is None else hints.batches


def _by_code(target: Target, config: Any) -> _Signature:
    """By what `auto_complete_config` fills in, which also goes to the configuration where only that can say it."""
    completed = complete(target.version, config)
    missing = [side for side in ("input", "output") if not completed[side]]
    if missing:
        raise ModelRefused(
            f"nothing says what the {' and '.join(f'{side}s' for side in missing)} of {_FILENAME} are. Give {_CLASS} a "
            "static method auto_complete_config that calls add_input, add_output and set_max_batch_size; or write "
            "inputs and outputs in a model.yaml in the folder; or put a config.pbtxt there"
        )
    batches = int(completed["max_batch_size"]) > 0
    _note_in_config(target.model / configured.FILENAME, completed, config)
    inputs, outputs = (
        tuple(_tensor(entry, batches=batches) for entry in completed[side]) for side in ("input", "output")
    )
    return inputs, outputs, batches


def _tensor(entry: Mapping[str, Any], *, batches: bool) -> Tensor:
    try:
        datatype = datatypes.normalise(entry["data_type"])
    except ValueError as error:
        raise ModelRefused(f"{_FILENAME}: auto_complete_config: tensor '{entry['name']}': {error}") from None
    shape = (*((ANY,) if batches else ()), *(int(size) for size in entry["dims"]))
    return Tensor(entry["name"], datatype, shape, optional=bool(entry.get("optional", False)))


def _note_in_config(path: Path, completed: Mapping[str, Any], config: Any) -> None:
    """Write what a description has no words for: the largest batch, and that one request may get many answers."""
    text = path.read_text("utf-8") if path.is_file() else ""
    if completed["max_batch_size"] and not (config and config.max_batch_size):
        text = re.sub(r"(?m)^\s*max_batch_size\s*:\s*0\b", "", text)
        text += f"\nmax_batch_size: {completed['max_batch_size']}\n"
    decoupled = completed.get("model_transaction_policy", {}).get("decoupled")
    if decoupled and not (config and config.model_transaction_policy.decoupled):
        text += "\nmodel_transaction_policy { decoupled: true }\n"
    if text:
        path.write_text(text.lstrip("\n"), "utf-8")
