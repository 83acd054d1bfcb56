"""The builder for data-centre GPUs as far as it can be run without its library and without a GPU."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import pytest

from converters.engines import tensorrt as module
from converters.engines.base import BuildOptions
from converters.engines.gpus import Gpu
from converters.engines.messages import Messages
from converters.engines.tensorrt import TensorRTBuilder, configure
from converters.errors import ToolMissing, Unsupported
from tests.converters.engines.tiny_models import Seen, convolution


class Library:
    """As much of TensorRT as is asked before anything is built."""

    __name__ = "tensorrt"

    def __init__(self, version: str) -> None:
        self.__version__ = version


@pytest.fixture
def h200(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpus", lambda: (Gpu("NVIDIA H200", 90, 150_754_820_096),))
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", Library("11.4.0.12"))


def test_is_not_installed() -> None:
    if importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("TensorRT is installed here")
    for ask in (lambda: TensorRTBuilder().version, TensorRTBuilder().targets):
        with pytest.raises(ToolMissing, match="not installed") as caught:
            ask()
        assert "tensorrt_rtx" in caught.value.hint


def test_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", Library("8.6.1"))
    with pytest.raises(ToolMissing, match=r"8\.6\.1 is too old"):
        TensorRTBuilder().targets()


def test_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, h200: None) -> None:
    monkeypatch.setattr(module, "gpus", tuple)
    with pytest.raises(ToolMissing, match="has none that can be used"):
        TensorRTBuilder().build(convolution(1), BuildOptions(), Seen())


def test_builds_for_the_gpu_that_is_here(h200: None) -> None:
    assert TensorRTBuilder().version == "11.4.0.12"
    assert TensorRTBuilder().targets() == (90,)
    with pytest.raises(Unsupported, match=r"this machine \(sm_90\), and not for sm_86"):
        TensorRTBuilder().build(convolution(1), BuildOptions(compute_capabilities=(90, 86)), Seen())


def test_ampere_plus_needs_ampere(monkeypatch: pytest.MonkeyPatch, h200: None) -> None:
    monkeypatch.setattr(module, "gpus", lambda: (Gpu("NVIDIA T4", 75, 16_000_000_000),))
    with pytest.raises(Unsupported, match="'ampere_plus' needs sm_80"):
        TensorRTBuilder().build(convolution(1), BuildOptions(hardware_compatible="ampere_plus"), Seen())


class TestConfigure:
    """Against the configuration of the RTX library, whose API is the same."""

    trt: Any = pytest.importorskip("tensorrt_rtx", reason="there is no wheel of tensorrt-rtx for this platform")

    def test_version_compatibility(self) -> None:
        builder = self.trt.Builder(self.trt.Logger(self.trt.Logger.INTERNAL_ERROR))
        config = builder.create_builder_config()
        assert configure(self.trt, config, BuildOptions(version_compatible=True), Messages()) is None
        assert config.get_flag(self.trt.BuilderFlag.VERSION_COMPATIBLE)

    def test_hardware_compatibility(self) -> None:
        config = Config()
        configure(self.trt, config, BuildOptions(hardware_compatible="ampere_plus"), Messages())
        assert config.hardware_compatibility_level == self.trt.HardwareCompatibilityLevel.AMPERE_PLUS

    def test_a_level_that_an_older_library_does_not_have(self) -> None:
        class Older:
            __version__ = "10.0.1.6"
            HardwareCompatibilityLevel = object()

        with pytest.raises(Unsupported, match="has no 'same_compute_capability'"):
            configure(Older, Config(), BuildOptions(hardware_compatible="same_compute_capability"), Messages())


class Config:
    """A builder's configuration that keeps a timing cache; RTX' own does not."""

    def __init__(self, broken: bytes = b"broken") -> None:
        self._broken = broken
        self.cache = b""
        self.hardware_compatibility_level: Any = None

    def create_timing_cache(self, data: bytes) -> bytes | None:
        return None if data == self._broken else b"%" + data

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        self.cache = cache
        return True

    def get_timing_cache(self) -> Config:
        return self

    def serialize(self) -> bytes:
        return self.cache + b", and more"


def built_with(path: Path) -> tuple[Config, list[str]]:
    config, messages = Config(), Messages()
    write = configure(None, config, BuildOptions(timing_cache=path), messages)
    assert write is not None
    write(config)
    return config, messages.warnings


def test_timing_cache_is_read_and_extended(tmp_path: Path) -> None:
    path = tmp_path / "a.cache"
    path.write_bytes(b"known")
    assert built_with(path)[1] == []
    assert path.read_bytes() == b"%known, and more"


def test_a_damaged_timing_cache_is_started_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.cache"
    path.write_bytes(b"broken")
    assert "is started anew" in built_with(path)[1][0]
    assert path.read_bytes() == b"%, and more"


def test_a_timing_cache_that_cannot_be_kept_costs_no_engine(tmp_path: Path) -> None:
    read, written = built_with(tmp_path)[1]
    assert "could not be read" in read
    assert "could not be written" in written


def test_nothing_is_warned_of_by_the_bindings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        configure(None, Config(), BuildOptions(), Messages())
