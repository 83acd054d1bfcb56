from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.common.errors import LoadError
from backends.tensorrt.fake import fake_plan
from backends.tensorrt.header import RTX, TENSORRT, Header, read_header, targets


def header(folder: Path, content: bytes) -> Header:
    (folder / "model.plan").write_bytes(content)
    return read_header(folder / "model.plan")


def test_the_first_bytes_of_an_rtx_engine(tmp_path: Path) -> None:
    # As TensorRT for RTX 1.7.1.116 wrote them for SM86 and SM89.
    head = bytes.fromhex("76747274000000000200000000000000300000000000000001070174767472740c00000000000000")
    found = header(tmp_path, head.ljust(48, b"\0"))
    assert found == Header(RTX, (1, 7, 1, 116), (86, 89))
    assert str(found) == "TensorRT for RTX 1.7.1.116"


def test_an_engine_for_later_gpus_too(tmp_path: Path) -> None:
    found = header(tmp_path, fake_plan(targets=0b1010000))
    assert (found.capabilities, found.later) == ((120,), True)


def test_the_first_bytes_of_other_engines(tmp_path: Path) -> None:
    assert header(tmp_path, fake_plan("10.9.0.34", tag=b"ftrt")) == Header(TENSORRT, (10, 9, 0, 34))
    assert header(tmp_path, fake_plan("10.9.0.34", tag=b"ftrt").replace(b"ftrt\0", b"ftrt\1", 1)) == Header(TENSORRT)
    assert str(header(tmp_path, b"\x91" + bytes(range(200)))) == "TensorRT"


def test_an_engine_that_is_cut_short(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"'model\.plan' is cut short: it has 48 of its 64 bytes; copy it again"):
        header(tmp_path, fake_plan()[:48])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1", "is no TensorRT engine, whatever its name says; build"),
        (b"\x08\x09\x12\x05hands" + bytes(100), "is no TensorRT engine"),
        (bytes(100), "is no TensorRT engine"),
        (b"\x10\0\0\0" + json.dumps({"task": "detect"}).encode() + fake_plan(), "JSON in front"),
    ],
)
def test_what_is_no_engine(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(LoadError, match=told):
        header(tmp_path, content)


def test_an_engine_is_held_against_a_gpu() -> None:
    Header(RTX, (1, 7, 1, 116), (86, 89)).check_gpu(89, "an Ada GPU")
    Header(TENSORRT, (10, 9, 0, 34)).check_gpu(90, "NVIDIA H200")
    with pytest.raises(LoadError, match=r"for sm_86 or sm_89, and this GPU \(NVIDIA H200\) is sm_90; .* for sm_90, or"):
        Header(RTX, (1, 7, 1, 116), (86, 89)).check_gpu(90, "NVIDIA H200")
    Header(RTX, (1, 7, 1, 116), (120,), later=True).check_gpu(130, "a GPU to come")
    with pytest.raises(LoadError, match="this GPU"):
        Header(RTX, (1, 7, 1, 116), (120,), later=True).check_gpu(90, "NVIDIA H200")
    assert targets((75, 120)) == "sm_75 or sm_120"
