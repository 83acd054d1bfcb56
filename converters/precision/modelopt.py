"""Any precision by NVIDIA's ModelOpt, in an interpreter of its own.

ModelOpt pins versions of onnx and onnxruntime that differ from what everything else here needs, so it lives in a
virtual environment of its own and is run as a program.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from converters.arrays import Feeds
from converters.data.base import Dataset
from converters.errors import BadData, ConfigError, Place, ToolMissing, Unsupported
from converters.graph.files import load, save
from converters.lazy import Source, value_of
from converters.precision.base import QUANTISED, Calibration, Precision
from converters.precision.graphs import check_names, checked, prepared

_METHODS = {"minmax": "max", "entropy": "entropy"}
_INSTALL = (
    "make a virtual environment with `python3 -m venv modelopt`, run "
    "`modelopt/bin/pip install 'nvidia-modelopt[onnx]'`, and name `modelopt/bin/python`"
)


@dataclass(frozen=True, slots=True)
class ModelOptFromOnnx:
    """The model in FP16 or BF16 by ModelOpt's AutoCast, or in INT8 or FP8 by its quantiser, on the CPU.

    Attributes:
        model: in FP32.
        precision: to convert to.
        python: the interpreter of the environment that has ModelOpt.
        data: for calibration; for FP16 and BF16 it tells AutoCast how large numbers become, and may be None.
        calibration: the method; the other fields ModelOpt does not know.
        keep: names of nodes that stay as they are.
        keep_io: inputs and outputs keep their types.
    """

    model: Source[onnx.ModelProto]
    precision: Precision
    python: Path
    data: Dataset | None = None
    calibration: Calibration = field(default_factory=Calibration)
    keep: frozenset[str] = frozenset()
    keep_io: bool = True

    def __call__(self) -> onnx.ModelProto:
        """Convert.

        Raises:
            ToolMissing: there is no ModelOpt in that environment; says how to install it.
            ConfigError: ModelOpt does not know the calibration's method, or `keep` names a node that is not there.
            BadData: there is no data for INT8 or FP8, or its batches differ in shape.
            Unsupported: ModelOpt does not take the model, or finds nothing to quantise; says what it said.
        """
        self._find()
        model = prepared(value_of(self.model))
        check_names(self.keep, model.graph, step=self.precision)
        with tempfile.TemporaryDirectory(prefix="triton-convert-") as name:
            folder = Path(name)
            source, target = folder / "source.onnx", folder / "target.onnx"
            save(model, source)
            arguments = self._quantisation(folder) if self.precision in QUANTISED else self._autocast(folder)
            files = ["--onnx_path", str(source), "--output_path", str(target)]
            said = self._run([*arguments, *files])
            if not target.is_file():
                raise self._refused(said)
            result = checked(load(target), step=self.precision)
        if self.precision in QUANTISED and not any(node.op_type == "QuantizeLinear" for node in result.graph.node):
            raise self._refused("it found nothing to quantise")
        return result

    def _find(self) -> None:
        try:
            found = subprocess.run(
                [self.python, "-I", "-c", "import modelopt.onnx"], capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise ToolMissing(
                f"the interpreter for ModelOpt cannot be started ({self.python}: {error.strerror})", hint=_INSTALL
            ) from error
        if found.returncode:
            reason = _last_line(found.stderr)
            raise ToolMissing(f"{self.python} cannot import ModelOpt ({reason})", hint=_INSTALL)

    def _quantisation(self, folder: Path) -> list[str]:
        if self.calibration.method not in _METHODS:
            raise ConfigError(
                f"ModelOpt has no calibration by {self.calibration.method}",
                hint="choose minmax or entropy, or the quantiser onnxruntime",
                place=Place(step=self.precision),
            )
        batches = self._batches()
        if not batches:
            raise BadData(f"{self.precision} needs calibration data, and there is none", hint="give data.calibration")
        np.savez(folder / "data.npz", **_joined(batches))
        shapes = ",".join(f"{name}:{'x'.join(map(str, value.shape))}" for name, value in batches[0].items())
        return [
            *("-m", "modelopt.onnx.quantization", "--quantize_mode", self.precision),
            *("--calibration_method", _METHODS[self.calibration.method], "--calibration_eps", "cpu"),
            *("--calibration_data_path", str(folder / "data.npz"), "--calibration_shapes", shapes),
            *("--high_precision_dtype", "fp32"),
            *(["--nodes_to_exclude", *self._kept()] if self.keep else []),
            *([] if self.keep_io else ["--direct_io_types"]),
        ]

    def _autocast(self, folder: Path) -> list[str]:
        arguments = ["-m", "modelopt.onnx.autocast", "--low_precision_type", self.precision, "--providers", "cpu"]
        batches = self._batches()
        if batches:
            data = folder / "data"
            data.mkdir()
            for number, feeds in enumerate(batches):
                np.savez(data / f"{number:06}.npz", **feeds)
            arguments += ["--calibration_data", str(data)]
        if self.keep:
            arguments += ["--nodes_to_exclude", *self._kept()]
        return [*arguments, "--keep_io_types"] if self.keep_io else arguments

    def _batches(self) -> list[Feeds]:
        return [] if self.data is None else list(self.data)

    def _kept(self) -> list[str]:
        return [f"^{re.escape(name)}$" for name in sorted(self.keep)]

    def _run(self, arguments: Sequence[str]) -> str:
        done = subprocess.run(
            [self.python, "-I", *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            raise self._refused(done.stderr)
        return done.stderr

    def _refused(self, said: str) -> Unsupported:
        return Unsupported(
            f"ModelOpt could not convert the model ({_last_line(said)})",
            hint="use the quantiser onnxruntime",
            place=Place(step=self.precision),
        )


def _joined(batches: Sequence[Feeds]) -> Feeds:
    """All batches as one, samples first, as ModelOpt's quantiser wants them."""
    shapes = {tuple((name, value.shape) for name, value in feeds.items()) for feeds in batches}
    if len(shapes) > 1:
        raise BadData(
            "ModelOpt calibrates with batches of one shape, and these differ",
            hint="give data.batch_size so that all batches are of one size, or use the quantiser onnxruntime",
        )
    return {name: np.concatenate([feeds[name] for feeds in batches]) for name in batches[0]}


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1].rstrip(".")[:300] if lines else "it said nothing"
