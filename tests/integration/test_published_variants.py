"""What `triton-convert` publishes appears in a gateway that runs, is served, and is replaced by the next version."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from converters.engines.base import Range
from converters.engines.record import EngineRecord, Lineage
from converters.graph.signature import Signature, Tensor, signature_of
from converters.publish.config_pbtxt import ConfigFromSignature
from converters.publish.folder import Content, Published, publish

from .running import Running, running

pytestmark = pytest.mark.integration

DATA = np.random.default_rng(0).random((64, 32), np.float32)
RTX_HEADER = bytes.fromhex("76747274000000000200000000000000400000000000000001070174767472740c000000")


class Samples(CalibrationDataReader):  # type: ignore[misc]  # without types
    def __init__(self) -> None:
        self._left = iter([{"x": DATA}])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._left, None)


def quantised(folder: Path, scale: float) -> bytes:
    """A dense layer in INT8, by ONNX Runtime's own quantiser."""
    weights = numpy_helper.from_array(np.random.default_rng(1).random((32, 8), np.float32) * np.float32(scale), "w")
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in (("x", 32), ("y", 8))
    )
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="dense")], "g", [x], [y], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "fp32.onnx")
    quantize_static(
        folder / "fp32.onnx",
        folder / "int8.onnx",
        Samples(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )
    return (folder / "int8.onnx").read_bytes()


def record(data: bytes, file: str, **other: Any) -> EngineRecord:
    return EngineRecord(
        file=file,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        format=file.removeprefix("model."),
        builder_version="1.0",
        precision="int8",
        source=Lineage("dense", 3, "onnx", "0" * 64, 17),
        onnx_sha256="1" * 64,
        built_at="2026-11-21T12:00:00+00:00",
        seconds=1.0,
        converters_version="0.1.0",
        **other,
    )


def publish_onnx(repository: Path, data: bytes) -> Published:
    gate = {"passed": True, "outputs": [{"name": "y", "cosine": 0.99934}]}
    told = record(data, "model.onnx", builder="onnxruntime", gate=gate)
    config = ConfigFromSignature("dense_int8", signature_of(onnx.load_from_string(data)), "onnxruntime")()
    return publish(repository, "dense_int8", Content({"model.onnx": data}, (told,), config))


def publish_plan(repository: Path) -> Published:
    data = RTX_HEADER.ljust(64, b"\0")
    told = record(data, "model.plan", builder="tensorrt_rtx", compute_capabilities=(86, 89))
    tensors = (Tensor("x", "FP32", ("batch", 4)),), (Tensor("y", "FP32", ("batch", 4)),)
    profile = {"x": Range((1, 4), (4, 4), (8, 4))}
    config = ConfigFromSignature("dense_rtx", Signature(*tensors), "tensorrt", profiles=(profile,))()
    return publish(repository, "dense_rtx", Content({"model.plan": data}, (told,), config))


async def answer(gateway: Running) -> Any:
    inputs = [{"name": "x", "shape": list(DATA.shape), "datatype": "FP32", "data": DATA.tolist()}]
    url = f"http://{gateway.address('HTTP')}/v2/models/dense_int8/infer"
    reply = await gateway.client.post(url, json={"inputs": inputs})
    assert reply.status_code == 200, reply.text
    return np.array(reply.json()["outputs"][0]["data"], np.float32).reshape(64, 8)


def expected(model: bytes) -> Any:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(["y"], {"x": DATA})[0]


async def test_variants_appear_serve_and_are_replaced(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    repository.mkdir()
    first, second = (quantised(tmp_path, scale) for scale in (1.0, -2.0))
    async with running(repository) as gateway:
        assert publish_onnx(repository, first).version == 1
        await gateway.until_served("dense_int8", 1)
        np.testing.assert_allclose(await answer(gateway), expected(first), rtol=1e-5)
        np.testing.assert_allclose(
            await answer(gateway), expected((tmp_path / "fp32.onnx").read_bytes()) / -2, rtol=0.05
        )

        assert publish_onnx(repository, second).version == 2
        await gateway.until_served("dense_int8", 2)
        np.testing.assert_allclose(await answer(gateway), expected(second), rtol=1e-5)
        assert publish_onnx(repository, second).outcome == "unchanged"

        gateway.store().rollback("dense_int8")
        await gateway.until_served("dense_int8", 1)
        assert publish_onnx(repository, second).outcome == "retired"

        publish_plan(repository)
        waiting = await gateway.until_model("dense_rtx", 30, lambda model: model.get("reason", "") != "")
        assert waiting["state"] == "waiting"
        assert waiting["reason"].startswith("it needs an NVIDIA GPU (sm_86 or sm_89), and this machine has none")
        assert waiting["sites"] == {}
        told = await gateway.client.get(f"http://{gateway.address('control')}/v1/models/dense_int8")
        assert told.json()["origin"] == {
            "format": "Triton model folder",
            "made from": "dense version 3",
            "precision": "int8",
            "cosine": "0.9993",
        }
    assert json.loads((repository / "dense_int8" / "1" / "engine.json").read_text())["schema"] == 1
