from __future__ import annotations

import json
from pathlib import Path

import pytest

from converters.engines.validity import EngineHeader, check, header_of, inspect, is_engine, pack_header
from converters.errors import BadEngine

VERSION = "1.7.1.116"
# The first 64 bytes of a plan that tensorrt_rtx 1.7.1.116 built for sm_75, 86, 89 and 120, and its size.
SEEN = bytes.fromhex("76747274000000000200000000000000f42bc4000000000001070174767472741d000000").ljust(64, b"\0")
SEEN_SIZE = 12_856_308


def plan(magic: bytes = b"vtrt", version: str = VERSION, capabilities: tuple[int, ...] = (86, 89)) -> bytes:
    return pack_header(magic, version, capabilities, 200) + bytes(136)


def refused(data: bytes, **wanted: object) -> str:
    with pytest.raises(BadEngine) as caught:
        check(data, **{"builder": "tensorrt_rtx", "version": VERSION, **wanted})  # type: ignore[arg-type]
    return str(caught.value)


def test_header_of_a_real_plan(tmp_path: Path) -> None:
    assert inspect(SEEN) == EngineHeader("tensorrt_rtx", VERSION, (75, 86, 89, 120), later=False, size=SEEN_SIZE)
    (tmp_path / "model.plan").write_bytes(SEEN + bytes(100))
    assert header_of(tmp_path / "model.plan") == inspect(SEEN)


def test_plan_for_ampere_and_later() -> None:
    data = plan()[:32] + b"\x7e" + plan()[33:]
    assert inspect(data).compute_capabilities == (80, 86, 89, 120, 121)
    assert check(data, builder="tensorrt_rtx", version=VERSION, compute_capability=130).later
    assert "this GPU is sm_75" in refused(data, compute_capability=75)


def test_good_plan() -> None:
    header = check(plan(), builder="tensorrt_rtx", version=VERSION, compute_capability=89)
    assert header.compute_capabilities == (86, 89)


def test_other_gpu() -> None:
    said = refused(plan(), compute_capability=120)
    assert "the engine is for sm_86, sm_89, and this GPU is sm_120" in said
    assert "add 120" in said


def test_other_version() -> None:
    said = refused(plan(), version="1.8.0.3")
    assert "built by tensorrt_rtx 1.7.1.116, and this is 1.8.0.3" in said
    assert "install tensorrt_rtx 1.7.1.116, or build it again" in said


def test_later_version_runs_a_version_compatible_plan() -> None:
    data = plan(b"ftrt", "10.9.0.34")
    check(data, builder="tensorrt", version="11.4.0.12", version_compatible=True)
    assert "built by tensorrt 10.9.0.34" in refused(data, builder="tensorrt", version="11.4.0.12")
    with pytest.raises(BadEngine):
        check(data, builder="tensorrt", version="10.8.0.43", version_compatible=True)


def test_other_library() -> None:
    assert "one of tensorrt, not of tensorrt_rtx" in refused(plan(b"ftrt"))


@pytest.mark.parametrize("size", [199, 64])
def test_cut_off(size: int) -> None:
    assert f"has {size} bytes and its header says 200" in refused(plan()[:size])


def test_cut_off_within_the_header() -> None:
    assert "has 40 bytes, fewer than its header" in refused(plan()[:40])


def test_damaged_header() -> None:
    data = bytearray(plan())
    data[29] = 0
    assert "header is damaged" in refused(bytes(data))


def test_no_engine_at_all() -> None:
    assert "is no TensorRT engine" in refused(b"\x08\x09\x12\x00" + bytes(100))
    assert "file is empty" in refused(b"")


def test_ultralytics_metadata_in_front() -> None:
    metadata = json.dumps({"imgsz": [640, 640]}).encode()
    assert "Ultralytics" in refused(len(metadata).to_bytes(4, "little") + metadata + plan(b"ftrt"))


def test_parts_of_a_version_above_a_byte() -> None:
    check(plan(version="1.8.0.300"), builder="tensorrt_rtx", version="1.8.0.300")


@pytest.mark.parametrize(
    ("name", "content", "engine"),
    [("m.plan", b"none", True), ("m", b"vtrt12", True), ("m.bin", b"ftrt", True), ("m.onnx", b"\x08\x07", False)],
)
def test_an_engine_is_known_by_its_name_or_its_first_bytes(
    tmp_path: Path, name: str, content: bytes, engine: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    assert is_engine(tmp_path / name) == engine
    assert not is_engine(tmp_path)
