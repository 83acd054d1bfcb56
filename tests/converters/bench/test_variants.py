from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.arrays import Array, Feeds
from converters.bench.variants import OneAtATime, engine_variant, onnx_variant, variant_of
from converters.engines.validity import pack_header
from converters.errors import BadSource, ConversionError
from tests.converters.verify.doubles import FunctionRunner, doubling

FEEDS = {"x": np.ones((1, 3), np.float32)}


def test_onnx_in_memory() -> None:
    variant = onnx_variant("FP32", doubling(), threads=1)
    assert variant.name == "FP32"
    assert variant.start().run(FEEDS)["y"].tolist() == [[2, 2, 2]]


def test_engine_that_cannot_be_run_here_says_why(tmp_path: Path) -> None:
    plan = tmp_path / "model.plan"
    plan.write_bytes(b"no plan")
    with pytest.raises(ConversionError):
        engine_variant("engine", plan, "tensorrt_rtx").start()


def test_threads_wait_for_one_another() -> None:
    inside = threading.Semaphore(1)

    def alone(feeds: Feeds) -> Mapping[str, Array]:
        assert inside.acquire(blocking=False)
        try:
            return {"y": feeds["x"].repeat(1000) * 2}
        finally:
            inside.release()

    own = FunctionRunner(alone)
    runner = OneAtATime(own)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: runner.run(FEEDS)["y"][0], range(200)))
    assert results == [2.0] * 200
    assert runner.name == own.name
    runner.close()
    assert own.closed


def test_whatever_a_path_is_becomes_a_variant_of_that_name(tmp_path: Path) -> None:
    onnx.save(doubling(), tmp_path / "m.onnx")
    (tmp_path / "engine").write_bytes(pack_header(b"vtrt", "0.0.0.1", (86,), 64))
    (tmp_path / "own.py").write_text("import onnx\ndef model():\n    return onnx.load(__file__[:-6] + 'm.onnx')\n")
    for name in (str(tmp_path / "m.onnx"), f"{tmp_path}/own.py:model"):
        variant = variant_of(name, threads=1)
        assert variant.name == name
        assert variant.start().run(FEEDS)["y"].tolist() == [[2, 2, 2]]
    with pytest.raises(ConversionError, match=r"0.0.0.1|not installed"):
        variant_of(str(tmp_path / "engine")).start()
    with pytest.raises(BadSource, match="there is no 'nowhere'"):
        variant_of("nowhere")
