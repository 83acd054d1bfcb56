"""A stand-in for the interpreter that has ModelOpt writes down how it is called and gives a model that was put there.

The real one, a download of some gigabytes, is used where TRITON_CONVERT_MODELOPT names its interpreter.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.errors import BadData, ConfigError, ToolMissing, Unsupported
from converters.precision.base import Calibration, Precision
from converters.precision.emulated import EmulatedFromMixed
from converters.precision.fp8 import Fp8FromOnnx
from converters.precision.modelopt import ModelOptFromOnnx
from tests.converters.precision.graphs_in_text import Batches, conv_net, run

STAND_IN = """#!{python}
import json, pathlib, shutil, sys
here = pathlib.Path(__file__).parent
arguments = sys.argv[1:]
if "-c" in arguments:
    sys.exit(0)
values = dict(zip(arguments, arguments[1:]))
data = next((values[key] for key in ("--calibration_data_path", "--calibration_data") if key in values), "")
found = sorted(path.name for path in pathlib.Path(data).iterdir()) if data and pathlib.Path(data).is_dir() else [data]
(here / "called.json").write_text(json.dumps({{"arguments": arguments, "data": found}}))
if (here / "complaint").exists():
    print("some log\\n" + (here / "complaint").read_text(), file=sys.stderr)
    sys.exit(1)
if (here / "result.onnx").exists():
    shutil.copy(here / "result.onnx", values["--output_path"])
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    interpreter = tmp_path / "python"
    interpreter.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
    interpreter.chmod(0o700)
    return interpreter


def called(python: Path) -> tuple[list[str], list[str]]:
    told = json.loads((python.parent / "called.json").read_text(encoding="utf-8"))
    return told["arguments"], told["data"]


def test_autocast_is_told_what_to_keep_and_gets_every_batch(python: Path) -> None:
    model, feeds = conv_net()
    onnx.save(model, python.parent / "result.onnx")
    data = Batches([feeds, feeds])
    result = ModelOptFromOnnx(model, "fp16", python, data=data, keep=frozenset({"first"}))()
    assert {node.name for node in result.graph.node} == {node.name for node in model.graph.node}
    arguments, files = called(python)
    assert arguments[:5] == ["-I", "-m", "modelopt.onnx.autocast", "--low_precision_type", "fp16"]
    assert arguments[arguments.index("--nodes_to_exclude") + 1] == "^first$"
    assert "--keep_io_types" in arguments
    assert files == ["000000.npz", "000001.npz"]


def test_the_quantiser_gets_all_samples_and_the_shape_of_a_batch(python: Path) -> None:
    model, feeds = conv_net()
    data = Batches([feeds, feeds])
    onnx.save(Fp8FromOnnx(model, data)(), python.parent / "result.onnx")
    ModelOptFromOnnx(model, "int8", python, data=data, keep_io=False)()
    arguments, _ = called(python)
    values = dict(pairwise(arguments))
    assert values["-m"] == "modelopt.onnx.quantization"
    assert (values["--quantize_mode"], values["--calibration_method"]) == ("int8", "max")
    assert values["--calibration_shapes"] == "image:4x3x16x16"
    assert "--direct_io_types" in arguments
    assert "--nodes_to_exclude" not in arguments


def test_what_modelopt_says_is_passed_on(python: Path) -> None:
    (python.parent / "complaint").write_text("RuntimeError: no such luck.", encoding="utf-8")
    with pytest.raises(Unsupported, match=r"bf16: ModelOpt could not convert the model \(RuntimeError: no such luck\)"):
        ModelOptFromOnnx(conv_net()[0], "bf16", python)()


def test_a_program_that_writes_nothing_is_an_error(python: Path) -> None:
    with pytest.raises(Unsupported, match="it said nothing"):
        ModelOptFromOnnx(conv_net()[0], "fp16", python)()


def test_an_int8_model_without_q_dq_is_an_error(python: Path) -> None:
    model, feeds = conv_net()
    onnx.save(model, python.parent / "result.onnx")
    with pytest.raises(Unsupported, match="found nothing to quantise"):
        ModelOptFromOnnx(model, "int8", python, data=Batches([feeds]))()


def test_bad_calibration_is_told_before_anything_runs(python: Path) -> None:
    model, feeds = conv_net()
    with pytest.raises(BadData, match="int8 needs calibration data"):
        ModelOptFromOnnx(model, "int8", python)()
    uneven = Batches([feeds, {"image": feeds["image"][:1]}])
    with pytest.raises(BadData, match="batches of one shape"):
        ModelOptFromOnnx(model, "int8", python, data=uneven)()
    with pytest.raises(ConfigError, match="ModelOpt has no calibration by percentile"):
        ModelOptFromOnnx(model, "fp8", python, data=Batches([feeds]), calibration=Calibration("percentile"))()
    assert not (python.parent / "called.json").exists()


def test_a_missing_modelopt_is_told_with_the_way_to_get_it(tmp_path: Path) -> None:
    model, _ = conv_net()
    with pytest.raises(ToolMissing, match="cannot be started") as caught:
        ModelOptFromOnnx(model, "fp16", tmp_path / "nowhere")()
    assert "nvidia-modelopt[onnx]" in caught.value.hint
    with pytest.raises(ToolMissing, match=r"cannot import ModelOpt .*No module named 'modelopt'"):
        ModelOptFromOnnx(model, "fp16", Path(sys.executable))()


@pytest.mark.skipif("TRITON_CONVERT_MODELOPT" not in os.environ, reason="TRITON_CONVERT_MODELOPT names no interpreter")
@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])  # for FP8 the net is too small
def test_the_real_one(precision: Precision) -> None:
    model, feeds = conv_net()
    python = Path(os.environ["TRITON_CONVERT_MODELOPT"])
    result = ModelOptFromOnnx(model, precision, python, data=Batches([feeds]))()
    difference = np.abs(run(EmulatedFromMixed(result)(), feeds)["scores"] - run(model, feeds)["scores"])
    assert difference.max() < 0.1
