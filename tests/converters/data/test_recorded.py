from __future__ import annotations

import gzip
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

from converters.data.recorded import RecordedDataset
from converters.errors import BadData
from tests.converters.data.recordings import binary, http_body, record

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tritonclient.grpc import service_pb2

X = np.arange(6, dtype=np.float32).reshape(2, 3)
BODY, LENGTH = http_body([binary("x", "FP32", X)[0]], X.tobytes())


def refused(folder: Path, model: str = "") -> str:
    with pytest.raises(BadData) as caught:
        list(RecordedDataset(folder, model=model))
    return str(caught.value)


def test_http_and_grpc_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    entry, blob = binary("x", "FP32", X + 10)
    body, length = http_body([entry], blob)
    record(tmp_path / "10.http", body, header_length=length)
    record(tmp_path / "9.http", BODY, header_length=LENGTH)
    plain, _ = http_body([{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [[7, 8, 9]]}])
    record(tmp_path / "11.http", plain, header_length=None)
    tensor = service_pb2.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[2, 3])
    message = service_pb2.ModelInferRequest(model_name="ocr", inputs=[tensor], raw_input_contents=[X.tobytes()])
    record(tmp_path / "1.grpc", message.SerializeToString())
    (tmp_path / ".12.http").write_bytes(b"half writ")
    data = RecordedDataset(tmp_path)
    assert [feeds["x"][0, 0] for feeds in data] == [0, 0, 10, 7]
    assert len(data) == 4


@pytest.mark.parametrize(("encoding", "body"), [("gzip", gzip.compress(BODY)), ("deflate", zlib.compress(BODY))])
def test_compressed(tmp_path: Path, encoding: str, body: bytes) -> None:
    path = record(tmp_path / "1.http", body, header_length=LENGTH, content_encoding=encoding)
    (feeds,) = RecordedDataset(tmp_path)
    assert np.array_equal(feeds["x"], X)
    record(path, body[:-6], header_length=LENGTH, content_encoding=encoding)
    assert "1.http ends inside its" in refused(tmp_path)
    record(path, BODY, header_length=LENGTH, content_encoding=encoding)
    assert "1.http is not" in refused(tmp_path)
    record(path, BODY, header_length=LENGTH, content_encoding="br")
    assert "compressed by 'br'" in refused(tmp_path)


def test_several_models(tmp_path: Path) -> None:
    record(tmp_path / "1.http", BODY, header_length=LENGTH)
    record(tmp_path / "2.http", BODY, header_length=LENGTH, model="other")
    assert "holds requests for ocr and other; name the model" in refused(tmp_path)
    assert len(RecordedDataset(tmp_path, model="ocr")) == 1
    assert "holds no requests for third, only for ocr, other" in refused(tmp_path, "third")


def test_no_folder_or_no_requests(tmp_path: Path) -> None:
    assert "there is no folder" in refused(tmp_path / "none")
    assert "holds no requests; record some" in refused(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the first line of"),
        (b"\x00\xff\n", "the first line of"),
        (b"[]\n", "the first line of"),
        (b'{"format": 1, "model": "m"}\n', "the first line of"),
        (b'{"format": 1, "model": "m", "length": "4"}\n1234', "the first line of"),
        (b'{"format": 1, "model": "m", "length": 0, "header_length": "4"}\n', "the first line of"),
        (b'{"format": 2}\n', "is of format 2, and this version reads 1"),
        (b'{"format": 1, "model": "m", "length": 9}\n1234', "has 4 bytes of body instead of 9"),
    ],
)
def test_files_that_nobody_recorded(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "7.http").write_bytes(content)
    message = refused(tmp_path)
    assert told in message
    assert "7.http" in message
