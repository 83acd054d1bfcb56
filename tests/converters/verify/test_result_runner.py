from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.engines.validity import pack_header
from converters.errors import BadEngine, BadSource, ConversionError
from converters.precision.base import Calibration, Precision
from converters.precision.typed import Calibrated, TypedFromOnnx
from converters.verify.onnx_runner import OnnxRunner
from converters.verify.result_runner import result_runner
from tests.converters.build.building import small_model
from tests.converters.verify.doubles import Batches

FEEDS = {"x": np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)}


# What each loses at most, and at least: with less, it was not rounded as a GPU rounds it.
@pytest.mark.parametrize(
    ("precision", "least", "most"),
    [("fp32", -1, 0), ("fp16", 1e-5, 1e-2), ("bf16", 1e-4, 0.1), ("int8", 1e-4, 0.1), ("fp8", 1e-4, 0.3)],
)
def test_every_precision_runs_with_what_it_loses(
    tmp_path: Path, precision: Precision, least: float, most: float
) -> None:
    data = Calibrated(Batches([FEEDS]), Calibration())
    onnx.save(TypedFromOnnx(small_model(), precision, calibrated=data)(), tmp_path / "m.onnx")
    expected = OnnxRunner(small_model()).run(FEEDS)["y"]
    lost = np.abs(result_runner(tmp_path / "m.onnx", threads=1).run(FEEDS)["y"] - expected).max()
    assert least < lost <= most


@pytest.mark.parametrize("name", ["m.plan", "no_ending"])
def test_an_engine_is_known_by_its_name_or_header(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pack_header(b"vtrt", "0.0.0.1", (86,), 64))
    with pytest.raises(ConversionError, match=r"was built by tensorrt_rtx 0.0.0.1|is not installed"):
        result_runner(tmp_path / name)


def test_neither(tmp_path: Path) -> None:
    (tmp_path / "m.plan").write_bytes(b"none")
    (tmp_path / "m.onnx").write_bytes(b"none")
    with pytest.raises(BadEngine, match="this is no TensorRT engine"):
        result_runner(tmp_path / "m.plan")
    with pytest.raises(BadSource, match="is no ONNX model"):
        result_runner(tmp_path / "m.onnx")
