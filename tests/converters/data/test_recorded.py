from __future__ import annotations

import json
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from converters.data.recorded import RecordedDataset, is_log
from converters.errors import BadData, ToolMissing
from tests.converters.data.recordings import ARRIVED, record

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def refused(folder: Path, model: str = "") -> str:
    with pytest.raises(BadData) as caught:
        list(RecordedDataset(folder, model=model))
    return str(caught.value)


def test_segments_in_the_order_of_their_numbers_and_what_is_in_them_in_its_own(tmp_path: Path) -> None:
    record(tmp_path, {"x": X + 10}, number=ARRIVED + 10**8)
    record(tmp_path, {"x": X}, {"x": X + 1}, number=ARRIVED)
    record(tmp_path, {"x": X + 5}, number=ARRIVED // 10**9)  # not by the alphabet
    data = RecordedDataset(tmp_path)
    assert [feeds["x"][0, 0] for feeds in data] == [5, 0, 1, 10]
    assert len(data) == 4


def test_what_is_being_written_and_what_is_no_segment_is_passed_over(tmp_path: Path) -> None:
    path = record(tmp_path, {"x": X})
    path.with_name(f".{ARRIVED + 1}-7.jsonl").write_text("half writ")
    path.with_name(f"{ARRIVED + 2}-7.safetensors").write_text("its lines come later")
    (tmp_path / "notes.jsonl").write_text("mine")
    assert len(RecordedDataset(tmp_path)) == 1


def test_every_type(tmp_path: Path) -> None:
    inputs = {
        "half": X.astype(np.float16),
        "truth": np.array([True, False]),
        "words": np.array([["grüße".encode(), b""]], object),
        "none": np.empty((0, 4), np.int64),
        "one": np.array(7, np.uint8),
    }
    record(tmp_path, inputs)
    (feeds,) = RecordedDataset(tmp_path)
    assert list(feeds) == list(inputs)
    for name, array in inputs.items():
        assert feeds[name].dtype == array.dtype
        np.testing.assert_array_equal(feeds[name], array)


def test_bfloat16(tmp_path: Path) -> None:
    path = record(tmp_path, {"b": X.astype(np.float16)})
    stored = path.with_suffix(".safetensors").read_bytes()
    length = int.from_bytes(stored[:8], "little")
    content = X.astype(ml_dtypes.bfloat16).tobytes()
    head = stored[8 : 8 + length].replace(b'"F16"', b'"BF16"').rstrip()
    path.with_suffix(".safetensors").write_bytes(len(head).to_bytes(8, "little") + head + content)
    path.write_text(path.read_text().replace("FP16", "BF16"))
    (feeds,) = RecordedDataset(tmp_path)
    assert feeds["b"].dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(feeds["b"].astype(np.float32), X)


def test_several_models(tmp_path: Path) -> None:
    record(tmp_path / "ocr", {"x": X})
    record(tmp_path / "other", {"x": X}, {"x": X}, model="other", number=ARRIVED + 1)
    assert "holds requests for ocr and other; name the model" in refused(tmp_path)
    assert len(RecordedDataset(tmp_path, model="ocr")) == 1
    assert len(RecordedDataset(tmp_path / "other")) == 2
    assert "holds no requests for third, only for ocr, other" in refused(tmp_path, "third")


def test_the_digest_is_over_the_inputs(tmp_path: Path) -> None:
    record(tmp_path / "one", {"x": X}, {"x": X + 1})
    record(tmp_path / "two", {"x": X}, number=ARRIVED + 5)
    record(tmp_path / "two", {"x": X + 1}, number=ARRIVED + 10**9)
    assert RecordedDataset(tmp_path / "one").digest == RecordedDataset(tmp_path / "two").digest


def test_what_was_redacted_is_no_data(tmp_path: Path) -> None:
    record(tmp_path, {"x": X, "name": X}, redacted=["in/name", "out/y", "parameters"])
    assert "the input 'name' was redacted" in refused(tmp_path)
    record(tmp_path, {"x": X}, redacted=["out/x", "parameters"])
    assert len(RecordedDataset(tmp_path)) == 1


def test_no_folder_or_no_requests(tmp_path: Path) -> None:
    assert "there is no folder" in refused(tmp_path / "none")
    assert "holds no requests; record some" in refused(tmp_path)
    assert not is_log(tmp_path)
    record(tmp_path / "ocr", {"x": X})
    assert is_log(tmp_path)
    assert is_log(tmp_path / "ocr")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"\x00\xff", "is not that of a recorded request"),
        (b"[]", "is not that of a recorded request"),
        (b'{"format": 1, "model": "m", "n": 0}', "is not that of a recorded request"),
        (b'{"format": 1, "model": "m", "n": "a", "inputs": []}', "is not that of a recorded request"),
        (b'{"format": 1, "model": "m", "n": 0, "inputs": [{"name": "x"}]}', "is not that of a recorded request"),
        (b'{"format": 2}', "is of format 2, and this version reads 1"),
        (b"[" * 100_000, "is not that of a recorded request"),
        (b'{"format":1,"model":"m","n":9,"inputs":[{"name":"x","datatype":"FP32","shape":[1]}]}', "lacks the tensor"),
        (b'{"format":1,"model":"m","n":0,"inputs":[{"name":"x","datatype":"FP32","shape":[1]}]}', "FP32 [1] needs 4"),
    ],
)
def test_lines_that_nobody_recorded(tmp_path: Path, line: bytes, told: str) -> None:
    path = record(tmp_path, {"x": X})
    path.write_bytes(line + b"\n")
    message = refused(tmp_path)
    assert told in message
    assert path.stem in message


def test_tensors_that_are_damaged_or_gone(tmp_path: Path) -> None:
    path = record(tmp_path, {"x": X}).with_suffix(".safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    assert f"{path} is damaged" in refused(tmp_path)
    path.unlink()
    assert f"{path} cannot be read: No such file" in refused(tmp_path)


def test_the_library_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, {"x": X})
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ToolMissing, match="pip install safetensors"):
        list(RecordedDataset(tmp_path))


def test_keys_that_are_not_known_are_passed_over(tmp_path: Path) -> None:
    path = record(tmp_path, {"x": X}, something={"new": [1]}, outputs=None)
    assert json.loads(path.read_text())["something"]
    assert len(RecordedDataset(tmp_path)) == 1
