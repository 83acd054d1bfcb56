from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backends.common.errors import LoadError
from backends.tensorrt.fake import fake_library, fake_plan
from backends.tensorrt.header import read_header
from backends.tensorrt.runtime import Runtime
from tests.backends.tensorrt.engines import doubling


def opened(path: Path, engine: Any) -> Any:
    runtime = Runtime("tensorrt_rtx", lambda _: fake_library(engine))
    return runtime.open(path, read_header(path))


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "model.plan").write_bytes(fake_plan())
    return tmp_path / "model.plan"


def test_a_library_that_is_not_there() -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    with pytest.raises(LoadError, match=r"'tensorrt_rtx' is not installed, .*`pip install tensorrt-rtx` into the env"):
        Runtime("tensorrt_rtx", absent)
    with pytest.raises(LoadError, match=r"'tensorrt' is not installed, .*`pip install tensorrt` into"):
        Runtime("tensorrt", lambda _: SimpleNamespace())


def test_a_library_that_is_broken() -> None:
    def broken(_: str) -> Any:
        raise OSError("libcudart.so.13: cannot open shared object file")

    def incomplete(_: str) -> Any:
        raise ModuleNotFoundError("No module named 'tensorrt_libs'", name="tensorrt_libs")

    with pytest.raises(LoadError, match=r"fails to import \(libcudart\.so\.13: cannot open"):
        Runtime("tensorrt", broken)
    with pytest.raises(LoadError, match="'tensorrt' lacks 'tensorrt_libs'"):
        Runtime("tensorrt", incomplete)


def test_an_engine_of_another_version(plan: Path) -> None:
    plan.write_bytes(fake_plan("1.5.0.1"))
    told = r"built by TensorRT for RTX 1\.5\.0\.1, and here is 1\.7\.1\.116, .*\(error 6: version tag does not match\)"
    with pytest.raises(LoadError, match=told):
        opened(plan, doubling())


def test_an_engine_that_is_damaged(plan: Path) -> None:
    plan.write_bytes(fake_plan("1.7.1.9"))
    with pytest.raises(LoadError, match="cannot be opened: error 6: version tag does not match; copy it again"):
        opened(plan, doubling())


def test_weights_come_from_the_onnx_beside_an_engine_that_has_none(plan: Path) -> None:
    opened(plan, whole := doubling())
    assert whole.refitted == ""
    record = {"files": [{"file": "model.plan", "options": {"strip_weights": True}}]}
    plan.with_name("engine.json").write_text(json.dumps(record))
    with pytest.raises(LoadError, match=r"was built without weights, and 'model\.onnx', which has them, does not lie"):
        opened(plan, doubling(refittable=True))
    plan.with_name("model.onnx").write_bytes(b"\x08\x09")
    opened(plan, stripped := doubling(refittable=True))
    assert stripped.refitted == str(plan.with_name("model.onnx"))


def test_an_engine_that_can_be_changed_is_not_stripped_for_that(plan: Path) -> None:
    opened(plan, changeable := doubling(refittable=True))
    plan.with_name("engine.json").write_text("{}")
    opened(plan, changeable)
    assert changeable.refitted == ""


def test_weights_that_do_not_fit(plan: Path) -> None:
    class Refused:
        def __init__(self, *_: Any) -> None: ...

        def refit_from_file(self, _: str) -> bool:
            return False

    library = fake_library(engine := doubling(refittable=True))
    library.OnnxParserRefitter = Refused
    plan.with_name("model.onnx").write_bytes(b"\x08\x09")
    with pytest.raises(LoadError, match=r"the weights of 'model\.onnx' do not fit 'model\.plan'.*publish both"):
        Runtime("tensorrt_rtx", lambda _: library).open(plan, read_header(plan))
    assert engine.refitted == ""


def test_the_real_library_says_why_it_cannot_open_an_engine(plan: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="install the extra 'convert'")
    with pytest.raises(LoadError, match=r"'model\.plan' cannot be opened: error \d+: .*; copy it again, or build"):
        Runtime("tensorrt_rtx").open(plan, read_header(plan))
