"""The first step: the original becomes ONNX, which must say the same as it did."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import onnx

from converters.arrays import Feeds
from converters.build.cache import Made
from converters.build.config import DataSection
from converters.build.events import StepProgress
from converters.build.inputs import dataset_of, reference_of
from converters.build.stored import store, stored
from converters.build.tools import versions
from converters.build.workbench import Workbench
from converters.data.base import Dataset
from converters.data.checked import CheckedDataset
from converters.engines.record import Lineage
from converters.graph.dimensions import FixedFromOnnx
from converters.graph.files import load, save
from converters.graph.opset import opset_of
from converters.graph.signature import Signature, signature_of
from converters.originals.base import ExportOptions, Original
from converters.originals.recognise import original
from converters.originals.taken import check_taken
from converters.to_onnx.lowering.tensor_operators import has_classical_operators

_EXPORTERS = ("onnx", "onnxslim", "onnxscript", "tf2onnx", "torch", "skl2onnx", "onnxmltools")


@dataclass(frozen=True, slots=True)
class OnnxFacts:
    """What is known of an ONNX model without loading it.

    Attributes:
        opset: its ONNX operator set.
        size_bytes: with its weights.
        signature: inputs and outputs.
        classical: whether it holds operators of `ai.onnx.ml`, which TensorRT does not know.
    """

    opset: int
    size_bytes: int
    signature: Signature
    classical: bool


class Converted:
    """A model as ONNX, and all that later steps ask of it."""

    def __init__(self, bench: Workbench, source: Original, sha256: str, options: ExportOptions, made: Made) -> None:
        self.original = source
        self.sha256 = sha256  # of the original; reading all of it once is enough
        self.options = options
        self.made = made
        self.facts = stored(made.folder / "facts.json", OnnxFacts)
        self._bench = bench

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The graph; loaded when it is first asked for."""
        return load(self.made.folder / "model.onnx")

    @cached_property
    def verification(self) -> Dataset | None:
        """Input to verify with, checked against the signature; None where none is configured."""
        return self._checked(self._bench.section.data.verification)

    @cached_property
    def calibration(self) -> Dataset | None:
        """Input to calibrate with, checked against the signature; None where none is configured."""
        return self._checked(self._bench.section.data.calibration)

    @property
    def lineage(self) -> Lineage:
        """Where it comes from, as `engine.json` says it."""
        source = self.original
        return Lineage(source.name, source.version, source.kind, self.sha256, self.facts.opset)

    def _checked(self, section: DataSection | None) -> Dataset | None:
        if section is None:
            return None
        data = dataset_of(section, self._bench.base, self.facts.signature)
        return CheckedDataset(data, self.facts.signature, batches=section.batches)


def to_onnx(bench: Workbench) -> Converted:
    """Convert, or look up that it was done.

    Raises:
        ConversionError: with the model and the step.
    """
    section = bench.section
    with bench.at("to ONNX"):
        depends = tuple(bench.path(path) for path in section.depends)
        source = original(reference_of(section.source, bench.base), depends=depends)
    sample = _sample(bench)
    options = ExportOptions(
        opset=section.export.opset,
        sample=sample,
        dynamic=section.export.dynamic,
        outputs=section.export.outputs,
        signature=section.export.signature,
    )
    with bench.at("to ONNX"):
        check_taken(source.kind, options)
        sha256 = source.digest
    made_from = {
        "source": sha256,
        "kind": source.kind,
        "export": section.export.model_dump(mode="json"),
        "sample": {name: [str(array.dtype), *array.shape] for name, array in (sample or {}).items()},
        "tools": versions(_EXPORTERS),
    }

    def work(folder: Path, progress: StepProgress) -> None:
        progress.stage(f"reading {source.kind}")
        model = source.to_onnx(options)
        if section.export.fixed:
            model = FixedFromOnnx(model, section.export.fixed)()
        save(model, folder / "model.onnx")
        size = sum(path.stat().st_size for path in folder.iterdir())
        store(folder / "facts.json", facts_of(model, size))

    made = bench.step("to ONNX", "onnx", made_from, work)
    converted = Converted(bench, source, sha256, options, made)
    facts = converted.facts
    bench.done("to ONNX", f"{source.kind}, opset {facts.opset}, {facts.size_bytes / 1e6:.1f} MB", cached=made.cached)
    return converted


def _sample(bench: Workbench) -> Feeds | None:
    """One batch of real input to trace with; random numbers need to know the model's inputs first."""
    data = bench.section.data
    real = [each for each in (data.verification, data.calibration) if each is not None and each.kind != "synthetic"]
    with bench.at("to ONNX"):
        return next(iter(dataset_of(real[0], bench.base, None)), None) if real else None


def facts_of(model: onnx.ModelProto, size_bytes: int) -> OnnxFacts:
    """What later steps want to know of a graph."""
    return OnnxFacts(opset_of(model), size_bytes, signature_of(model), has_classical_operators(model))
