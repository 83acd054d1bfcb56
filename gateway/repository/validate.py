"""Try a model out: loaded and run by its backend's own code, and held against its framework.

Runs in the sandbox. What is found is a `Check`; what is wrong is a refusal with the numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gateway.core.errors import ModelRefused
from gateway.repository.compare import Array, difference, not_finite, numbers
from gateway.repository.datatypes import BYTES, NUMPY_NAMES
from gateway.repository.description import Check, Description, Hints
from gateway.repository.kinds.base import Kind
from gateway.repository.shapes import fits, show
from gateway.repository.tried import Tried, entry_point
from gateway.repository.triton_module import OnlyInTriton

_FRAMEWORKS = {"onnx": "ONNX Runtime", "pytorch": "PyTorch", "tensorflow": "TensorFlow"}
_NOT_ALONE = ("ensemble_scheduling", "sequence_batching")
_GIVE_SAMPLE = "give inputs that it accepts in a sample .npz, one array for each input"
_EXPECTED = "if that is to be expected, say so in model.yaml:"


@dataclass(frozen=True, slots=True)
class Validation:
    """What came out: the checks in order, and the sample that the model ran on (None if it was not run)."""

    checks: tuple[Check, ...]
    sample: Mapping[str, Array] | None


def validate(  # noqa: PLR0913, PLR0917 - what is validated, and what it is held against
    version: Path,
    config: Mapping[str, Any],
    description: Description,
    kind: Kind,
    samples: Iterable[Mapping[str, Array]],
    hints: Hints,
    begin: Callable[[str], None] = lambda _: None,
) -> Validation:
    """Load and run a model as Triton would, and compare it with its framework.

    Args:
        version: the version's folder, inside the model's.
        config: its `config.pbtxt` in Triton's JSON form.
        description: what it is.
        kind: knows how to run it in its framework.
        samples: inputs to try, the likeliest first; the first that the model accepts is taken.
        hints: the tolerance, and whether the model is deterministic.
        begin: told what is being done.

    Raises:
        ModelRefused: it does not do what it must; with the numbers.
    """
    path = entry_point(version, description)
    if path is None or any(key in config for key in _NOT_ALONE):
        why = f"backend {description.backend!r} is a part of Triton" if path is None else "it needs Triton's scheduler"
        return Validation((Check("load", f"not tried here: {why}"),), None)
    trial = _Trial(version, config, description, hints, begin)
    trial.load(path)
    try:
        found, outputs = trial.first_run(samples)
        trial.check_outputs(outputs)
        trial.check_determinism(found, outputs)
        trial.check_batches(found, outputs)
    except OnlyInTriton as error:
        trial.note("run", f"not tried here: the model uses {error}, which only a running Triton has")
        return Validation(tuple(trial.checks), None)
    finally:
        trial.close()
    trial.compare(found, outputs, kind)
    return Validation(tuple(trial.checks), found)


class _Trial:
    """One model while it is tried out."""

    def __init__(
        self,
        version: Path,
        config: Mapping[str, Any],
        description: Description,
        hints: Hints,
        begin: Callable[[str], None],
    ) -> None:
        self.checks: list[Check] = []
        self._version, self._config, self._description, self._hints = version, config, description, hints
        self._begin, self._started = begin, time.perf_counter()
        self._input_types = {tensor.name: tensor.datatype for tensor in description.inputs}
        self._output_types = {
            entry["name"]: entry["data_type"].removeprefix("TYPE_").replace("STRING", BYTES)
            for entry in config.get("output", [])
        }
        self._largest = int(config.get("max_batch_size", 0))
        self._model: Tried | None = None

    def load(self, path: Path) -> None:
        self._step("loading the model")
        self._model = Tried(path, self._version, self._config)
        self.note("load", f"by the backend {self._description.backend!r}")

    def close(self) -> None:
        if self._model is not None:
            self._model.close()
            self._model = None

    def note(self, name: str, detail: str) -> None:
        """A check that is done."""
        self.checks.append(Check(name, detail, round(time.perf_counter() - self._started, 4)))

    def first_run(self, samples: Iterable[Mapping[str, Array]]) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        """The first sample that the model accepts, and its outputs."""
        self._step("running the model on a sample")
        refusal: ModelRefused | None = None
        for sample in samples:
            inputs = self._trimmed(sample)
            try:
                outputs = self._run(inputs)
            except ModelRefused as error:
                refusal = refusal or error
                continue
            shown = ", ".join(f"{name} {show(array.shape)}" for name, array in inputs.items())
            self.note("run", f"on {'a sample' if self._hints.sample is None else self._hints.sample.name}: {shown}")
            return inputs, outputs
        given = "" if self._hints.sample else f"; {_GIVE_SAMPLE}"
        raise ModelRefused(f"{refusal.message if refusal else 'there is no sample'}{given}")

    def check_outputs(self, outputs: Mapping[str, Array]) -> None:
        """The outputs are those of the configuration: names, datatypes, shapes."""
        self._step("checking the outputs")
        shapes = self._shapes()
        for name, datatype in self._output_types.items():
            if name not in outputs:
                raise ModelRefused(f"the model gave no output {name!r}, but {', '.join(map(repr, outputs)) or 'none'}")
            array, wanted = outputs[name], np.dtype(NUMPY_NAMES[datatype])
            if array.dtype != wanted and not (datatype == BYTES and array.dtype.kind in "SUO"):
                raise ModelRefused(f"output {name!r} is {array.dtype}, but {datatype} was said; convert it with astype")
            if not fits(array.shape, shapes[name]):
                given = "" if self._hints.sample else f", or {_GIVE_SAMPLE}"
                raise ModelRefused(
                    f"output {name!r} has the shape {show(array.shape)}, but {show(shapes[name])} was said by the "
                    f"model or its configuration (-1 is any size); say -1 where the size varies{given}"
                )
        self.note("outputs", ", ".join(f"{name} {show(outputs[name].shape)}" for name in self._output_types))

    def check_determinism(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """The same input gives the same answer."""
        if not self._hints.deterministic:
            return
        self._step("running the model again")
        detail = self._agree(
            self._run(inputs), outputs, "gives another answer to the same input", f"{_EXPECTED} deterministic: false"
        )
        self.note("deterministic", detail)

    def check_batches(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """An element gives the same answer alone as beside another one."""
        if self._largest < 2 or not self._hints.deterministic:
            return
        self._step("running the model on batches")
        size = min(len(array) for array in inputs.values()) if inputs else 0
        if size == 1:
            outputs = self._run({name: np.repeat(array, 2, axis=0) for name, array in inputs.items()})
        alone = self._run({name: array[:1] for name, array in inputs.items()})
        first = {name: array[:1] for name, array in outputs.items()}
        what = f"gives another answer to an element alone than in a batch of {max(2, size)}"
        detail = self._agree(first, alone, what, f"{_EXPECTED} batches: false")
        self.note("batch", f"1 and {max(2, size)}: {detail}")

    def compare(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array], kind: Kind) -> None:
        """The framework itself gives the same."""
        title = self._description.origin.get("model", kind.title)  # of what is inside of a model folder
        framework = _FRAMEWORKS.get(self._description.framework or "", title.partition(" (")[0])
        if "compared" in self._description.origin:  # with the framework itself, when it was converted
            framework = "the converted model"
        self._step(f"running the model in {framework}")
        reference = kind.reference(self._version, self._description, inputs)
        strange = {name: count for name, array in outputs.items() if (count := not_finite(self._numbers(name, array)))}
        unexplained = next((name for name in strange if name not in reference), None)
        if unexplained is not None:
            raise ModelRefused(
                f"output {unexplained!r} has {strange[unexplained]} numbers that are NaN or infinite on the sample; "
                "give realistic inputs in a sample .npz, or correct the model"
            )
        if reference:
            expected = {name: array for name, array in reference.items() if name in outputs}
            told = f"differs from what {framework} itself gives"
            detail = self._agree(outputs, expected, told, f"{_EXPECTED} tolerance: a larger number", framework)
            self.note("same answer", detail)
        note = ", ".join(f"{name}: {count} NaN or infinite, in {framework} too" for name, count in strange.items())
        self.note("finite", note or "every number")

    def _step(self, doing: str) -> None:
        self._started = time.perf_counter()
        self._begin(doing)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        assert self._model is not None  # noqa: S101 - it is loaded first
        return self._model.run(inputs, self._input_types)

    def _trimmed(self, sample: Mapping[str, Array]) -> dict[str, Array]:
        """The sample with no larger batch than the configuration allows."""
        return {name: array[: self._largest] if self._largest else array for name, array in sample.items()}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the outputs as the model gives them, before Triton reshapes them."""
        front = (-1,) if self._largest else ()
        return {
            entry["name"]: (*front, *(entry["reshape"].get("shape", ()) if "reshape" in entry else entry["dims"]))
            for entry in self._config.get("output", [])
        }

    def _numbers(self, name: str, array: Array) -> Array:
        return numbers(array, self._output_types.get(name, ""))

    def _agree(
        self, found: Mapping[str, Array], expected: Mapping[str, Array], what: str, remedy: str, by: str = ""
    ) -> str:
        """How far the outputs are apart; refused if that is more than tolerated."""
        largest = 0.0
        for name, wanted in expected.items():
            given = found[name]
            if given.shape != wanted.shape and given.size == wanted.size <= 1:
                wanted = wanted.reshape(given.shape)  # noqa: PLW2901 - a scalar is one element to Triton
            if given.shape != wanted.shape:
                raise ModelRefused(
                    f"the model {what}: output {name!r} has the shape {show(given.shape)}, not {show(wanted.shape)}"
                )
            apart = difference(self._numbers(name, given), self._numbers(name, wanted), self._hints.tolerance)
            if apart.wrong:
                raise ModelRefused(
                    f"the model {what}: output {name!r} differs in {apart.wrong} of {given.size} numbers by up to "
                    f"{apart.largest:.3g} (at {show(apart.where)}: {apart.found}, not {apart.expected}), where "
                    f"{self._hints.tolerance:g} is tolerated; {remedy}"
                )
            largest = max(largest, apart.largest)
        return f"max difference {largest:.2g}{by and f' to {by}'}"
