from __future__ import annotations

from typing import Any

import pytest

from converters.engines.messages import Messages, clean, logger_of

trt: Any = pytest.importorskip("tensorrt_rtx", reason="there is no wheel of tensorrt-rtx for this platform")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (
            "IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (Dynamic-shaped input tensor x has 4 "
            "dimensions but profile 0 has 3 dimensions. In validate at /_src/optimizer/api/network.cpp:4048)",
            "Dynamic-shaped input tensor x has 4 dimensions but profile 0 has 3 dimensions",
        ),
        (
            "IBuilder::buildSerializedNetwork: Error Code 1: Myelin ([pass.cpp:337: check_op] Cannot compile "
            "operation 'mm': not supported. In compileGraph at /_src/optimizer/myelin/codeGenerator.cpp:2012)",
            "Cannot compile operation 'mm': not supported",
        ),
        (
            "[codeGenerator.cpp::createMyelinGraph::1203] Error Code 2: Internal Error (Assertion "
            "mContext.maxScratchSize > 0 failed. Compiling this graph requires workspace memory greater than 0. "
            "In createMyelinGraph at /_src/optimizer/myelin/codeGenerator.cpp:1203)",
            "Compiling this graph requires workspace memory greater than 0",
        ),
        (
            "onnxOpImporters.cpp:1980: TensorRT supports QuantizeLinear with UINT8 zero_point only on DLA.",
            "TensorRT supports QuantizeLinear with UINT8 zero_point only on DLA",
        ),
        (
            "Assertion failed: (nbSpatialDims == kernelWeights.shape.nbDims - 2): The number of spatial dimensions "
            "and the kernel shape doesn't match up for the Conv operator.",
            "The number of spatial dimensions and the kernel shape doesn't match up for the Conv operator",
        ),
        (
            'Assertion failed: convertDtype(onnxDtype.elem_type(), &trtDtype) && "Failed to convert the data type."',
            "Failed to convert the data type",
        ),
        (
            "ITensor::getDimensions: Error Code 4: API Usage Error (r: first input has type UInt8. In checkType at "
            "/_src/optimizer/common/nodeBase.cpp:456)\n[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda",
            "r: first input has type UInt8",
        ),
        ("", ""),
    ],
)
def test_clean(raw: str, said: str) -> None:
    assert clean(raw) == said


def test_messages_keep_each_once_and_leave_noise_out() -> None:
    messages = Messages()
    for _ in range(2):
        messages.warning("onnxOpImporters.cpp:12: Weights are cast down.")
        messages.warning("WARNING The logger passed into createInferBuilder differs from one already registered")
        messages.error("something broke")
        messages.error("[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (cudaError 35)")
    assert messages.warnings == ["Weights are cast down"]
    assert messages.errors == ["something broke"]


def test_logger_sorts_by_severity_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    messages = Messages()
    logger = logger_of(trt, messages)
    for severity in (trt.ILogger.ERROR, trt.ILogger.WARNING, trt.ILogger.INFO, trt.ILogger.VERBOSE):
        logger.log(severity, f"as {severity.name}")
    assert messages == Messages(errors=["as ERROR"], warnings=["as WARNING"])
    assert capfd.readouterr() == ("", "")
